"""Quantile forecasts on test: how far off they are, and how often an interval holds the truth.

The continuous ranked probability score of a forecast F is the integral of 2 l_t(y, F^-1(t)) over
the levels t from 0 to 1, where

    l_t(y, q) = max(t (y - q), (t - 1) (y - q))                                (quantile loss)

Here the integral is the mean over the nine deciles, as in GIFT-Eval (arXiv:2410.10393) and fev
(arXiv:2509.26468), on the scaled series, where they divide by the mean of |y| in original units.
Where all quantiles are one value it is that value's absolute error: a point forecast's CRPS is its
MAE. The mean leaves out the levels beyond the outer deciles, whose losses are small: it is larger
than the integral, by 9.4% where forecast and truth are normal.

Reference: T. Gneiting and R. Ranjan, Comparing density forecasts using threshold- and
quantile-weighted scoring rules (2011), Section 2.

Shapes: B batch, Q levels, H horizon, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.forecasters.contract import (
    LEVELS,
    Forecaster,
    QuantileForecaster,
    check_shape,
    check_tensor,
)

DECILES = slice(1, -1)
"""Of `LEVELS`: all but the ends of the 95% interval."""

INTERVAL_80 = (LEVELS.index(0.1), LEVELS.index(0.9))
INTERVAL_95 = (LEVELS.index(0.025), LEVELS.index(0.975))
INTERVALS = {80: INTERVAL_80, 95: INTERVAL_95}
"""The ends among `LEVELS` of each central interval, by its percentage."""

PIECE = 100_000
"""Values, of windows x levels x steps x channels, that are scored at once: they stay in cache."""


@dataclass(frozen=True)
class QuantileScores:
    """Scores of quantile forecasts, means over windows, steps and channels, scaled series.

    None where validation held too few windows to tell a quantile that far out.

    Attributes:
        crps: continuous ranked probability score, from the deciles.
        coverage_80: share of target values in the central 80% interval, its ends included.
        width_80: width of that interval.
        coverage_95: share of target values in the central 95% interval.
    """

    crps: float | None
    coverage_80: float | None
    width_80: float | None
    coverage_95: float | None


def quantiles_of(forecaster: Forecaster, x: Tensor) -> Tensor:
    """Forecast quantiles before calibration; a point forecast stands for every level.

    Args:
        forecaster: any.
        x: scaled lookbacks ``(B, L, C)``.

    Returns:
        ``(B, Q, H, C)``, or ``(B, 1, H, C)`` where only a point is forecast.

    Raises:
        ForecastError: it is no tensor.
    """
    if isinstance(forecaster, QuantileForecaster):
        return forecaster.quantiles(x)
    forecast: Tensor = forecaster(x)
    check_tensor(forecast)
    return forecast[:, None]


def middle(quantiles: Tensor, target: Tensor) -> Tensor:
    """Return the point forecast ``(B, H, C)`` among quantiles ``(B, 1 or Q, H, C)``: the median.

    Raises:
        ForecastError: it has not the shape of `target`.
    """
    forecast = quantiles[:, quantiles.shape[1] // 2]
    check_shape(forecast, target.shape)
    return forecast


def residuals(quantiles: Tensor, target: Tensor, offsets: Tensor) -> Tensor:
    """What is left of targets ``(B, H, C)`` over calibrated quantiles ``(B, Q, H, C)``.

    Quantiles that cross, as heads trained each by itself may, are put in order after calibration:
    no quantile loss grows by it (V. Chernozhukov, I. Fernandez-Val and A. Galichon, Quantile and
    probability curves without crossing, 2010).

    Args:
        quantiles: before calibration ``(B, 1 or Q, H, C)``.
        target: true values.
        offsets: what calibration adds to each quantile ``(Q, H, C)``.
    """
    # contiguous: a transposed view would be walked against its memory eleven times
    residual = (target[:, None] - quantiles).contiguous() - offsets  # (B, Q, H, C)
    return residual.sort(dim=1, descending=True).values if quantiles.shape[1] > 1 else residual


def holds(residual: Tensor, low: int, high: int) -> Tensor:
    """Say which targets an interval holds, its ends included ``(B, H, C)``.

    By `residuals` and not by the interval's ends: where a series often repeats a value, a target
    lies on an end exactly, and adding the offset to the forecast would round it to either side.

    Args:
        residual: of `residuals`; where it is NaN, nothing is held.
        low: number of the lower end among the levels.
        high: of the upper one.
    """
    return (residual[:, low] >= 0) & (residual[:, high] <= 0)


class QuantileSums:
    """Scores of quantile forecasts, summed over batches where the data lies, batches in float64.

    Args:
        offsets: what calibration adds to each quantile ``(Q, H, C)``.
        masked: whether a target may be missing (NaN), and then counts in nothing.
    """

    def __init__(self, offsets: Tensor, masked: bool = False) -> None:
        self._offsets = offsets
        self._masked = masked
        self._residual = torch.zeros(len(LEVELS), dtype=torch.float64, device=offsets.device)
        self._excess = self._residual.clone()  # of a quantile over its target
        self._inside = torch.zeros(2, dtype=torch.int64, device=offsets.device)
        self._count = 0

    def add(self, quantiles: Tensor, target: Tensor) -> None:
        """Add forecasts before calibration ``(B, 1 or Q, H, C)`` and targets ``(B, H, C)``."""
        windows = max(1, PIECE // self._offsets.numel())
        pieces = zip(quantiles.split(windows), target.split(windows), strict=True)  # type: ignore[no-untyped-call]
        for some, true in pieces:
            residual = residuals(some, true, self._offsets)
            known = ~true.isnan() if self._masked else None
            if known is not None:
                residual = torch.where(known[:, None], residual, 0.0)
            self._residual += residual.sum(dim=(0, 2, 3))
            self._excess -= residual.clamp(max=0).sum(dim=(0, 2, 3))
            for number, (low, high) in enumerate((INTERVAL_80, INTERVAL_95)):
                within = holds(residual, low, high)
                self._inside[number] += (within if known is None else within & known).sum()
            self._count += true.numel() if known is None else int(known.sum())

    def scores(self) -> QuantileScores:
        """Return the means over all that was added."""
        residual, excess = self._residual / self._count, self._excess / self._count
        levels = torch.tensor(LEVELS, dtype=torch.float64, device=residual.device)
        losses = levels * residual + excess  # l_t(y, q) = t (y - q) + max(q - y, 0)
        low, high = INTERVAL_80
        return QuantileScores(
            crps=_finite(2 * losses[DECILES].mean()),
            coverage_80=self._coverage(0, *INTERVAL_80),
            width_80=_finite(residual[low] - residual[high]),
            coverage_95=self._coverage(1, *INTERVAL_95),
        )

    def _coverage(self, number: int, low: int, high: int) -> float | None:
        """An endless interval holds everything and says nothing."""
        told = bool(torch.isfinite(self._offsets[[low, high]]).all())
        return int(self._inside[number]) / self._count if told else None


def _finite(value: Tensor) -> float | None:
    return float(value) if bool(torch.isfinite(value)) else None
