"""A table whose columns are separated otherwise than by commas, and the line that mends it.

Where semicolons separate columns, decimal commas and times with the day first are common, so they
are looked for as well: one line of pandas mends all of it, instead of an error for each.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.data.dates import DayOrder, day_order
from benchmark.data.files import encoding_of, opened_text
from benchmark.data.rewrite import rewritten
from benchmark.errors import UserError

LOOKED_AT = 5_000_000
"""Bytes of a file: enough for days above 12, which tell the number of the day from the month's."""

_MARKS = ";\t|"
_TOLD = re.compile(rb'"?sep=(.)"?', re.IGNORECASE)
_DECIMAL = re.compile(r"[-+]?[\d.]*,\d+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+")


def separator_fault(path: Path, first_line: bytes) -> UserError | None:
    """Describe a table of other separators, by its first line; None where it is one of commas.

    Excel may be told of the separator by a line of its own, ``sep=;``, even where it is a comma.

    Args:
        path: the file.
        first_line: of it.
    """
    told = _TOLD.fullmatch(first_line.strip())
    separators = [mark for mark in _MARKS if mark.encode() in first_line]
    if told:
        options: dict[str, Any] = {"sep": told[1].decode(), "skiprows": 1}
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
        rows = [row for row in csv.reader(text.splitlines(), delimiter=options["sep"]) if row]
        rows = rows[1 + options.get("skiprows", 0) :]
    except csv.Error:
        rows = []
    options |= _numbers([cell for row in rows for cell in row])
    header = first_line.decode(options.get("encoding", "utf-8-sig"), "replace").rstrip()
    what = f"is a word to Excel: {header!r}" if told else f"has no comma: {header!r:.60}"
    dates = _dates(rows)
    if dates is None:
        return UserError(f"{path}: line 1", what, rewritten(path, **options))
    place, order = dates
    cure = order.cure(rewritten(path, **options, parse_dates=[place], **order.options()))
    return UserError(f"{path}: line 1", ", and ".join(filter(None, (what, order.doubt))), cure)


def _numbers(cells: Sequence[str]) -> dict[str, Any]:
    """How numbers are written, as `pandas.read_csv` is told of it."""
    options = {}
    if any(_DECIMAL.fullmatch(cell.strip()) for cell in cells):
        options["decimal"] = ","
    if any(_THOUSANDS.fullmatch(cell.strip()) for cell in cells):
        options["thousands"] = "."
    return options


def _dates(rows: Sequence[Sequence[str]]) -> tuple[int, DayOrder] | None:
    """Which column holds times that do not begin with the year, and how they are read."""
    for place in range(min(map(len, rows), default=0)):
        order = day_order([row[place] for row in rows])
        if order:
            return place, order
    return None
