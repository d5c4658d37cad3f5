"""How far apart the rows of a user's file are, and what to do where no fixed step is.

A month, a quarter and a year are none: their days differ, and the suite counts in equal steps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.data.rewrite import assigned, rewritten
from benchmark.data.times import Times
from benchmark.errors import UserError

_UNITS = ((604800, "W"), (86400, "D"), (3600, "h"), (60, "min"), (1, "s"))
_CALENDAR = {"month": (28, 31, 12), "quarter": (89, 92, 4), "year": (365, 366, 1)}
"""Days of each, at least and at most, and how many are a year."""

_MOSTLY = 0.9
"""Share of the steps that are one of these, though no one length has that share; a gap is none."""


def most_frequent_step(times: Times) -> str:
    """Return the most frequent step from one time to the next, as a frequency."""
    lengths, counts = np.unique(np.diff(times).astype(np.int64), return_counts=True)
    step = int(lengths[counts.argmax()])
    seconds, unit = next((s, u) for s, u in _UNITS if step % s == 0)
    return f"{step // seconds if step > seconds else ''}{unit}"


def calendar_fault(path: Path, time_column: str, times: Times) -> UserError | None:
    """Describe times a month, a quarter or a year apart; None where they are not."""
    days = np.diff(times).astype(np.int64) / 86400
    for unit, (fewest, most, in_a_year) in _CALENDAR.items():
        inside = (fewest <= days) & (days <= most)
        lengths = np.unique(days[inside], return_counts=True)[1]
        if inside.mean() < _MOSTLY or lengths.max() >= _MOSTLY * len(days):
            continue
        what = f"has a row a {unit}, and {unit}s are no fixed step, which the suite needs"
        cure = "use rows of whole days"
        if inside.all():  # with a gap, the rows that follow would be counted too early
            counted = assigned(time_column, "pd.date_range('2000-01-01', periods=len(t))")
            cure += f", or {rewritten(path, f'let a day stand for each {unit}', counted)}"
            cure += f"; add that with --season {in_a_year}" if in_a_year > 1 else ""
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

    if frequency is None:
        return "mend the file, or give the step with --frequency"
    try:
        rounded = pd.DatetimeIndex(times).round(frequency)
    except ValueError:  # a week, of which pandas does not know where it begins
        rounded = pd.DatetimeIndex(times)
    if rounded.has_duplicates or bool((rounded == times).all()):
        return "mend the file, or give another step with --frequency"
    change = assigned(time_column, f"pd.to_datetime(t[{time_column!r}]).dt.round({frequency!r})")
    return f"mend the file, or {rewritten(path, 'round its times', change)}"
