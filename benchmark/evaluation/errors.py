"""Everything a metric needs, gathered in one pass over the test windows.

All predictions of a large data set do not fit into memory, and are never stored. What is kept are
means over one axis at a time, in float64: per window and channel, per step and channel. Every
metric, and every test of significance, is a reduction of these.

A target that is missing (NaN, where a card masks them) counts in nothing: all means are over the
target values there are, each with equal weight.

Shapes: W windows, H horizon, C channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.task import LARGEST

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
        known: target values of each window ``(W, C)``, where some are missing; a mean over none of
            them is NaN.
    """

    squared: Array
    absolute: Array
    percentage: Array
    squared_by_step: Array
    absolute_by_step: Array
    variance: Array
    scale: Array
    seasonal_error: Array
    known: NDArray[np.int64] | None = None

    @property
    def num_windows(self) -> int:
        """How many windows have a target to be scored by."""
        return len(self.squared) if self.known is None else int(self.known.any(axis=1).sum())

    def mean(self, part: Array) -> float:
        """Average ``(W, C)`` over all target values."""
        return float(self._mean(part, None))

    def by_channel(self, part: Array) -> Array:
        """Average ``(W, C)`` over the target values of each channel ``(C,)``."""
        found: Array = self._mean(part, 0)
        return found

    def by_window(self, part: Array) -> Array:
        """Average ``(W, C)`` over the target values of each window ``(W,)``."""
        found: Array = self._mean(part, 1)
        return found

    def _mean(self, part: Array, axis: int | None) -> Any:
        """Average means ``(W, C)``, each weighed by how many values it is of."""
        if self.known is None:
            return part.mean(axis=axis)
        total = np.where(self.known > 0, part * self.known, 0.0).sum(axis=axis)
        count = self.known.sum(axis=axis)
        return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def gather_errors(
    forecasts: Iterable[tuple[Tensor, Tensor]],
    *,
    mean: Array,
    scale: Array,
    seasonal_error: Array,
    masked: bool = False,
) -> Errors:
    """Reduce batches of (forecast, target), each scaled ``(B, H, C)``, to `Errors`.

    Args:
        forecasts: the batches, in window order.
        mean: the scaler's mean ``(C,)``, to return to original units.
        scale: the scaler's standard deviation ``(C,)``.
        seasonal_error: see `Errors`.
        masked: whether a target may be missing.

    Raises:
        FloatingPointError: a forecast is not finite, or as good as that; it has no score.
    """
    centre, spread = torch.from_numpy(mean), torch.from_numpy(scale)
    rows: dict[str, list[Tensor]] = {"squared": [], "absolute": [], "percentage": [], "known": []}
    sums: dict[str, Tensor] = {}
    origin: Tensor | None = None
    for forecast, target in _in_pieces(forecasts):
        forecast, target = forecast.cpu().double(), target.cpu().double()
        if not bool((forecast.abs() <= LARGEST).all()):  # nor is NaN
            raise FloatingPointError("the forecast of a test window is not finite, or beyond 1e18")
        origin = _some_value(target, origin)
        there = ~target.isnan() if masked else torch.ones_like(target, dtype=torch.bool)
        target = torch.where(there, target, forecast)  # an error of 0 adds nothing to a sum
        error = forecast - target
        parts = {
            "squared": error.square(),
            "absolute": error.abs(),
            "percentage": _percentage(forecast * spread + centre, target * spread + centre),
        }
        for name, part in parts.items():
            rows[name].append(part.mean(dim=1))
        rows["known"].append(there.sum(dim=1))
        # about some value of each channel: the variance keeps its digits, a constant's is exactly 0
        deviation = torch.where(there, target - origin, 0.0)
        totals = {
            "squared": parts["squared"].sum(dim=0),
            "absolute": parts["absolute"].sum(dim=0),
            "deviation": deviation.sum(dim=(0, 1)),
            "deviation_squared": deviation.square().sum(dim=(0, 1)),
            "known": there.sum(dim=0),
        }
        sums = {name: sums.get(name, 0) + total for name, total in totals.items()}
    per_window = {name: torch.cat(parts) for name, parts in rows.items()}
    known = per_window.pop("known")
    if masked:
        horizon = len(sums["known"])
        per_window = {name: part * horizon / known for name, part in per_window.items()}
    values = sums["known"].sum(dim=0)
    variance = sums["deviation_squared"] / values - (sums["deviation"] / values).square()
    return Errors(
        **{name: part.numpy() for name, part in per_window.items()},
        squared_by_step=(sums["squared"] / sums["known"]).numpy(),
        absolute_by_step=(sums["absolute"] / sums["known"]).numpy(),
        variance=variance.clamp(min=0).numpy(),
        scale=scale,
        seasonal_error=seasonal_error,
        known=known.numpy() if masked else None,
    )


def _some_value(target: Tensor, before: Tensor | None) -> Tensor:
    """Return a value of each channel ``(C,)``: the first there is, NaN where there was none yet."""
    if before is not None and not bool(before.isnan().any()):
        return before
    values = target.flatten(0, 1)
    first = (~values.isnan()).numpy().argmax(axis=0)
    found = values[torch.from_numpy(first), torch.arange(values.shape[1])]
    return found if before is None else torch.where(before.isnan(), found, before)


def _in_pieces(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut batches up: a dozen float64 copies of one are made, which should stay in the cache."""
    for forecast, target in batches:
        windows = max(1, PIECE // max(1, forecast[0].numel()))
        yield from zip(forecast.split(windows), target.split(windows), strict=True)  # type: ignore[no-untyped-call]


def _percentage(forecast: Tensor, target: Tensor) -> Tensor:
    """Symmetric percentage error; 0 where both are 0."""
    size = forecast.abs() + target.abs()
    return torch.where(size > 0, 200 * (forecast - target).abs() / size.clamp(min=1e-300), 0.0)
