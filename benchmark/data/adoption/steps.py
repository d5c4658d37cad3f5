"""How far apart the rows of a user's file are, and what to do where that is by no rule."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.frequency import CALENDAR, SECONDS, Frequency
from benchmark.data.missing import MOST_ROWS
from benchmark.data.rewrite import assigned, rewritten
from benchmark.data.times import FIRST_LINE, Times
from benchmark.errors import UserError

_PERIODS = {"month": (1, "M"), "quarter": (3, "Q"), "year": (12, "Y")}
"""Months of each, and what pandas calls it."""

_MOSTLY = 0.9
"""Share of the steps that lead into the next period, though no one length has that share."""

_ODD = 0.02
"""Share of the steps of a series of working days that may begin or end on no such day."""

_REGULAR = 0.5
"""Share of the steps that are as long as the most frequent one, from which it is the rule."""

_MOSTLY_ABSENT = (
    "more than half of its times are absent, as where rows are of business hours alone: "
    "take means over a longer step, e.g. a day, or add the rows between"
)

_BESIDE = 0.05
"""Share of an hour, a minute, ... by which the middle one of other steps may miss whole ones."""


def most_frequent_step(times: Times) -> Frequency:
    """Return the most frequent step from one time to the next.

    It is one of the calendar where that explains more of them, and all times are on its grid; of
    working days, nearly all, as a series that has a Saturday once is none of seven days a week.
    Where no step is frequent, it is the one that they keep on average, if that is a whole one.
    """
    found, share = _most_frequent(np.diff(times).astype(np.int64))
    step = next(
        Frequency(found // s, unit) for unit, s in reversed(SECONDS.items()) if found % s == 0
    )
    for unit in CALENDAR:
        steps = Frequency(1, unit).between(times)
        count, explained = _most_frequent(steps)
        odd = ((steps <= 0) | (steps % max(count, 1) != 0)).mean()
        if count > 0 and odd <= (_ODD if unit == "B" else 0) and explained > share:
            step, share = Frequency(count, unit), explained
    return step if share >= _REGULAR else _about(times) or step


def _most_frequent(steps: NDArray[Any]) -> tuple[int, float]:
    lengths, counts = np.unique(steps, return_counts=True)
    return int(lengths[counts.argmax()]), counts.max() / len(steps)


def calendar_fault(path: Path, time_column: str, times: Times) -> UserError | None:
    """Describe times about a month, a quarter or a year apart, but on no day that is told by rule.

    The first working day of a month is such, say. None where they are not.
    """
    steps = np.diff(times).astype(np.int64)
    if most_frequent_step(times).unit in CALENDAR or _most_frequent(steps)[1] >= _MOSTLY:
        return None
    for period, (months, code) in _PERIODS.items():
        number = times.astype("datetime64[M]").astype(np.int64) // months
        if (np.diff(number) == 1).mean() < _MOSTLY:
            continue
        what = f"has about a row a {period}, but not on one day of it"
        repeated = np.flatnonzero(np.diff(number) == 0)
        if repeated.size:
            line = int(repeated[0]) + FIRST_LINE
            what += f": lines {line} and {line + 1} are of the same {period}"
            cure = "keep one of them, or give the rows days that are a fixed step apart"
        else:
            day = f"pd.to_datetime(t[{time_column!r}]).dt.to_period({code!r}).dt.start_time"
            first = f"let the first day of each {period} stand for it"
            cure = rewritten(path, first, assigned(time_column, day))
        return UserError(f"{path}: column '{time_column}'", what, cure)
    return None


def step_cure(path: Path, time_column: str, times: Times, frequency: str | None) -> str:
    """Say what to do where times do not fit the step.

    Args:
        path: the file.
        time_column: its column of times.
        times: which are in order.
        frequency: the step, where the user gave it.
    """
    import pandas as pd

    by_hand = "mend the file, or give another step with --frequency"
    if frequency is None:
        about = _about(times)
        by_hand = "mend the file, or give the step with --frequency"
        if about is None:
            steps = most_frequent_step(times).between(times)
            return _MOSTLY_ABSENT if steps.sum() >= MOST_ROWS * len(times) else by_hand
        frequency = str(about)
    by_day = frequency in ("D", "B")  # an afternoon is of its day, whichever midnight is nearer
    rounded = pd.DatetimeIndex(times)
    with suppress(ValueError):  # a week, of which pandas does not know where it begins
        rounded = rounded.normalize() if by_day else rounded.round(frequency)
    if rounded.has_duplicates or bool((rounded == times).all()):
        return by_hand
    how = "normalize()" if by_day else f"round({frequency!r})"
    deed = "leave out its times of day" if by_day else "round its times"
    change = assigned(time_column, f"pd.to_datetime(t[{time_column!r}]).dt.{how}")
    return f"mend the file, or {rewritten(path, deed, change).by_hand}"


def _about(times: Times) -> Frequency | None:
    """The step that times keep on average and most of them not exactly, as a clock that drifts."""
    steps = np.diff(times).astype(np.int64)
    if _most_frequent(steps)[1] >= _REGULAR:
        return None
    middle = float(np.median(steps))
    for unit, seconds in reversed(SECONDS.items()):
        count = round(middle / seconds)
        if count and abs(middle - count * seconds) <= _BESIDE * seconds:
            return Frequency(count, unit)
    return None
