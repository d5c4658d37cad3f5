"""What came before, as Python hands it to a fitted model: a DataFrame or an array of numbers.

A DataFrame with times is read as the CSV of it would be, so a saved model forecasts the same of
both. Without times, rows are taken to be one step apart, and the last one to be the present.
"""

from __future__ import annotations

from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.data.dates import day_order
from benchmark.data.frames import frame_as_csv
from benchmark.data.rows import read_rows, time_column
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.data.load import Series


def read_history(
    history: ArrayLike | pd.DataFrame, series: Series, lookback: int
) -> NDArray[np.float64]:
    """Return a history's rows ``(T, C)`` in original units; what is missing is NaN.

    Args:
        history: of every channel. A DataFrame's columns are taken by the channels' names, and its
            times are those of the data set's time column, or of its index.
        series: of the data set that the model was fitted on.
        lookback: rows that the model reads.

    Raises:
        ValueError: a channel has no column, or several, or holds no real numbers; or times go
            backward.
        UserError: it is the path of a file, or a table of another library; or as `read_rows` of a
            DataFrame with times.
    """
    import pandas as pd

    if isinstance(history, str | PathLike):
        what = f"is given {str(history)!r}, not the values of a file"
        raise UserError("forecast", what, "save the model: load(folder).forecast takes a path")
    if hasattr(history, "to_pandas"):  # of polars or pyarrow: numpy would take it by position
        what = f"is given a table of {type(history).__module__.partition('.')[0]}"
        raise UserError("forecast", what, "give it history.to_pandas()")
    if not isinstance(history, pd.DataFrame):
        return _numbers(history)
    table = _channels(history, series)
    column = time_column(series.card)
    times = _times(history, column)
    if times is None:
        return table.to_numpy(dtype=np.float64, na_value=np.nan)
    timed = table.set_axis(pd.Index(times, name=column))
    if series.card.missing == "error":  # then no row before the lookback has a say
        with suppress(UserError):  # told below, of its line among all rows
            return _read(timed.tail(lookback), series, lookback)
    return _read(timed, series, lookback)


def _read(frame: pd.DataFrame, series: Series, lookback: int) -> NDArray[np.float64]:
    with frame_as_csv(frame, series.card) as csv:
        return read_rows(series.card, series.channels, csv, lookback, whole=False).values


def _numbers(history: ArrayLike) -> NDArray[np.float64]:
    """Read an array, or what makes one; what it masks is missing."""
    try:
        values = history if isinstance(history, np.ma.MaskedArray) else np.asarray(history)
        _check_kind("an array", values.dtype)
        return np.ma.filled(values.astype(np.float64), np.nan)
    except TypeError as error:
        given = type(history).__name__
        raise ValueError(f"history must be rows of numbers, but is given {given}") from error


def _check_kind(what: str, kind: Any) -> None:
    """Refuse what numpy would make other numbers of: of times nanoseconds, of complex parts."""
    if kind.kind in "mMc":
        raise ValueError(f"history must be of real numbers, but has {what} of {kind}")


def _channels(frame: pd.DataFrame, series: Series) -> pd.DataFrame:
    """Take the columns that are a series' channels, in its order."""
    names, channels = list(map(str, frame.columns)), series.channels
    for channel in channels:
        if names.count(channel) != 1:
            count = "no column" if channel not in names else "several columns"
            raise ValueError(
                f"history must have a column of each channel, but has {count} {channel!r}; "
                f"take history.to_numpy() if its columns are {', '.join(channels)}"
            )
        _check_kind(f"column {channel!r}", frame.dtypes.iloc[names.index(channel)])
    found = frame.iloc[:, [names.index(channel) for channel in channels]]
    return found.set_axis(list(channels), axis=1)


def _times(frame: pd.DataFrame, column: str) -> pd.Series[Any] | None:
    """Find the times of a frame's rows; None where its index counts or names them.

    Raises:
        ValueError: they go backward.
    """
    import pandas as pd

    names = list(map(str, frame.columns))
    if names.count(column) == 1:
        what, times = f"column {column!r}", frame.iloc[:, names.index(column)]
    else:
        what, times = "index", frame.index.get_level_values(0).to_series()
    known = times
    is_time = pd.api.types.is_datetime64_any_dtype(times) or isinstance(times.dtype, pd.PeriodDtype)
    is_number = pd.api.types.is_numeric_dtype(times)
    if not (is_time or is_number):
        texts = times.astype(object)
        known = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    if what == "index" and (is_number or known.isna().all()):
        # days or months first: times all the same, refused as a file of them would be
        return None if is_number or day_order(times.astype(str).tolist()) is None else times
    if not known.dropna().is_monotonic_increasing:
        raise ValueError(f"history must be in order of time, but its {what} goes backward")
    return times
