"""A forecast of steps that nobody knows yet, and its file.

Shapes: L rows seen, H horizon, C channels.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.records.files import write_atomically

Values = NDArray[np.float64]
Times = NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class Forecast:
    """The steps after the last row seen, all in each channel's own unit.

    Attributes:
        time_column: how the file calls its times.
        channels: C names.
        past_times: of the rows seen ``(L,)``, datetime64[s].
        past: the rows seen ``(L, C)``, as the model reads them: none is missing.
        times: of the steps forecast ``(H,)``, datetime64[s].
        values: the forecast ``(H, C)``.
        low: lower end of the 80% interval ``(H, C)``; None where there is no interval.
        high: its upper end.
    """

    time_column: str
    channels: tuple[str, ...]
    past_times: Times
    past: Values
    times: Times
    values: Values
    low: Values | None
    high: Values | None


def write_forecast(path: Path, forecast: Forecast) -> None:
    """Write a forecast as CSV, a row a step: each channel, followed by the ends of its interval.

    Raises:
        UserError: the file cannot be written.
    """
    header, columns = [forecast.time_column], []
    for number, channel in enumerate(forecast.channels):
        for suffix, part in (
            ("", forecast.values),
            ("_lo80", forecast.low),
            ("_hi80", forecast.high),
        ):
            if part is not None:
                header.append(channel + suffix)
                columns.append(part[:, number])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for time, row in zip(forecast.times, np.stack(columns, axis=1), strict=True):
        writer.writerow([time_text(time), *(f"{value:.10g}" for value in row)])
    write_atomically(path, text.getvalue())


def time_text(time: np.datetime64) -> str:
    """Write a time as data files do, e.g. ``2016-07-01 00:15:00``."""
    return str(time.astype("datetime64[s]")).replace("T", " ")
