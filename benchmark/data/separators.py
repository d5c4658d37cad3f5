"""A table below other lines, or with other separators than commas, and the line that mends it.

Where semicolons separate columns, decimal commas and times with the day first are common, so they
are looked for as well: one line of pandas mends all of it, instead of an error for each.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.data.dates import DayOrder, day_order
from benchmark.data.files import encoding_of, opened_text
from benchmark.data.rewrite import rewritten
from benchmark.errors import UserError

LOOKED_AT = 5_000_000
"""Bytes of a file: enough for days above 12, which tell the number of the day from the month's."""

TOP = 100
"""Lines among which the one is looked for that names the columns."""

_MARKS = ";\t|"
_TOLD = re.compile(rb'"?sep=(.)"?', re.IGNORECASE)
_NUMBER = re.compile(r"[-+.]*\d")
_DECIMAL = re.compile(r"[-+]?[\d.]*,\d+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+")


def separator_fault(path: Path, first_line: bytes) -> UserError | None:
    """Describe a table that does not begin in the first line, or has other separators than commas.

    Excel may be told of the separator by a line of its own, ``sep=;``, even where it is a comma.

    Args:
        path: the file.
        first_line: of it.

    Returns:
        The fault; None where it is a table of commas from its first line on.
    """
    told = _TOLD.fullmatch(first_line.strip())
    separators = [mark for mark in _MARKS if mark.encode() in first_line]
    above, mark = lines_above(path)
    if told:
        options: dict[str, Any] = {"sep": told[1].decode(), "skiprows": 1}
    elif above:
        options = {"sep": mark} if mark != "," else {}
        options["skiprows"] = above
    elif separators and b"," not in first_line:
        options = {"sep": separators[0]}
    else:
        return None
    with opened_text(path) as stream:
        content = stream.read(LOOKED_AT)
    try:
        text = content[: content.rfind(b"\n") + 1].decode("utf-8-sig")
    except UnicodeDecodeError:
        options["encoding"] = encoding_of(path)
        text = content.decode(options["encoding"])
    try:
        lines = text.splitlines()[options.get("skiprows", 0) :]
        rows = [row for row in csv.reader(lines, delimiter=options.get("sep", ",")) if row]
    except csv.Error:
        rows = []
    names, rows = rows[0] if rows else [], rows[1:]
    options |= _numbers([cell for row in rows for cell in row]) | _gapped(names, rows)
    header = first_line.decode(options.get("encoding", "utf-8-sig"), "replace").rstrip()
    what = f"has no comma: {header!r:.60}"
    if told:
        what = f"is a word to Excel: {header!r}"
    elif above:
        what = f"stands above the columns' names, which are in line {above + 1}: {header!r:.60}"
    dates = _dates(rows)
    if dates is None:
        return UserError(f"{path}: line 1", what, rewritten(path, **options))
    place, order = dates
    cure = order.cure(rewritten(path, **options, parse_dates=[place], **order.options()))
    return UserError(f"{path}: line 1", ", and ".join(filter(None, (what, order.doubt))), cure)


def lines_above(path: Path, encoding: str = "utf-8-sig") -> tuple[int, str]:
    """How many lines stand above the columns' names, and what separates these.

    The names are the first row of as many cells as most rows have, each of them a word; empty ones
    at the end do not count, as a spreadsheet writes them behind every row.
    """
    with opened_text(path) as stream:
        lines = list(islice(TextIOWrapper(stream, encoding, "replace"), TOP))
    for mark in f",{_MARKS}":
        try:
            rows = [_cells(row) for row in csv.reader(lines, delimiter=mark)]
        except csv.Error:
            continue
        width, _ = Counter(map(len, rows)).most_common(1)[0]
        if width < 2:
            continue
        whole = [len(row) == width and all(row) and row[0][0] != "#" for row in rows]
        named = [w and not any(map(_NUMBER.match, row)) for w, row in zip(whole, rows, strict=True)]
        if whole[0] or True in named:
            return 0 if whole[0] else named.index(True), mark
    return 0, ","


def _cells(row: Sequence[str]) -> list[str]:
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _numbers(cells: Sequence[str]) -> dict[str, Any]:
    """How numbers are written, as `pandas.read_csv` is told of it."""
    options = {}
    if any(_DECIMAL.fullmatch(cell.strip()) for cell in cells):
        options["decimal"] = ","
    if any(_THOUSANDS.fullmatch(cell.strip()) for cell in cells):
        options["thousands"] = "."
    return options


def _gapped(names: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Whole numbers with gaps are read as texts: pandas would make 2021.0 of a year."""
    gapped = {}
    for place, name in enumerate(names):
        cells = {row[place].strip() for row in rows if place < len(row)}
        if "" in cells and len(cells) > 1 and all(cell.isdigit() for cell in cells if cell):
            gapped[name] = "str"
    return {"dtype": gapped} if gapped else {}


def _dates(rows: Sequence[Sequence[str]]) -> tuple[int, DayOrder] | None:
    """Which column holds times that do not begin with the year, and how they are read."""
    for place in range(min(map(len, rows), default=0)):
        order = day_order([row[place] for row in rows])
        if order:
            return place, order
    return None
