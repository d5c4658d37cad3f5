"""Times that are written as no time is read here: which they are, and the line that mends them."""

from __future__ import annotations

import re
from calendar import month_abbr, month_name
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.data.rewrite import Rewriting, assigned, rewritten
from benchmark.data.times import FIRST_LINE
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_DAY = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2\d{4}(?!\d)|(\d{1,2})\.(\d{1,2})\.(\d\d)(?!\d)")
_EITHER_CENTURY = range(30, 80)
"""Years of two digits that pandas may put into the future, by the day on which it is asked."""

_TO = " - "
"""Between the ends of a step, as the market time units of ENTSO-E are written."""

_CLOCK = r"\s*(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s?[AaPp][Mm])?\s*"
_DOTTED = r"\s*(?:[01]?\d|2[0-3])\.[0-5]\d\.[0-5]\d\s*"
_AT_24 = r"[ T]24:00"
_TO_THE_MINUTE = r"\s*\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::00)?\s*"
_HOUR = r"\s*(?:[01]?\d|2[0-4])\s*"
_CALLED_AN_HOUR = re.compile(r"hour|^hr$", re.IGNORECASE)
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_UNIX = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_UNIX_RANGE = (5e8, 4e9)
"""Seconds since 1970 that are taken for a time: 1985 to 2096."""

_WITHOUT_MARKS = {10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""How a date and a time of day are written in one number, by its digits."""

WHOLE_DATE = re.compile(r"\s*\d{4}[-/]\d{1,2}[-/]\d")
_YEAR, _MONTH, _WEEK = r"[12]\d{3}", r"(?:0?[1-9]|1[0-2])", r"(?:0[1-9]|[1-4]\d|5[0-3])"
_JAN, _JANUARY = (f"(?i:{'|'.join(names[1:])})" for names in (month_abbr, month_name))
_MONTHS = {
    "%Y/%m": f"{_YEAR}/{_MONTH}",
    "%m/%Y": f"{_MONTH}/{_YEAR}",
    "%Y%m": f"{_YEAR}(?:0[1-9]|1[0-2])",
    "%YM%m": f"{_YEAR}M{_MONTH}",
    "%b %Y": f"{_JAN} {_YEAR}",
    "%b-%Y": f"{_JAN}-{_YEAR}",
    "%Y %b": f"{_YEAR} {_JAN}",
    "%b-%y": rf"{_JAN}-\d\d",
    "%B %Y": f"{_JANUARY} {_YEAR}",
}
_CALLED_A_MONTH = re.compile(r"date|time|stamp|month|period|^ds$|^dt$|^ym$|yyyymm", re.IGNORECASE)
_NO_MARKS = "{0}.str.replace('[ -]', '', regex=True)"
_PERIODS = [
    *(("month", cell, f"pd.to_datetime({{0}}, format={form!r})") for form, cell in _MONTHS.items()),
    ("quarter", f"{_YEAR}[ -]?Q[1-4]", f"pd.PeriodIndex({_NO_MARKS}, freq='Q').start_time"),
    (
        "quarter",
        f"Q[1-4][ -]?{_YEAR}",
        "pd.PeriodIndex({0}.str[-4:] + {0}.str[:2], freq='Q').start_time",
    ),
    ("week", f"{_YEAR}[ -]?W{_WEEK}", f"pd.to_datetime({_NO_MARKS} + '-1', format='%GW%V-%u')"),
]
"""What a cell is, how it is written, and the first day of it by an expression of its column."""


@dataclass(frozen=True)
class DayOrder:
    """How dates that do not begin with the year are read.

    Attributes:
        day_first: whether the day is the first number, or the month.
        doubts: what else a date may be, and what to change where it is; see `if_sure`.
    """

    day_first: bool
    doubts: Mapping[str, str]

    def options(self) -> dict[str, Any]:
        """What `pandas.read_csv` and `pandas.to_datetime` are told of it."""
        return {"dayfirst": True} if self.day_first else {}


def if_sure(line: Rewriting, doubts: Mapping[str, str]) -> str:
    """Leave a rewriting to a person where there is a doubt, and say what to change in it.

    Args:
        line: by the more likely readings.
        doubts: what else something may be, and what to change where it is.
    """
    return "; ".join([line.by_hand, *doubts.values()]) if doubts else line


def day_order(cells: Sequence[str]) -> DayOrder | None:
    """Tell the day from the month by the numbers above 12; None where not all cells are dates."""
    numbers: list[tuple[int, int]] = []
    doubts: dict[str, str] = {}
    for cell in cells:
        match = _DAY.match(cell.strip())
        if match is None:
            return None
        numbers.append((int(match[1] or match[4]), int(match[3] or match[5])))
        if match[6] and int(match[6]) in _EITHER_CENTURY and not doubts:
            doubt = f"{cell.strip()!r} may be of either century"
            doubts[doubt] = "take 100 years off times that it puts into the future"
    first, second = (max(column, default=0) > 12 for column in zip(*numbers, strict=True))
    if first or second:
        return None if first and second else DayOrder(first, doubts)
    for cell, (day, month) in zip(cells, numbers, strict=True):
        if day != month:
            readings = f"{day} {month_name[month]} or {month} {month_name[day]}"
            doubt = f"{cell.strip()!r} is {readings}, and no day above 12 tells which"
            doubts[doubt] = "leave out dayfirst=True if the month comes first"
            break
    return DayOrder(True, doubts)


def date_fault(path: Path, frame: pd.DataFrame, columns: Iterable[str]) -> UserError | None:
    """Describe the first of some columns whose cells are times, but written otherwise.

    One of months, quarters or weeks counts where no other tells the days: beside them it may just
    say again what month it is.
    """
    columns = list(columns)
    for column in columns:
        fault = (
            _day_fault(path, frame, column)
            or _number_fault(path, column, frame[column])
            or _midnight_fault(path, column, frame[column])
        )
        if fault:
            return fault
    if any(WHOLE_DATE.match(frame[column].iloc[0]) for column in columns):
        return None
    faults = (_period_fault(path, column, frame[column]) for column in columns)
    return next(filter(None, faults), None)


def clock_fault(path: Path, frame: pd.DataFrame, date: str) -> UserError | None:
    """Describe a column of dates beside which another one holds the times of the day."""
    clock = _clock_column(frame, date)
    if clock is None:
        return None
    what = f"holds dates alone, and {_beside(clock)}"
    return UserError(f"{path}: column '{date}'", what, _joined(path, frame, date, clock, {}))


def _day_fault(path: Path, frame: pd.DataFrame, column: str) -> UserError | None:
    cells = list(frame[column])
    order = day_order(cells)
    if order is None:
        return None
    first = "day" if order.day_first else "month"
    what = ", and ".join(order.doubts) or f"{cells[0]!r:.60} begins with the {first}"
    timed = any(":" in cell for cell in cells)
    clock = None if timed else _clock_column(frame, column)
    if clock and frame[column].is_unique and frame[clock].nunique() > 1:
        clock = None  # a time in a day, as that of sunrise, and not of the row
    starts, ends = zip(*(cell.partition(_TO)[::2] for cell in cells), strict=True)
    if day_order(ends):
        what += ", and an end follows each time"
        read = _read(f"t[{column!r}].str.partition({_TO!r})[0]", starts, order.options())
        line = rewritten(path, "keep the beginnings", assigned(column, read), dtype="str")
    elif clock is None:
        read = _read(f"t[{column!r}]", cells, order.options())
        line = rewritten(path, change=assigned(column, read), dtype="str")
    else:
        what += f", and {_beside(clock)}"
        line = _joined(path, frame, column, clock, order.options())
    cure = if_sure(line, order.doubts)
    return UserError(f"{path}: line {FIRST_LINE}, column '{column}'", what, cure)


def parts_fault(path: Path, frame: pd.DataFrame, date: str) -> UserError | None:
    """Describe times whose year, month, day, ... stand in a column each; not their year alone."""
    named = {column.strip().lower(): column for column in reversed(frame.columns)}
    parts = [named[part] for part in _PARTS if part in named]
    whole = all(frame[part].str.fullmatch(r"\s*\d+\s*").all() for part in parts)
    if not {"year", "month"} <= named.keys() or not whole:
        return None
    if date not in parts and frame.duplicated(parts).any():
        return None
    first = "" if "day" in named else ".assign(day=1)"
    new = named.get("date", "date")
    change = f"{assigned(new, f'pd.to_datetime(t[{parts!r}]{first})')}.drop(columns={parts!r})"
    what = f"is but a part of a time, whose parts stand in {', '.join(map(repr, parts))}"
    return UserError(f"{path}: column '{date}'", what, rewritten(path, "join them", change))


def _clock_column(frame: pd.DataFrame, date: str) -> str | None:
    """The first column of times of day; or of hours that are another in each row of a date."""
    for column in frame.columns.drop(date):
        if frame[column].str.fullmatch(f"{_CLOCK}|{_DOTTED}").all():
            return str(column)
        hours = _CALLED_AN_HOUR.search(column) and frame[column].str.fullmatch(_HOUR).all()
        if hours and not frame.duplicated([date, column]).any():
            return str(column)
    return None


def _beside(clock: str) -> str:
    return f"the time stands in column '{clock}'"


def _joined(
    path: Path, frame: pd.DataFrame, date: str, clock: str, options: dict[str, Any]
) -> Rewriting:
    if frame[clock].str.fullmatch(_HOUR).all():
        hours = f"pd.to_timedelta(t[{clock!r}].astype(int), unit='h')"
        read = f"{_read(f't[{date!r}]', frame[date], options)} + {hours}"
    else:
        times = f"t[{clock!r}]"
        if frame[clock].str.fullmatch(_DOTTED).any():
            times += ".str.replace('.', ':')"
        read = _read(f"t[{date!r}] + ' ' + {times}", frame[clock], options)
    change = f"{assigned(date, read)}.drop(columns={clock!r})"
    return rewritten(path, "join them", change, dtype="str")


def _read(texts: str, cells: Iterable[str], options: dict[str, Any]) -> str:
    """The expression that reads times, of which pandas guesses the form from the first."""
    forms = {re.sub(r"\d+", "0", cell) for cell in cells}
    if len(forms) > 1 or "M" in forms.pop().upper():  # it does not guess one with AM or PM
        options = options | {"format": "mixed"}
    told = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"pd.to_datetime({texts}{told})"


def _number_fault(path: Path, column: str, texts: pd.Series[Any]) -> UserError | None:
    """Numbers in the range of times, which stand in order or mostly one step apart.

    Those of a date and an hour, as 2024010106, would be seconds of the 2030s as well.
    """
    if not texts.str.fullmatch(r"\s*\d{9,19}(?:\.\d*)?\s*").all():
        return None
    numbers = texts.astype(float).to_numpy()
    steps, counts = np.unique(np.diff(numbers), return_counts=True)
    steps, counts = steps[steps != 0], counts[steps != 0]
    if not len(steps) or (steps[0] < 0 and counts.max() < 0.5 * counts.sum()):
        return None
    where, first = f"{path}: line {FIRST_LINE}, column '{column}'", texts.iloc[0]
    form = _without_marks(texts.str.strip())
    if form:
        change = assigned(column, f"pd.to_datetime(t[{column!r}].str.strip(), format={form!r})")
        what = f"{first!r} is a date and a time without marks between them"
        return UserError(where, what, rewritten(path, change=change, dtype="str"))
    for power, (unit, word) in enumerate(_UNIX.items()):
        low, high = (seconds * 1000.0**power for seconds in _UNIX_RANGE)
        if low <= numbers.min() and numbers.max() <= high:
            change = assigned(column, f"pd.to_datetime(t[{column!r}], unit={unit!r})")
            what = f"{first!r} counts {word} since 1970"
            return UserError(where, what, rewritten(path, change=change))
    return None


def _midnight_fault(path: Path, column: str, texts: pd.Series[Any]) -> UserError | None:
    """Times of which some are of 24:00, where an hour is named by its end."""
    at_24 = texts.str.contains(_AT_24).to_numpy(dtype=bool)
    if not at_24.any() or not texts.str.fullmatch(_TO_THE_MINUTE).all():
        return None
    time = f"t[{column!r}].str.strip()"
    read = f"pd.to_datetime({time}.str[:10]) + pd.to_timedelta({time}.str[11:16] + ':00')"
    row = int(at_24.argmax())
    where = f"{path}: line {row + FIRST_LINE}, column '{column}'"
    cure = rewritten(path, "write 0:00 of the next day", assigned(column, read), dtype="str")
    return UserError(where, f"{texts.iloc[row]!r:.60} is past 23:59", cure)


def _without_marks(cells: pd.Series[Any]) -> str | None:
    """How dates of 1900 to 2099 with a time of day are written in whole numbers, if they are."""
    import pandas as pd

    digits = len(cells.iloc[0])
    form = _WITHOUT_MARKS.get(digits)
    if form is None or not cells.str.fullmatch(rf"(?:19|20)\d{{{digits - 2}}}").all():
        return None
    return None if pd.to_datetime(cells, format=form, errors="coerce").isna().any() else form


def _period_fault(path: Path, column: str, texts: pd.Series[Any]) -> UserError | None:
    """Months, quarters or weeks; whole numbers only in a column that is called like a time."""
    for period, cell, expression in _PERIODS:
        if not re.fullmatch(cell, texts.iloc[0]) or not texts.str.fullmatch(cell).all():
            continue
        if texts.iloc[0].isdigit() and not _CALLED_A_MONTH.search(column):
            return None
        change = assigned(column, expression.format(f"t[{column!r}]"))
        first = f"let the first day of each {period} stand for it"
        line = rewritten(path, first, change, dtype="str")
        cure: str = line
        if "%y" in expression:
            cure = f"{line.by_hand}; years of 69 and more are read as 19.., those below as 20.."
        where = f"{path}: line {FIRST_LINE}, column '{column}'"
        return UserError(where, f"{texts.iloc[0]!r} is a {period}", cure)
    return None
