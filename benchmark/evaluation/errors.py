"""Everything a metric needs, gathered in one pass over the test windows.

All predictions of a large data set do not fit into memory, and are never stored. What is kept are
means over one axis at a time, in float64: per window and channel, per step and channel. Every
metric, and every test of significance, is a reduction of these.

Shapes: W windows, H horizon, C channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

PIECE = 50_000
"""Values, of windows x steps x channels, whose errors are computed at once."""


@dataclass(frozen=True)
class Errors:
    """Errors of one forecaster on all windows of a split.

    Attributes:
        squared: mean over the horizon of the squared error, scaled ``(W, C)``.
        absolute: mean over the horizon of the absolute error, scaled ``(W, C)``.
        percentage: mean over the horizon of 200 |y - f| / (|y| + |f|), original units ``(W, C)``.
        squared_by_step: mean over windows of the squared error, scaled ``(H, C)``.
        absolute_by_step: mean over windows of the absolute error, scaled ``(H, C)``.
        variance: of the target values over windows and steps, scaled ``(C,)``.
        scale: original units in one scaled unit ``(C,)``.
        seasonal_error: mean absolute seasonal difference of the train rows, scaled ``(C,)``.
    """

    squared: Array
    absolute: Array
    percentage: Array
    squared_by_step: Array
    absolute_by_step: Array
    variance: Array
    scale: Array
    seasonal_error: Array


def gather_errors(
    forecasts: Iterable[tuple[Tensor, Tensor]],
    *,
    mean: Array,
    scale: Array,
    seasonal_error: Array,
) -> Errors:
    """Reduce batches of (forecast, target), each scaled ``(B, H, C)``, to `Errors`.

    Args:
        forecasts: the batches, in window order.
        mean: the scaler's mean ``(C,)``, to return to original units.
        scale: the scaler's standard deviation ``(C,)``.
        seasonal_error: see `Errors`.

    Raises:
        FloatingPointError: a forecast is not finite; it has no score.
    """
    centre, spread = torch.from_numpy(mean), torch.from_numpy(scale)
    rows: dict[str, list[Tensor]] = {"squared": [], "absolute": [], "percentage": []}
    sums: dict[str, Tensor] = {}
    origin: Tensor | None = None
    windows = 0
    for forecast, target in _in_pieces(forecasts):
        forecast, target = forecast.cpu().double(), target.cpu().double()
        if not bool(torch.isfinite(forecast).all()):
            raise FloatingPointError("the forecast of a test window is not finite")
        error = forecast - target
        parts = {
            "squared": error.square(),
            "absolute": error.abs(),
            "percentage": _percentage(forecast * spread + centre, target * spread + centre),
        }
        for name, part in parts.items():
            rows[name].append(part.mean(dim=1))
        # about some value of each channel: the variance keeps its digits, a constant's is exactly 0
        origin = target[0, 0] if origin is None else origin
        deviation = target - origin
        totals = {
            "squared": parts["squared"].sum(dim=0),
            "absolute": parts["absolute"].sum(dim=0),
            "deviation": deviation.sum(dim=(0, 1)),
            "deviation_squared": deviation.square().sum(dim=(0, 1)),
        }
        sums = {name: sums.get(name, 0) + total for name, total in totals.items()}
        windows += len(target)
    values = windows * len(sums["squared"])
    variance = sums["deviation_squared"] / values - (sums["deviation"] / values).square()
    return Errors(
        **{name: torch.cat(parts).numpy() for name, parts in rows.items()},
        squared_by_step=(sums["squared"] / windows).numpy(),
        absolute_by_step=(sums["absolute"] / windows).numpy(),
        variance=variance.clamp(min=0).numpy(),
        scale=scale,
        seasonal_error=seasonal_error,
    )


def _in_pieces(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut batches up: a dozen float64 copies of one are made, which should stay in the cache."""
    for forecast, target in batches:
        windows = max(1, PIECE // max(1, forecast[0].numel()))
        yield from zip(forecast.split(windows), target.split(windows), strict=True)  # type: ignore[no-untyped-call]


def _percentage(forecast: Tensor, target: Tensor) -> Tensor:
    """Symmetric percentage error; 0 where both are 0."""
    size = forecast.abs() + target.abs()
    return torch.where(size > 0, 200 * (forecast - target).abs() / size.clamp(min=1e-300), 0.0)
