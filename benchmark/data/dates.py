"""Times that do not begin with the year: which of their numbers is the day."""

from __future__ import annotations

import re
from calendar import month_name
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_DAY = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2\d{4}(?!\d)|(\d{1,2})\.(\d{1,2})\.\d\d(?!\d)")


@dataclass(frozen=True)
class DayOrder:
    """How dates that do not begin with the year are read.

    Attributes:
        day_first: whether the day is the first number, or the month.
        doubt: what a date is by either reading, where no number above 12 tells which is the day.
    """

    day_first: bool
    doubt: str

    def options(self) -> dict[str, Any]:
        """What `pandas.read_csv` and `pandas.to_datetime` are told of it."""
        return {"dayfirst": True} if self.day_first else {}

    def cure(self, line: str) -> str:
        """Add to a line of pandas what to change where the other reading is the right one."""
        return f"{line}; leave out dayfirst=True if the month comes first" if self.doubt else line


def day_order(cells: Sequence[str]) -> DayOrder | None:
    """Tell the day from the month by the numbers above 12; None where not all cells are dates."""
    numbers = []
    for cell in cells:
        match = _DAY.match(cell.strip())
        if match is None:
            return None
        numbers.append((int(match[1] or match[4]), int(match[3] or match[5])))
    first, second = (max(column, default=0) > 12 for column in zip(*numbers, strict=True))
    if first or second:
        return None if first and second else DayOrder(first, "")
    for cell, (day, month) in zip(cells, numbers, strict=True):
        if day != month:
            readings = f"{day} {month_name[month]} or {month} {month_name[day]}"
            return DayOrder(
                True, f"{cell.strip()!r} is {readings}, and no day above 12 tells which"
            )
    return DayOrder(True, "")
