"""A few test windows with their forecasts, kept for a reader to look at; no score comes from them.

Shapes: N windows, P steps before the horizon, H horizon, C channels, K channels that are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.task import Task
from benchmark.evaluation.conformal import Calibration
from benchmark.evaluation.errors import Errors
from benchmark.evaluation.quantiles import INTERVAL_80, middle

NUM_COMMON = 5
MOST_HISTORY = 96
"""Steps before the horizon that are kept, for the eye."""

MOST_CHANNELS = 16
"""Channels in a run's file; where there are more, as many spread evenly over their order."""

STEPS_IN_SCALE = 256
"""Steps in one standard deviation to which kept values are rounded: finer than a line is drawn."""

EXTREMES = ("best", "median", "worst")


@dataclass(frozen=True)
class Samples:
    """Test windows with their forecasts, in original units.

    Attributes:
        first_row: row of the series at which each horizon begins ``(N,)``.
        history: the values before it ``(N, P, C)``.
        target: true values ``(N, H, C)``, NaN where missing.
        forecast: forecast values ``(N, H, C)``.
        interval: ends of the calibrated central 80% interval ``(2, N, H, C)``, infinite where
            validation cannot tell; None where there is no calibration.
    """

    first_row: NDArray[np.int64]
    history: NDArray[np.float32]
    target: NDArray[np.float32]
    forecast: NDArray[np.float32]
    interval: NDArray[np.float32] | None


def common_windows(num_windows: int) -> NDArray[np.int64]:
    """Number the windows that every forecaster shows: evenly spread, the first and last included.

    >>> common_windows(2545).tolist()
    [0, 636, 1272, 1908, 2544]
    """
    count = min(NUM_COMMON, num_windows)
    return np.linspace(0, num_windows - 1, count).astype(np.int64)


def extreme_windows(errors: Errors) -> NDArray[np.int64]:
    """Number the windows of the lowest, the median and the highest squared error."""
    losses = errors.by_window(errors.squared)
    order = np.argsort(losses, kind="stable")[: np.isfinite(losses).sum()]  # NaN comes last
    return order[[0, (len(order) - 1) // 2, -1]]


class Kept:
    """Picks some windows out of batches that come in order: no window is read twice for it.

    Args:
        index: numbers of the windows to keep, ascending ``(N,)``.
    """

    def __init__(self, index: NDArray[np.int64]) -> None:
        self._index = torch.from_numpy(index)
        self._start = 0
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def see(self, x: Tensor) -> None:
        """Look at the lookbacks of the next batch, before a forecaster can write into them."""
        stop = self._start + len(x)
        inside = self._index[(self._index >= self._start) & (self._index < stop)] - self._start
        self._inside, self._start = inside.to(x.device), stop
        self._history = x[:, -MOST_HISTORY:][self._inside]

    def add(self, quantiles: Tensor, y: Tensor) -> None:
        """Look at what was forecast of that batch, uncalibrated, and at its targets."""
        if len(self._inside):
            self._parts.append((self._history, quantiles[self._inside], y[self._inside]))

    def samples(
        self, first_row: NDArray[np.int64], task: Task, calibration: Calibration | None
    ) -> Samples:
        """Return what was kept.

        Args:
            first_row: row at which each horizon begins ``(N,)``.
            task: whose scaler gives the original units.
            calibration: makes the interval.
        """

        def original(scaled: Tensor) -> NDArray[np.float32]:
            values = scaled.cpu().double().numpy() * task.scaler.scale + task.scaler.mean
            return values.astype(np.float32)

        history, quantiles, target = (torch.cat(part) for part in zip(*self._parts, strict=True))
        interval = None
        if calibration is not None:
            offsets = torch.from_numpy(calibration.offsets).to(quantiles.device)
            ordered = (quantiles + offsets).sort(dim=1).values  # (N, Q, H, C); heads may cross
            interval = np.stack([original(ordered[:, end]) for end in INTERVAL_80])
        return Samples(
            first_row=first_row,
            history=original(history),
            target=original(target),
            forecast=original(middle(quantiles, target)),
            interval=interval,
        )


def write_samples(path: Path, common: Samples, extremes: Samples, task: Task) -> None:
    """Keep the common windows and a run's own extremes as a small ``.npz`` file.

    It holds, windows in this order: `kind` (common, best, median, worst), `first_row` and its
    `time`, the numbers of the kept channels `channel` ``(K,)``, and `history`, `target`,
    `forecast`, `low` and `high` ``(N, P or H, K)``, see `Samples`.
    """
    channel = np.arange(task.channels)
    if task.channels > MOST_CHANNELS:
        channel = np.linspace(0, task.channels - 1, MOST_CHANNELS).astype(np.int64)
    # a power of two: rounded values end in zeros, which compress
    step = 2.0 ** np.floor(np.log2(task.scaler.scale[channel] / STEPS_IN_SCALE))
    parts = (common, extremes)

    def kept(values: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        rounded = np.round(np.concatenate(values)[..., channel] / step) * step
        return rounded.astype(np.float32)

    arrays: dict[str, Any] = {
        name: kept([getattr(part, name) for part in parts])
        for name in ("history", "target", "forecast")
    }
    for end, name in enumerate(("low", "high")):
        ends = [part.interval[end] for part in parts if part.interval is not None]
        arrays |= {name: kept(ends)} if ends else {}
    first_row = np.concatenate([part.first_row for part in parts])
    np.savez_compressed(
        path,
        kind=np.array(["common"] * len(common.first_row) + list(EXTREMES)),
        first_row=first_row,
        time=task.series.timestamps[first_row],
        channel=channel,
        **arrays,
    )
