"""What stands around a user's table and is none of it, and the line that leaves it out.

Spreadsheets and loggers write commas behind the last column, rows of nothing behind the last one,
and rows of units below the names.
"""

from __future__ import annotations

import csv
from codecs import iterdecode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.adoption.numbers import known_cells, no_numbers
from benchmark.data.files import opened_text
from benchmark.data.rewrite import rewritten
from benchmark.data.times import FIRST_LINE
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 4
"""Rows below the names that may tell units and the like."""


def trailing_commas_fault(path: Path, columns: Sequence[str]) -> UserError | None:
    """Describe commas behind the last name that no line has a cell behind; None where one has.

    Args:
        path: the file.
        columns: the names in its first line.
    """
    named = max((place for place, name in enumerate(columns, 1) if name.strip()), default=0)
    with opened_text(path) as stream:
        try:
            rows = csv.reader(iterdecode(stream, "utf-8-sig"), strict=True)
            next(rows)
            surplus = {cell.strip() for row in rows for cell in row[named:]}
        except (UnicodeDecodeError, csv.Error):
            return None
    if surplus != {""}:
        return None
    what = f"names {named} columns, and lines have more commas than that, with nothing behind them"
    cure = rewritten(path, "leave them out", dtype="str", usecols=range(named))
    return UserError(f"{path}: line 1", what, cure)


def empty_rows_fault(path: Path, frame: pd.DataFrame) -> UserError | None:
    """Describe rows of which every cell is empty; None where there is no such row."""
    empty = (frame == "").all(axis=1).to_numpy()
    if not empty.any():
        return None
    where = f"{path}: line {int(empty.argmax()) + FIRST_LINE}"
    what = f"holds commas alone, as {empty.sum():,} of {len(empty):,} rows do"
    cure = rewritten(path, "leave them out", ".dropna(how='all')", dtype="str")
    return UserError(where, what, cure)


def units_fault(path: Path, frame: pd.DataFrame) -> UserError | None:
    """Describe rows between the names and the first numbers; None where there are none."""
    top = frame.head(_MOST_ROWS + 1)
    texts = [not row.str.match(r"\s*[^\w\s]*\s*\d").any() for _, row in top.iterrows()]
    count = texts.index(False) if False in texts else 0
    if not count:
        return None
    told = known_cells(frame.iloc[0])
    below = frame[told.index].iloc[count:]
    if all(no_numbers(below[column].str.replace(",", "")) for column in below):
        return None
    what = f"holds no number, but {', '.join(told)!r:.60}, as units are told"
    units = list(range(1, count + 1))
    cure = rewritten(path, "leave it out", dtype="str", skiprows=units)
    return UserError(f"{path}: line {FIRST_LINE}", what, cure)
