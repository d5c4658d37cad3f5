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
from benchmark.words import time_text

if TYPE_CHECKING:
    import pandas as pd

TOLD, LEAST, MOST = 6, 10, 17
"""Digits of a number in a file: of how its channel changes, in all, and what a float64 has."""

_ENDS = ("lo", "hi")

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
        low: lower end of the interval ``(H, C)``, NaN for a channel without one; None where there
            is no interval at all.
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
        """Name each channel's forecast ``(H,)``, followed by the ends of its interval.

        These are ``<channel>_lo80`` and ``<channel>_hi80``; where a channel is called so itself,
        there is one more underscore, or as many as it takes.
        """
        bar = "_"
        while any(f"{bar}{end}{self.level}" in name for name in self.channels for end in _ENDS):
            bar += "_"
        ends = zip(_ENDS, (self.low, self.high), strict=True)
        parts = {"": self.values, **{f"{bar}{end}{self.level}": part for end, part in ends}}
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

    These are empty cells where a channel has no interval.

    Raises:
        UserError: the file cannot be written.
    """
    names, columns = zip(*forecast.columns(), strict=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([forecast.time_column, *names])
    digits = np.repeat(_digits(forecast.past), len(columns) // len(forecast.channels)).tolist()
    for time, row in zip(forecast.times, np.stack(columns, axis=1), strict=True):
        numbers = (f"{value:.{few}g}" for value, few in zip(row, digits, strict=True))
        cells = ("" if number == "nan" else number for number in numbers)
        writer.writerow([time_text(time), *cells])
    write_atomically(path, text.getvalue())


def _digits(past: Values) -> NDArray[np.int64]:
    """Digits that each channel's numbers take ``(C,)``: ten, or those that tell its changes."""
    spread = np.ptp(past, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        before = np.log10(np.abs(past).max(axis=0) / spread)  # digits that all its numbers share
    before = np.where(np.isfinite(before), before, 0)
    digits: NDArray[np.int64] = np.clip(np.ceil(before) + TOLD, LEAST, MOST).astype(np.int64)
    return digits
