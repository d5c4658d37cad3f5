"""The times of a data file's rows: reading them, and checking that they are one step apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.card import DatasetCard
from benchmark.data.frequency import CALENDAR
from benchmark.data.rewrite import assigned, in_time_order, rewritten
from benchmark.data.zones import put_back_cure
from benchmark.errors import UserError
from benchmark.words import time_text

if TYPE_CHECKING:
    import pandas as pd

_TIME_ZONE = r":\d\d(?:\.\d+)?\s*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_ZONED = "has a time zone"
_MIDNIGHT = r"(?:\s*|.*[T ]00:00(?::00(?:\.0+)?)?\s*(?:Z|[+-][\d:]+)\s*)"
_UTC = r"\s*(?:Z|[+-]00(?::?00)?)$"
_WITH_SLASHES = {0: "%Y/%m/%d", 1: "%Y/%m/%d %H:%M", 2: "%Y/%m/%d %H:%M:%S"}
"""Formats beside ISO 8601, by their number of colons. Year first: no other order is certain."""

Times = NDArray[np.datetime64]

STEPS_CURE = "mend the file, or correct frequency, missing or irregular_steps in the card"

FIRST_LINE = 2  # of the rows: a file with a time column has a header


def counted_times(card: DatasetCard, rows: int) -> Times:
    """Return times for a file that has none: from the card's start on, ``(T,)`` datetime64[s]."""
    return card.step.after(np.datetime64(card.start, "s"), np.arange(rows))


def read_times(path: Path, texts: pd.Series[Any], first_line: int = FIRST_LINE) -> Times:
    """Read a column of times ``(T,)`` into datetime64[s]; those that are all in UTC, as UTC.

    Args:
        path: the file, for errors.
        texts: the cells, named as their column.
        first_line: where the first of them stands, for errors.

    Raises:
        UserError: a time is empty, unreadable, finer than a second or in another time zone.
    """
    import pandas as pd

    zoned = texts.str.contains(_TIME_ZONE, na=False).to_numpy(dtype=bool)
    if zoned.any():
        in_utc = zoned & texts.str.contains(_UTC, na=False).to_numpy(dtype=bool)
        if not (in_utc | (texts.fillna("") == "").to_numpy()).all():
            cure = _without_zone(path, texts)
            raise _fault(path, texts, first_line, zoned, _ZONED, cure)
        texts = texts.str.replace(_UTC, "", regex=True)
    form = "ISO8601"
    if re.match(r"\d{4}/", str(texts.iloc[0])):
        form = _WITH_SLASHES.get(texts.iloc[0].count(":"), form)
    try:
        parsed = pd.to_datetime(texts, format=form, errors="coerce")
        has_zone = parsed.dt.tz is not None
    except ValueError:  # pandas refuses times of several zones, or of some and of none
        has_zone = True
    if has_zone:  # of a form that is not ours, e.g. +1
        zoned = np.array([_in_a_zone(text) for text in texts])
        cure = _without_zone(path, texts)
        raise _fault(path, texts, first_line, zoned, _ZONED, cure)
    exact = parsed.to_numpy()
    times: Times = exact.astype("datetime64[s]")
    wrong = np.isnat(exact) | (exact != times)
    if wrong.any():
        cures = [] if np.isnat(exact).any() else [_to_the_second(path, texts.name, exact)]
        raise _fault(path, texts, first_line, wrong, "is no time to the second", *cures)
    return times


def _to_the_second(path: Path, column: Any, exact: NDArray[np.datetime64]) -> str:
    """Say how to leave out fractions of seconds, as a logger writes them."""
    import pandas as pd

    if pd.DatetimeIndex(exact).round("s").has_duplicates:
        return "steps below a second are not read: take means over a second, or longer"
    change = assigned(column, f"pd.to_datetime(t[{column!r}], format='mixed').dt.round('s')")
    return rewritten(path, "round them to it", change, dtype="str")


def _in_a_zone(text: Any) -> bool:
    import pandas as pd

    time = pd.to_datetime(text, format="ISO8601", errors="coerce")
    return time is not None and time.tzinfo is not None


def check_steps(card: DatasetCard, path: Path, times: Times, first_line: int = FIRST_LINE) -> None:
    """Refuse repeated, unordered and unevenly spaced times, but for the steps the card declares.

    Args:
        card: declares the time step.
        path: the file, for errors.
        times: ``(T,)``.
        first_line: where the first of them stands, for errors.

    Raises:
        UserError: names the line of the first step at fault.
    """
    check_first(card, path, times, first_line)
    odd = card.step.between(times) != 1
    backward = bool((np.diff(times).astype(np.int64) < 0).any())
    if not backward and odd.sum() == card.irregular_steps:
        return
    if not backward and card.irregular_steps:
        what = f"has {odd.sum()} steps that are not {card.step.words}"
        cure = (
            f"its card declares {card.irregular_steps} irregular_steps: mend the one or the other"
        )
        raise UserError(str(path), what, cure)
    raise step_fault(card, path, times, odd, first_line)


def check_first(card: DatasetCard, path: Path, times: Times, first_line: int = FIRST_LINE) -> None:
    """Refuse a first time at which no step begins, as a Sunday where rows are working days.

    Raises:
        UserError: names its line.
    """
    misfit = card.step.misfit(times[0])
    if misfit:
        what = f"{time_text(times[0])} {misfit}"
        raise UserError(_place(path, first_line, card.time_column), what, STEPS_CURE)


def step_fault(
    card: DatasetCard,
    path: Path,
    times: Times,
    odd: NDArray[np.bool_],
    first_line: int = FIRST_LINE,
) -> UserError:
    """Describe the first step back in time, or where there is none the first of the odd steps.

    Args:
        card: declares the time step.
        path: the file.
        times: ``(T,)``.
        odd: which steps from one row to the next are at fault ``(T - 1,)``.
        first_line: where the first of the times stands.
    """
    steps = np.diff(times).astype(np.int64)
    backward = steps < 0
    row = int((backward if backward.any() else odd).argmax()) + 1
    time, before = (time_text(times[i]) for i in (row, row - 1))
    where = _place(path, row + first_line, card.time_column)
    put_back = "" if (steps > 0).all() else put_back_cure(path, str(card.time_column), times)
    if backward.any():
        what = f"{time} stands after {before}, so the rows are not in time order"
        sort = rewritten(path, "sort them", in_time_order(str(card.time_column)), dtype="str")
        return UserError(where, what, put_back or sort)
    cure = STEPS_CURE
    if steps[row - 1] == 0:
        first = rewritten(path, "keep the first", f".drop_duplicates({card.time_column!r})").by_hand
        return UserError(where, f"{time} stands there twice", put_back or f"{cure}; or {first}")
    misfit = card.step.misfit(times[row])
    if misfit:
        return UserError(where, f"{time} {misfit}", cure)
    absent = int(card.step.between(times[row - 1 : row + 1])[0]) - 1
    if card.step.unit in CALENDAR and absent > 0:
        what = f"{time} is not {card.step.words} after {before}: {absent} between them lack a row"
        return UserError(where, what, cure)
    step = np.timedelta64(steps[row - 1], "s").item()
    return UserError(where, f"{time} is {step} after {before}, not {card.step.words}", cure)


def _without_zone(path: Path, texts: pd.Series[Any]) -> str:
    """Say how to write times in UTC, as local ones stand there twice where a clock is put back.

    Days and months begin at midnight of the local calendar, which in UTC may be the day before.
    """
    column = str(texts.name)
    if texts.str.fullmatch(_MIDNIGHT, na=True).all():
        deed = "keep the local dates alone"
        read = f"t[{column!r}].str.replace('[T ]00:00.*', '', regex=True)"
    else:
        deed = "write all times in UTC"
        read = f"pd.to_datetime(t[{column!r}], utc=True, format='ISO8601')"
    return rewritten(path, deed, assigned(column, read), dtype="str")


def _fault(
    path: Path,
    texts: pd.Series[Any],
    first_line: int,
    wrong: NDArray[np.bool_],
    what: str,
    cure: str = "write e.g. 2016-07-01 00:15:00, in UTC or standard time",
) -> UserError:
    row = int(wrong.argmax())
    text = texts.iloc[row]
    got = f"{text!r:.60} {what}" if isinstance(text, str) else "is empty"
    return UserError(_place(path, row + first_line, texts.name), got, cure)


def _place(path: Path, line: int, column: object) -> str:
    return f"{path}: line {line}, column '{column}'"
