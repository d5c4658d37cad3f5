"""A table of forecasts, a row for each value, as an array of every test window's.

Its columns are those of Nixtla's libraries: `unique_id` is the channel, `ds` the time of the value,
`cutoff` that of the last row before the window's horizon. So it says itself which windows it is of.

Shapes: N rows, W test windows, H horizon, C channels.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.config import nearest
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.files import exact_floats
from benchmark.words import time_text

if TYPE_CHECKING:
    import pandas as pd

CHANNEL, TIME, CUTOFF = KEYS = ("unique_id", "ds", "cutoff")
TRUTH = "y"
"""What such a table calls the true values."""
BESIDE = re.compile(r".+-(lo|hi)-[\d.]+|Unnamed: \d+")
"""Columns beside a forecast: the ends of its intervals, and the index that pandas writes."""


def read_table(
    path: Path, task: Task, column: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Read the forecasts of every test window; of others, as of validation, none is looked at.

    Args:
        path: a ``.csv`` or ``.parquet``.
        task: whose test windows they are.
        column: the one that holds them; None takes the only one there is.

    Returns:
        ``(W, H, C)``, as they are in the file, and the true values beside them likewise; None where
        it has no column `TRUTH`.

    Raises:
        UserError: the file cannot be read, lacks a column, or does not hold each value once.
    """
    table = _read(path)
    name = _column(path, table, column)
    windows = task.windows("test")
    window = _rows(path, table[CUTOFF], task) + 1 - windows.first
    ours = (window >= 0) & (window < len(windows))
    table, window = table[ours], window[ours]
    step = _rows(path, table[TIME], task) - windows.first - window
    within = (step >= 0) & (step < task.horizon)
    if not within.all():
        row = int(within.argmin())
        time, cutoff = (table[key].iloc[row] for key in (TIME, CUTOFF))
        what = f"{time} is {step[row] + 1} steps after its cutoff, {cutoff}"
        cure = f"the horizon is {task.horizon}: name the one that was forecast with --horizon"
        if step[row] < 0:
            cure = f"{CUTOFF} is the time of the last row before the horizon"
        raise UserError(f"{path}: column {TIME!r}", what, cure)
    shape = len(windows), task.horizon, task.channels
    place = np.ravel_multi_index((window, step, _channels(path, table[CHANNEL], task)), shape)
    count = np.bincount(place, minlength=np.prod(shape))
    if (count != 1).any():
        raise _count_fault(path, count.reshape(shape), task, windows.first)

    def placed(name: str, cure: str) -> NDArray[np.float64]:
        array = np.empty(shape)
        array.reshape(-1)[place] = _numbers(path, table[name], cure)
        return array

    forecasts = placed(name, "name another with --column")
    if TRUTH not in table.columns:
        return forecasts, None
    return forecasts, placed(TRUTH, "write the true values there, or take the column out")


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix.lower() == ".csv":
            options: dict[str, Any] = exact_floats()
            table: pd.DataFrame = pd.read_csv(path, dtype={CHANNEL: str}, **options)
        else:
            table = pd.read_parquet(path)
    except ImportError:
        cure = "pip install 'ts-benchmark[parquet]'"
        raise UserError(str(path), "pyarrow is not installed", cure) from None
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())[:200]
        raise UserError(str(path), f"cannot be read ({reason})") from None
    except ValueError as error:
        what = f"is no table ({' '.join(str(error).split()):.200})"
        raise UserError(str(path), what, "write it anew") from None
    return table if CHANNEL in table.columns else table.reset_index()


def _column(path: Path, table: pd.DataFrame, wanted: str | None) -> str:
    lacking = [key for key in KEYS if key not in table.columns]
    if lacking:
        what = f"has no column {', '.join(map(repr, lacking))}"
        cure = f"{CHANNEL} is the channel, {TIME} the time, {CUTOFF} that of the last row before"
        raise UserError(str(path), what, cure)
    others = [str(name) for name in table.columns if name not in (*KEYS, TRUTH)]
    if not others:
        what = "has no column of forecasts"
        if TRUTH in table.columns:
            what += f": {TRUTH!r} is the true values"
        raise UserError(str(path), what, "write them into one with the model's name")
    if wanted in others:
        return wanted
    if wanted is not None:
        raise UserError(f"--column {wanted}", f"is not in {path}", nearest(wanted, others))
    likely = [name for name in others if not BESIDE.fullmatch(name)] or others
    if len(likely) == 1:
        return likely[0]
    what = f"{len(likely)} columns may be the forecast ({', '.join(likely):.200})"
    raise UserError(str(path), what, "name one: --column NAME")


def _rows(path: Path, times: pd.Series[Any], task: Task) -> NDArray[np.int64]:
    """Number the rows of the series at which times stand ``(N,)``."""
    import pandas as pd

    known = pd.Index(task.series.timestamps)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            found = pd.DatetimeIndex(pd.to_datetime(times))  # a guess is held to the rows below
    except (ValueError, TypeError) as error:
        what = f"is no time ({' '.join(str(error).split()):.200})"
        raise UserError(f"{path}: column {times.name!r}", what, "write it as in the data") from None
    rows = known.get_indexer(found if found.tz is None else found.tz_convert(None))
    if (rows < 0).any():
        what = f"{times.iloc[int((rows < 0).argmax())]} is no time of {task.series.name}"
        cure = f"its rows are from {known[0]} to {known[-1]}"
        raise UserError(f"{path}: column {times.name!r}", what, cure)
    return rows.astype(np.int64)


def _channels(path: Path, names: pd.Series[Any], task: Task) -> NDArray[np.int64]:
    """Number the channels that names are of ``(N,)``."""
    import pandas as pd

    found = pd.Index(task.series.channels).get_indexer(pd.Index(names.astype(str)))
    if (found < 0).any():
        name = str(names.iloc[int((found < 0).argmax())])
        cure = nearest(name, task.series.channels)
        what = f"{name!r} is no channel of {task.series.name}"
        raise UserError(f"{path}: column {CHANNEL!r}", what, cure)
    return found.astype(np.int64)


def _numbers(path: Path, values: pd.Series[Any], cure: str) -> NDArray[np.float64]:
    import pandas as pd

    try:
        if values.dtype.kind in "bmM":  # pandas would make numbers of truths and of times
            raise TypeError(str(values.dtype))
        return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        what = f"is no number ({' '.join(str(error).split()):.200})"
        raise UserError(f"{path}: column {values.name!r}", what, cure) from None


def _count_fault(path: Path, count: NDArray[np.int64], task: Task, first: int) -> UserError:
    steps = int(np.flatnonzero(count.any(axis=(0, 2))).max(initial=-1)) + 1
    if 0 < steps < task.horizon:
        what = f"holds forecasts of {steps} steps at most, not of {task.horizon}"
        return UserError(str(path), what, f"name their horizon: --horizon {steps}")
    times, names = task.series.timestamps, task.series.channels
    found, forecast = count.any(axis=(1, 2)), count.any(axis=(0, 1))
    twice = bool((count > 1).any())
    if not (twice or found.all()):
        begin, end = (time_text(times[first + number - 1]) for number in (0, len(count) - 1))
        what = f"holds {found.sum():,} of the {len(count):,} test windows"
        cure = f"forecast from each cutoff from {begin} to {end}, with a step size of 1"
        return UserError(str(path), what, cure)
    if not (twice or forecast.all()):
        lacking = ", ".join(np.array(names)[~forecast])
        what = f"holds no forecast of {lacking:.200}"
        return UserError(str(path), what, f"each channel of {task.series.name} is forecast")
    window, step, channel = np.argwhere(count > 1 if twice else count == 0)[0]
    cutoff, time = (time_text(times[first + window + ahead]) for ahead in (-1, step))
    what = f"holds {count[window, step, channel]} forecasts of {names[channel]} at {time}"
    cure = "each channel, time and cutoff is forecast once: "
    cure += "keep one of these rows" if twice else "forecast this one as well"
    return UserError(str(path), f"{what} from cutoff {cutoff}", cure)
