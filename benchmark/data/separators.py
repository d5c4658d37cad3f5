"""A table below other lines, or with other separators than commas, and the line that mends it.

Where semicolons separate columns, decimal commas and times with the day first are common, so they
are looked for as well, and so is UTF-16: one line of pandas mends all of it, instead of an error
for each, and no line reads with commas what has other separators.
"""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.data.dates import DayOrder, day_order
from benchmark.data.files import encoding_of, opened_text
from benchmark.data.rewrite import rewritten
from benchmark.errors import UserError

LOOKED_AT = 5_000_000
"""Bytes of a file: enough for days above 12, which tell the number of the day from the month's."""

UTF_16 = BOM_UTF16_LE, BOM_UTF16_BE
"""How a text in UTF-16 begins, as Excel and PowerShell write it."""

TOP = 100
"""Lines among which the one is looked for that names the columns."""

_MARKS = ";\t|"
_TOLD = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_NUMBER = re.compile(r"[-+.]*\d")
_DECIMAL = re.compile(r"[-+]?[\d.]*,\d+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+")
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
_POINT = re.compile(r"[-+]?[\d,]*\.(?!\d{3}$)\d+")  # 1.234 may be a thousand


def separator_fault(path: Path, first_line: bytes) -> UserError | None:
    """Describe a table that does not begin in the first line, or has other separators than commas.

    Excel may be told of the separator by a line of its own, ``sep=;``, even where it is a comma.

    Args:
        path: the file.
        first_line: of it.

    Returns:
        The fault; None where it is a table of commas from its first line on.
    """
    wide = first_line.startswith(UTF_16)
    with opened_text(path) as stream:
        content = stream.read(LOOKED_AT) if wide else b"".join(islice(stream, TOP))
    top = content.decode("utf-16" if wide else "utf-8-sig", "replace").splitlines()[:TOP] or [""]
    what, options = _layout(top)
    if not what and not wide:
        return None
    text, encoding = _decoded(path, wide)
    options |= encoding
    separator = options.get("sep", ",")
    try:
        lines = text.splitlines()[options.get("skiprows", 0) :]
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        rows = []
    names, rows = rows[0] if rows else [], rows[1:]
    options |= _gapped(names, rows)
    if separator != ",":  # of commas inside cells, `number_fault` says what they may be
        options |= _numbers([cell.strip() for row in rows for cell in row])
    header = first_line.decode(options.get("encoding", "utf-8-sig"), "replace").rstrip()
    what = "is UTF-16 text" if wide else f"{what}: {header!r:.60}"
    deed = "write it as utf-8" if wide else "mend it"
    dates = _dates(rows)
    if dates is None:
        return UserError(f"{path}: line 1", what, rewritten(path, deed, **options))
    place, order = dates
    cure = order.cure(rewritten(path, deed, **options, parse_dates=[place], **order.options()))
    return UserError(f"{path}: line 1", ", and ".join(filter(None, (what, order.doubt))), cure)


def _layout(lines: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """What is unlike a CSV in the first lines, and how `pandas.read_csv` is told of it.

    What is unlike one is empty where nothing is.
    """
    told = _TOLD.fullmatch(lines[0].strip())
    if told:
        return "is a word to Excel", {"sep": told[1], "skiprows": 1}
    above, mark = _above(lines)
    if above:
        options: dict[str, Any] = {"sep": mark} if mark != "," else {}
        what = f"stands above the columns' names, which are in line {above + 1}"
        return what, options | {"skiprows": above}
    separators = [mark for mark in _MARKS if mark in lines[0]]
    if separators and "," not in lines[0]:
        return "has no comma", {"sep": separators[0]}
    return "", {}


def _decoded(path: Path, wide: bool) -> tuple[str, dict[str, str]]:
    """The first lines of a file, and its encoding as `pandas.read_csv` is told of it."""
    with opened_text(path) as stream:
        content = stream.read(LOOKED_AT)
    if wide:
        return content.decode("utf-16", "replace"), {"encoding": "utf-16"}
    try:
        return content[: content.rfind(b"\n") + 1].decode("utf-8-sig"), {}
    except UnicodeDecodeError:
        encoding = encoding_of(path)
        return content.decode(encoding), {"encoding": encoding}


def _above(lines: Sequence[str]) -> tuple[int, str]:
    """How many lines stand above the columns' names, and what separates these.

    The names are the first row of as many cells as most rows have, each of them a word. Empty cells
    at the end do not count: a spreadsheet writes some behind every row, and a last column may have
    nothing but its name.
    """
    for mark in f",{_MARKS}":
        try:
            rows = [_cells(row) for row in csv.reader(lines, delimiter=mark)]
        except csv.Error:
            continue
        width, _ = Counter(map(len, rows)).most_common(1)[0]
        if width < 2:
            continue
        whole = [len(row) >= width and all(row) and row[0][0] != "#" for row in rows]
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
    commas = [cell for cell in cells if _DECIMAL.fullmatch(cell) or _GROUPED.fullmatch(cell)]
    if all(map(_GROUPED.fullmatch, commas)) and any(map(_POINT.fullmatch, cells)):
        return {"thousands": ","} if commas else {}
    options = {}
    if any(map(_DECIMAL.fullmatch, cells)):
        options["decimal"] = ","
    if any(map(_THOUSANDS.fullmatch, cells)):
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
