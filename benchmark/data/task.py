"""A task: one data set at one lookback and horizon, split and scaled by the shared protocol.

What makes two numbers comparable is decided here and nowhere else: the split borders (from the
card), the scaler (zero mean, unit population variance per channel, from the train rows alone) and
the list of windows. `Task.fingerprint` hashes all of it but the lookback, which does not change
what is scored.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.data.card import SplitName
from benchmark.data.load import Series
from benchmark.data.windows import Windows
from benchmark.errors import UserError


@dataclass(frozen=True)
class Scaler:
    """Zero mean and unit variance per channel, fitted on train rows only.

    Attributes:
        mean: ``(C,)``, in the channel's own unit.
        scale: population standard deviation ``(C,)``; 1 for a channel that never changes.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, train_rows: NDArray[np.float64]) -> Scaler:
        """Fit on rows ``(T, C)``."""
        # what scikit-learn's StandardScaler computes (a test compares them), without its import,
        # which would cost every run half a second
        constant = train_rows.min(axis=0) == train_rows.max(axis=0)
        scale = np.where(constant, 1.0, train_rows.std(axis=0))
        return cls(mean=train_rows.mean(axis=0), scale=scale)

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale ``(T, C)``."""
        return (values - self.mean) / self.scale


class Task:
    """A series, split and scaled, with its windows.

    Args:
        series: the checked data ``(T, C)``.
        lookback: L, steps seen.
        horizon: H, steps forecast.

    Raises:
        UserError: a split holds no window of this lookback and horizon, or train no whole season.
    """

    def __init__(self, series: Series, lookback: int, horizon: int) -> None:
        self.series = series
        self.lookback = lookback
        self.horizon = horizon
        self.borders = series.card.splits.borders(len(series.values))
        self._check_lengths()
        self.scaler = Scaler.fit(series.values[: self.borders["train"].stop])
        used = series.values[: self.borders["test"].stop]
        self.scaled: NDArray[np.float32] = self.scaler.transform(used).astype(np.float32)  # (T, C)

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

        Only the rows up to the split's end are handed over, so what is fitted on train and
        validation windows cannot reach a test row.
        """
        rows = self.borders[split]
        values = torch.from_numpy(np.ascontiguousarray(self.scaled[: rows.stop].T)).to(device)
        return Windows(values, rows, self.lookback, self.horizon)

    def seasonal_error(self) -> NDArray[np.float64]:
        """Mean absolute seasonal difference of the scaled train rows ``(C,)``: MASE's divisor."""
        train = self.scaled[: self.borders["train"].stop].astype(np.float64)
        error: NDArray[np.float64] = np.abs(train[self.season :] - train[: -self.season]).mean(
            axis=0
        )
        return error

    def fingerprint(self, definitions: str) -> str:
        """Hash what decides whether two scores may be ranked together.

        Args:
            definitions: the text that defines the metrics.

        Returns:
            16 hexadecimal digits over data, split borders, scaler, test windows and definitions.
        """
        test = self.borders["test"]
        identity = {
            "data": self.series.digest,
            "borders": {name: [rows.start, rows.stop] for name, rows in self.borders.items()},
            # nine digits: the last ones depend on the order in which a processor sums
            "scaler": [f"{x:.9g}" for x in (*self.scaler.mean, *self.scaler.scale)],
            "test_windows": [test.start, test.stop - self.horizon + 1, "stride 1", self.horizon],
            "metrics": definitions,
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]

    def _check_lengths(self) -> None:
        errors = []
        for split, rows in self.borders.items():
            if len(rows) < self.horizon:
                errors.append(
                    UserError(
                        f"{self.series.name}: horizon",
                        f"{self.horizon} steps do not fit into the {len(rows)} {split} rows",
                        f"choose a horizon of at most {len(rows)}",
                    )
                )
        train = len(self.borders["train"])
        if not errors and train < self.lookback + self.horizon:
            errors.append(
                UserError(
                    f"{self.series.name}: lookback",
                    f"{self.lookback} + horizon {self.horizon} do not fit into the train split "
                    f"of {train} rows",
                    f"choose a lookback of at most {train - self.horizon}",
                )
            )
        if train <= self.season:
            errors.append(
                UserError(
                    f"{self.series.name}: season",
                    f"{self.season} steps do not fit into the train split of {train} rows",
                    "correct the season or the splits in the card",
                )
            )
        if errors:
            raise UserError.join(errors)
