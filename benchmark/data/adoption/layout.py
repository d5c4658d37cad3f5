"""Why times repeat in a user's file: what tells the repeats apart, and the line that mends it."""

from __future__ import annotations

from collections.abc import Sequence
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


def _long_fault(
    path: Path, frame: pd.DataFrame, time_column: str, channels: Sequence[str]
) -> UserError | None:
    texts = frame.columns.drop([time_column, *channels])
    labels = [column for column in texts if _is_label(frame[column])]
    for keys in [*([label] for label in labels), labels]:
        if channels and not frame.duplicated([time_column, *keys]).any():
            break
    else:
        return None
    names = list(frame[keys].drop_duplicates().agg(", ".join, axis=1))
    told = "; ".join([*names[:_NAMED], *(["..."] if len(names) > _NAMED else [])])
    what = "is in long format: a time repeats for each value of "
    what += f"{' and '.join(map(repr, keys))} ({told})"
    single = len(keys) == len(channels) == 1
    values = channels[0] if single else list(channels)
    columns = keys[0] if single else keys
    change = f".pivot(index={time_column!r}, columns={columns!r}, values={values!r})"
    if not single:  # a name of several parts would be written as several lines
        joined = "t.columns.map(lambda name: '_'.join(map(str, name)))"
        change += f".pipe(lambda t: t.set_axis({joined}, axis=1))"
    cure = rewritten(path, "make a column of each", f"{change}.reset_index()")
    return UserError(f"{path}: column '{time_column}'", what, cure)


def _is_label(texts: pd.Series[Any]) -> bool:
    """Whether a column may name the series of its rows: no time of day, nor a remark on some."""
    clock = texts.str.match(r"\s*\d{1,2}:\d\d").any()
    return not clock and "" not in set(texts) and texts.nunique() <= len(texts) / 2
