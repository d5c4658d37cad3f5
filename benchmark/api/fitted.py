"""A model that is fitted, in the hands of Python: it forecasts what comes after any history."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from benchmark.data.history import read_history
from benchmark.data.missing import unseen
from benchmark.errors import UserError, check_type
from benchmark.evaluation.original import FORECAST, OriginalUnits
from benchmark.harness.fitted import FittedPlan
from benchmark.harness.saved import keep

History = ArrayLike | pd.DataFrame


class Fitted(FittedPlan):
    """A model that is fitted on a task, ready to forecast and to be scored."""

    def __repr__(self) -> str:
        """Name the run: a notebook shows it, where the data and the weights would fill pages."""
        return f"Fitted(run_id={self.planned.run_id!r})"

    def forecast(self, history: History) -> NDArray[np.float64]:
        """Forecast the steps after `history`.

        Args:
            history: ``(L or more, C)`` in original units; the last L rows are looked at. Where the
                data set masks missing values, NaN is one, and the last value before it is read; a
                channel without any value in those rows is warned of. A DataFrame's columns are
                taken by the channels' names. With times, in the data set's time column or its
                index, it is read as ``benchmark forecast`` reads a file; without them, rows are
                taken to be one step apart, and the last one to be the present.

        Returns:
            ``(H, C)`` in original units.

        Raises:
            ValueError: the history is shorter than the lookback, has other channels, or a value
                that is not finite, or times that go backward.
            UserError: a DataFrame with times is refused as the file of it would be.
            FloatingPointError: the forecast is not finite.
        """
        return self._forecast(history)[FORECAST]

    def interval(
        self, history: History, level: Literal[80, 95] = 80
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the ends of a forecast's interval, calibrated on the validation windows.

        Args:
            history: as `forecast` takes it.
            level: of the interval, in percent.

        Returns:
            Its lower and its upper end, each ``(H, C)`` in original units. A channel with too few
            values in the validation windows has NaN for both, and is warned of.

        Raises:
            UserError: the validation windows are too few for that level, or hold too few values of
                every channel; else as `forecast`.
        """
        _, *ends = self._forecast(history, level).values()
        untold = self.calibration.untold(level, self.task.series.channels)
        if not ends:
            raise UserError("level", untold, "take a lower level, or more validation rows")
        if untold:
            warnings.warn(untold, stacklevel=2)
        low, high = ends
        return low, high

    def save(self, folder: str | Path) -> None:
        """Keep it in a new folder: for `load`, and for benchmark forecast, backtest and export.

        Raises:
            UserError: there is something already, or the folder cannot be written.
        """
        check_type("save", folder, (str, PathLike), "name a new folder")
        keep(self, Path(folder))

    def _forecast(self, history: History, level: int = 80) -> dict[str, NDArray[np.float64]]:
        past = read_history(history, self.task.series, self.task.lookback)
        if past.ndim != 2 or len(past) < self.task.lookback or past.shape[1] != self.task.channels:
            wanted = f"({self.task.lookback} or more, {self.task.channels})"
            raise ValueError(f"history must be of shape {wanted}, but is {past.shape}")
        if self.task.series.card.missing == "mask":  # wherever the gaps are, or whether any
            for note in unseen(self.task.series.channels, past, self.task.lookback):
                warnings.warn(note, stacklevel=3)  # the caller's line, behind ours
            past = self.task.scaler.filled(past)  # from before the lookback, too
        past = past[-self.task.lookback :]
        if not np.isfinite(past).all():
            step, channel = np.argwhere(~np.isfinite(past))[0]
            what = f"{past[step, channel]} at step {step} of the lookback, channel {channel}"
            raise ValueError(f"history must be finite, but has {what}")
        model = OriginalUnits(self.forecaster, self.task.scaler, self.calibration, level)
        return model.to(self.device).after(past)
