"""Local times, told from others by what a clock does to them twice a year."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.rewrite import assigned, rewritten

_ZONES = (
    "Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "Australia/Sydney",
)  # fmt: skip
"""One of each of the more frequent ways to put a clock back, by day and hour."""


def put_back_cure(path: Path, time_column: str, times: NDArray[np.datetime64]) -> str:
    """How to write times in UTC that repeat where a zone's clock is put back; or nothing."""
    import pandas as pd

    for zone in _ZONES:
        try:
            read = pd.DatetimeIndex(times).tz_localize(zone, ambiguous="infer")
        except Exception:  # pandas has one for each way in which they are no times of that zone
            continue
        if read.is_monotonic_increasing and read.is_unique:
            local = f"pd.to_datetime(t[{time_column!r}], format='mixed').dt"
            change = f"{local}.tz_localize({zone!r}, ambiguous='infer').dt.tz_convert('UTC')"
            deed = "as an hour does where a clock is put back: write all times in UTC"
            line = rewritten(path, deed, assigned(time_column, change)).by_hand
            return f"{line}; put in its own zone if it is not that of {zone.rpartition('/')[2]}"
    return ""


def put_forward_zone(times: NDArray[np.datetime64], values: NDArray[np.float64]) -> str:
    """The zone whose clock skips some of the times, if none of these has a value; or nothing.

    In a file whose hour that stands there twice was dropped, nothing else tells local times.

    Args:
        times: regular ones ``(T,)``.
        values: NaN where one is missing ``(T, C)``.
    """
    import pandas as pd

    for zone in _ZONES:
        first = np.zeros(len(times), dtype=bool)  # which of two equal hours does not matter
        local = pd.DatetimeIndex(times).tz_localize(zone, ambiguous=first, nonexistent="NaT")
        if local.hasnans and np.isnan(values[local.isna()]).all():
            return zone
    return ""
