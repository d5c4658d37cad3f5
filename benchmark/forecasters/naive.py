"""Forecasters with nothing to fit: the rows that every other row has to beat.

Reference: R. Hyndman and G. Athanasopoulos, Forecasting: principles and practice, Section 5.2.
"""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from benchmark.config import Positive
from benchmark.forecasters.contract import FitKind, Forecaster, SeriesShape


class LastValue(Forecaster):
    """The last value, held: y_h = x_L."""

    fitted: ClassVar[FitKind] = "none"
    channel_independent = True

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        return x[:, -1:].expand(-1, self.shape.horizon, -1)


class SeasonalNaive(Forecaster):
    """The last season, repeated: y_h = x at the same place of the season, m steps a season.

    Args:
        shape: the sizes the data decides; its season is the unit of `seasons`.
        seasons: m in seasons of the data set, e.g. 7 for a week of hourly data.

    Raises:
        ValueError: the lookback is shorter than m steps.
    """

    fitted: ClassVar[FitKind] = "none"
    channel_independent = True

    def __init__(self, shape: SeriesShape, *, seasons: Positive = 1) -> None:
        super().__init__(shape)
        self.period = seasons * shape.season
        if shape.lookback < self.period:
            raise ValueError(
                f"seasonal naive repeats the last {self.period} steps, but lookback is "
                f"{shape.lookback}; raise it or lower seasons"
            )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        return repeated(x[:, -self.period :], self.shape.horizon)


def repeated(season: Tensor, horizon: int) -> Tensor:
    """A season of m steps ``(B, m, C)``, again and again, for ``(B, H, C)``."""
    repeats = math.ceil(horizon / season.shape[1])
    return season.repeat(1, repeats, 1)[:, :horizon]


class WindowMean(Forecaster):
    """The mean of the lookback, held: y_h = mean(x)."""

    fitted: ClassVar[FitKind] = "none"
    channel_independent = True

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        return x.mean(dim=1, keepdim=True).expand(-1, self.shape.horizon, -1)
