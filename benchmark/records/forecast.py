"""A forecast of steps that nobody knows yet, and its file.

Shapes: L rows seen, H horizon, C channels.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

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
        low: lower end of the interval ``(H, C)``; None where there is no interval.
        high: its upper end.
        level: of the interval, in percent.
    """

    time_column: str
    channels: tuple[str, ...]
    past_times: Times
    past: Values
    times: Times
    values: Values
    low: Values | None
    high: Values | None
    level: int

    def columns(self) -> list[tuple[str, Values]]:
        """Name each channel's forecast ``(H,)``, followed by the ends of its interval."""
        parts = {"": self.values, f"_lo{self.level}": self.low, f"_hi{self.level}": self.high}
        return [
            (channel + suffix, part[:, number])
            for number, channel in enumerate(self.channels)
            for suffix, part in parts.items()
            if part is not None
        ]

    def frame(self) -> pd.DataFrame:
        """The same as a table, a row a step, by its time."""
        import pandas as pd

        names, columns = zip(*self.columns(), strict=True)
        index = pd.DatetimeIndex(self.times, name=self.time_column)
        return pd.DataFrame(np.stack(columns, axis=1), index, names)


def write_forecast(path: Path, forecast: Forecast) -> None:
    """Write a forecast as CSV, a row a step: each channel, followed by the ends of its interval.

    Raises:
        UserError: the file cannot be written.
    """
    names, columns = zip(*forecast.columns(), strict=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([forecast.time_column, *names])
    for time, row in zip(forecast.times, np.stack(columns, axis=1), strict=True):
        writer.writerow([time_text(time), *(f"{value:.10g}" for value in row)])
    write_atomically(path, text.getvalue())


def time_text(time: np.datetime64) -> str:
    """Write a time as data files do, e.g. ``2016-07-01 00:15:00``."""
    return str(time.astype("datetime64[s]")).replace("T", " ")
