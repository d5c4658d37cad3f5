"""A task: one data set at one lookback and horizon, split and scaled by the shared protocol.

What makes two numbers comparable is decided here and nowhere else: the split borders (from the
card), the scaler (zero mean, unit population variance per channel, from the train rows alone) and
the list of windows. `Task.fingerprint` hashes all of it but the lookback, which does not change
what is scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.load import Series
from benchmark.data.missing import check_every_split
from benchmark.data.seasons import season_fault
from benchmark.data.splits import SplitName
from benchmark.data.totals import known_or_zero, moments, never_changes, stretches, total
from benchmark.data.windows import Windows, forward_filled
from benchmark.errors import UserError, check_type, raise_faults
from benchmark.words import time_text

LARGEST = 1e18
"""Of a scaled value: the square of a larger one is more than float32 holds, as errors are kept."""


@dataclass(frozen=True)
class Scaler:
    """Zero mean and unit variance per channel, fitted on train rows only.

    Attributes:
        mean: ``(C,)``, in the channel's own unit.
        scale: population standard deviation ``(C,)``; 1 for a channel that never
            changes, but for rounding.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, train_rows: NDArray[np.float64]) -> Scaler:
        """Fit on rows ``(T, C)``; NaN counts in nothing."""
        # what scikit-learn's StandardScaler computes (a test compares them), without its import,
        # which would cost every run half a second, and without a copy of the rows
        count, mean, variance = moments(train_rows)
        still = never_changes(count, mean, variance)
        return cls(mean=mean, scale=np.where(still, 1.0, np.sqrt(variance)))

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale ``(T, C)``."""
        return (values - self.mean) / self.scale

    def filled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fill NaN in ``(T, C)`` as in lookbacks: by the last value before, or the mean without."""
        rows = torch.from_numpy(np.vstack([self.mean, values]).T)
        held: NDArray[np.float64] = forward_filled(rows).T.numpy()[1:]
        return held


class Task:
    """A series, split and scaled, with its windows.

    Args:
        series: the checked data ``(T, C)``.
        lookback: L, steps seen.
        horizon: H, steps forecast.

    Attributes:
        masked: whether values are missing; one answer for all splits, so that none is treated
            otherwise than the next.

    Raises:
        UserError: the series is none, no step is seen or forecast, a split holds no window of this
            lookback and horizon, or no value of a channel, or train holds no whole season; or a
            value is too large to be scaled.
    """

    def __init__(self, series: Series, lookback: int, horizon: int) -> None:
        check_type("Task", series, Series, "give it load_dataset(name)")
        sizes = lookback, horizon
        whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in sizes)
        if not whole or min(sizes) < 1:
            rule = "1 step or more" if whole else "whole numbers of steps"
            what = f"must be {rule}, but are {lookback=}, {horizon=}"
            raise UserError(f"{series.name}: lookback and horizon", what, "choose both above 0")
        self.series = series
        self.lookback = int(lookback)
        self.horizon = int(horizon)
        self.borders = series.card.splits.borders(len(series.values))
        raise_faults(self._length_faults())
        used = series.values[: self.borders["test"].stop]
        self.masked = series.card.missing == "mask" and bool(np.isnan(used).any())
        if self.masked:
            check_every_split(series.name, series.channels, used, self.borders)
        with np.errstate(over="ignore", invalid="ignore"):  # told by its value
            self.scaler = Scaler.fit(series.values[: self.borders["train"].stop])
            self.scaled: NDArray[np.float32] = self._scale(used)
        self._fitting: tuple[NDArray[np.float32], Tensor] | None = None

    @property
    def channels(self) -> int:
        """C."""
        return len(self.series.channels)

    @property
    def season(self) -> int:
        """Steps in the shortest season of the data set."""
        return self.series.card.season

    def windows(self, split: SplitName, device: str | torch.device = "cpu") -> Windows:
        """Return the windows of one split on a device.

        Where values are masked, the lookbacks hold the last value before instead, or at the very
        start the train mean, and the horizons NaN.

        Those of train and validation lie in an array that ends before the first test row, so what
        is fitted on them cannot reach one.
        """
        return self._windows(self.borders[split], device)

    def windows_before_test(self, device: str | torch.device = "cpu") -> Windows:
        """Return every window of the train and validation rows, taken together."""
        return self._windows(range(self.borders["train"].start, self.borders["val"].stop), device)

    def _windows(self, rows: range, device: str | torch.device) -> Windows:
        border = self.borders["val"].stop
        if rows.stop > border:
            values = torch.from_numpy(np.ascontiguousarray(self.scaled.T))
        else:
            values = self._before_test(border)
        values = values[:, : rows.stop].to(device)
        windows = Windows.held if self.masked else Windows
        return windows(values, rows, self.lookback, self.horizon)

    def _before_test(self, border: int) -> Tensor:
        """Copy the rows before test, once for as long as the scaled series is the same."""
        if self._fitting is None or self._fitting[0] is not self.scaled:
            self._fitting = self.scaled, torch.from_numpy(self.scaled[:border].T.copy())
        return self._fitting[1]

    def seasonal_error(self) -> NDArray[np.float64]:
        """Mean absolute seasonal difference of the scaled train rows ``(C,)``: MASE's divisor.

        Where values are masked, over the pairs of rows that both have one; 0 where there is none,
        and where all that differs is the rounding of float32.
        """
        train = self.scaled[: self.borders["train"].stop]
        pairs = len(train) - self.season

        def difference(part: slice) -> NDArray[np.float64]:
            later = train[part.start + self.season : part.stop + self.season]
            size: NDArray[np.float64] = np.abs(later.astype(np.float64) - train[part])
            return size

        known = total(pairs, self.channels, lambda part: ~np.isnan(difference(part)))
        sums = total(pairs, self.channels, lambda part: known_or_zero(difference(part)))
        error = sums / known.clip(min=1)
        return np.where(error > np.finfo(np.float32).eps, error, 0.0)

    def fingerprint(self, definitions: str) -> str:
        """Hash what decides whether two scores may be ranked together.

        Args:
            definitions: the text that defines the metrics.

        Returns:
            16 hexadecimal digits over data, season, split borders, scaler, test windows and
            definitions.
        """
        test = self.borders["test"]
        identity = {
            **self.series.identity,
            "borders": {name: [rows.start, rows.stop] for name, rows in self.borders.items()},
            # nine digits: the last ones depend on the order in which a processor sums
            "scaler": [f"{x:.9g}" for x in (*self.scaler.mean, *self.scaler.scale)],
            "test_windows": [test.start, test.stop - self.horizon + 1, "stride 1", self.horizon],
            "metrics": definitions,
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]

    def _scale(self, used: NDArray[np.float64]) -> NDArray[np.float32]:
        """Scale rows ``(T, C)``, a stretch at a time."""
        scaled = np.empty(used.shape[::-1], dtype=np.float32)  # channel-first, as windows are read
        for part in stretches(*used.shape):
            values = self.scaler.transform(used[part])
            wrong = ~(np.abs(values) <= LARGEST) & ~np.isnan(used[part])
            wrong |= np.isinf(self.scaler.scale)  # which would make zeros of them
            if wrong.any():
                raise self._too_large(used, int(wrong.any(axis=0).argmax()))
            scaled[:, part] = values.T
        return scaled.T

    def _too_large(self, used: NDArray[np.float64], channel: int) -> UserError:
        row = int(np.nanargmax(np.abs(used[:, channel])))
        where = f"{self.series.name}: channel {self.series.channels[channel]!r}"
        time = time_text(self.series.timestamps[row])
        what = f"{used[row, channel]} at {time} is too large to be scaled with the others"
        return UserError(where, what, "mend that value, or leave the channel out")

    def _length_faults(self) -> Iterator[UserError]:
        """Say of lookback, horizon and season that they do not fit into the splits."""
        name, train = self.series.name, len(self.borders["train"])
        split = min(self.borders, key=lambda split: len(self.borders[split]))
        rows = len(self.borders[split])
        longest = min(rows, train - 1)  # of a horizon, beside the shortest lookback
        if self.horizon > longest:
            beside = train - self.lookback
            what = f"{self.horizon} steps do not fit into the {rows} {split} rows"
            most = min(rows, beside) if beside > 0 else longest
            yield UserError(f"{name}: horizon", what, f"choose a horizon of at most {most}")
        elif train < self.lookback + self.horizon:
            what = f"{self.lookback} + horizon {self.horizon} do not fit into the train split"
            cure = f"choose a lookback of at most {train - self.horizon}"
            yield UserError(f"{name}: lookback", f"{what} of {train} rows", cure)
        if fault := season_fault(name, self.season, train):
            yield fault
