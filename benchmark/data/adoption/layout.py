"""Why times repeat in a user's file: what tells the repeats apart, and the line that mends it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data.dates import clock_fault, parts_fault
from benchmark.data.rewrite import rewritten
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_MOSTLY = 0.1
"""Share of the times that repeat in such a file; fewer are mistakes, or a clock put back."""

_NAMED = 3
"""Values of a column that are told."""

_MOST_KEYS = 3
"""Columns that are tried together to tell series apart; or all of texts."""

_MOST_LABELS = 10
"""Columns that are tried at all, of numbers those of the fewest values."""

_A_FEW = 10_000
"""Rows that are looked at before all of them."""

_FILLED = 0.1
"""Share of all series at all times that has a row, where numbers tell the series apart."""

_LEAST_TIMES = 5
"""Columns that are called like times, from which on times are what they are."""

_DATED = re.compile(r"\s*(?:[12]\d{3}(?:[-/.]\d.*)?|\d{1,2}([-/.])\d{1,2}\1\d{2,4})\s*")

_WHOLE = r"\s*\d+(?:\.0*)?\s*"
_CALLED_A_TIME = re.compile(
    r"date|time|year|quarter|month|week|day|hour|minute|second|period|interval|slot|^hr$|^he$",
    re.IGNORECASE,
)


def repeat_fault(
    path: Path, frame: pd.DataFrame, time_column: str, channels: Sequence[str]
) -> UserError | None:
    """Describe a file whose times repeat because of its layout; None where they just do.

    Args:
        path: the file.
        frame: its cells.
        time_column: the column whose times repeat.
        channels: the columns of numbers.
    """
    if (frame[time_column].value_counts() > 1).mean() < _MOSTLY:
        return None
    return (
        parts_fault(path, frame, time_column)
        or clock_fault(path, frame, time_column)
        or _long_fault(path, frame, time_column, channels)
    )


def wide_fault(path: Path, columns: Sequence[str]) -> UserError | None:
    """Describe a file of a row for each series and a column for each time; None if it is none.

    Args:
        path: the file.
        columns: the names in its first line.
    """
    times = [column for column in columns if _DATED.fullmatch(column)]
    others = [column for column in columns if column not in times]
    if not others or len(times) < max(_LEAST_TIMES, len(others)) or len(set(times)) < len(times):
        return None
    if any(map(_CALLED_A_TIME.search, others)):  # beside days, a column a year is a channel
        return None
    name, rest = others[0], others[1:]
    change = f".drop(columns={rest!r})" if rest else ""
    change += f".set_index({name!r}).T.rename_axis('date').reset_index()"
    what = f"names {len(times):,} times, from {times[0]!r} on: a row is a series"
    cure = rewritten(path, "turn the table round", change, dtype="str")
    return UserError(f"{path}: line 1", what, cure)


def _long_fault(
    path: Path, frame: pd.DataFrame, time_column: str, channels: Sequence[str]
) -> UserError | None:
    rows = frame.drop_duplicates()
    keys = _keys(rows, time_column, channels)
    values = [channel for channel in channels if channel not in keys]
    if not keys or not values:
        return None
    names = rows[keys].drop_duplicates().agg(", ".join, axis=1).tolist()
    told = "; ".join([*names[:_NAMED], *(["..."] if len(names) > _NAMED else [])])
    what = "is in long format: a time repeats for each value of "
    what += f"{' and '.join(map(repr, keys))} ({told})"
    deed, change = "make a column of each", ""
    if len(rows) < len(frame):
        deed, change = f"{deed}, of rows that repeat once", ".drop_duplicates()"
    named = len(keys) == len(values) == 1 and keys[0] not in channels and time_column not in names
    if named:
        change += f".pivot(index={time_column!r}, columns={keys[0]!r}, values={values[0]!r})"
    else:  # a name of several parts would be written as several lines; one may be a number's
        change += f".pivot(index={time_column!r}, columns={keys}, values={values})"
        joined = "t.columns.map(lambda name: '_'.join(map(str, name)))"
        change += f".pipe(lambda t: t.set_axis({joined}, axis=1))"
    texts = {} if set(keys) & set(channels) else {"dtype": "str"}  # numbers would stand as 1, 10, 2
    cure = rewritten(path, deed, f"{change}.reset_index()", **texts)
    return UserError(f"{path}: column '{time_column}'", what, cure)


def _keys(rows: pd.DataFrame, time_column: str, channels: Sequence[str]) -> list[str]:
    """The fewest columns that tell the rows of each time apart, if texts do, of texts alone.

    Numbers that do so may be what was measured: those of a label stand at many of the times.
    """
    texts = [c for c in rows.columns.drop([time_column, *channels]) if _is_label(rows[c])]
    sizes = {c: rows[c].nunique() for c in channels if _may_number_series(rows, c)}
    labels = [*texts, *sorted(sizes, key=lambda column: sizes[column])][:_MOST_LABELS]
    codes = rows[[time_column, *{*texts, *labels}]].apply(lambda column: column.factorize()[0])
    codes = codes.sort_values(time_column)
    few = codes.head(_A_FEW)  # most columns fail on these, at a glance
    times = rows[time_column].nunique()
    several = range(1, _MOST_KEYS + 1)
    of_texts = [keys for size in several for keys in combinations(texts[:_MOST_LABELS], size)]
    of_any = [keys for size in several for keys in combinations(labels, size)]
    for keys in map(list, [*of_texts, texts, *of_any]):
        together = [time_column, *keys]
        if not keys or few.duplicated(together).any() or codes.duplicated(together).any():
            continue
        series = len(codes[keys].drop_duplicates())
        if set(keys) <= set(texts) or len(rows) >= _FILLED * times * series:
            return keys
    return []


def _is_label(texts: pd.Series[Any]) -> bool:
    """Whether a column may name the series of its rows: no time of day, nor a remark on some."""
    different = texts.drop_duplicates()  # of a label they are few
    clock = different.str.match(r"\s*\d{1,2}:\d\d").any()
    return not clock and "" not in set(different) and len(different) <= len(texts) / 2


def _may_number_series(rows: pd.DataFrame, column: str) -> bool:
    """Whether a column's numbers may count series, instead of the hours or the slots of a day."""
    whole = rows[column].drop_duplicates().str.fullmatch(_WHOLE).all()
    return bool(whole) and not _CALLED_A_TIME.search(column) and _is_label(rows[column])
