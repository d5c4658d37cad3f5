"""A block bootstrap of mean losses that says how sure a difference is.

Whole blocks of windows are drawn, so that the draws keep the overlap, and the same blocks for every
model, so that they keep what models share. With 2545 windows of horizon 336 the plain percentile
interval at 95% covers the truth about 78% of the time, and longer blocks make it worse. So each
draw's difference is divided by the standard error that the *draw itself* shows, as the real one is:
this copies the error of the standard error too (Goncalves & Vogelsang 2011, "Block bootstrap HAC
robust tests"). Simulated with sums of independent errors, and with errors of autocorrelation 0.98
a step, it covers 93% at horizon 336 and 91 to 96% at 24; with fewer than three blocks, as at
horizon 720, it covers 90%, and so it does at a horizon of 1 where errors have that memory. In fewer
windows these cover less: 88% at 24 in 500 windows, 80% at 6 in 300, 83% at 24 and 68% at 1 in 100.

Shapes: k models, n windows, B draws, D data sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics.long_run import (
    ROUNDING,
    Array,
    bandwidth_of,
    long_run_covariance,
    memory,
)

DRAWS = 1000
SEED = 20260101
LEVEL = 0.95
"""How often an interval is to hold the truth."""
CELLS_A_BLOCK = 12
"""Windows are averaged into cells, so many a block: the same answer from fewer numbers."""
TELLING = 1e-6
"""Share of a pair's variance that a draw must have to be used: two models that are alike on most
windows are alike on all windows of some draws. There the variance over all windows is taken."""


@dataclass(frozen=True)
class Resampled:
    """Mean losses of models on the test windows and on bootstrap draws of them.

    Attributes:
        mean: mean loss, less the models' average ``(k,)``.
        variance: estimated variance of each pair's difference of means ``(k, k)``.
        mean_drawn: the same means on every draw, less `mean` ``(B, k)``.
        variance_drawn: the same variances on every draw that tells them ``(B, k, k)``.
        rounding: up to which difference of means two models are equal.
    """

    mean: Array
    variance: Array
    mean_drawn: Array
    variance_drawn: Array
    rounding: float = 0.0

    def t(self) -> Array:
        """Every pair's difference of mean losses in standard errors, row less column ``(k, k)``."""
        difference = _pairs(self.mean)
        told = np.abs(difference) > self.rounding
        return np.where(told, difference, 0.0) / np.sqrt(self.variance)

    def t_drawn(self) -> Array:
        """The same on every draw, about the true difference of the draws ``(B, k, k)``."""
        return _pairs(self.mean_drawn) / np.sqrt(self.variance_drawn)


def can_resample(windows: int, horizon: int) -> bool:
    """Whether the windows hold two blocks or more."""
    return windows >= 2 * memory(windows, horizon)


def resample(losses: Array, horizon: int, draws: int = DRAWS) -> Resampled:
    """Draw circular blocks of windows, B times (Politis & Romano 1992).

    Args:
        losses: a loss a model and window, in time order and one step apart ``(k, n)``.
        horizon: steps forecast, the overlap of neighbouring windows.
        draws: B.

    Raises:
        ValueError: there are fewer than two blocks.
    """
    windows = losses.shape[1]
    if not can_resample(windows, horizon):
        raise ValueError(f"{windows} windows of horizon {horizon} are fewer than two blocks")
    block = memory(windows, horizon)
    width = max(1, block // CELLS_A_BLOCK)
    cells = _cells(losses - losses.mean(axis=0), width)
    length = round(block / width)  # cells a block
    bandwidth = round(bandwidth_of(windows, horizon) / width)
    mean, variance = _moments(cells, bandwidth)
    rng = np.random.default_rng(SEED)
    mean_drawn = np.empty((draws, len(losses)))
    variance_drawn = np.empty((draws, len(losses), len(losses)))
    for draw in range(draws):
        drawn = cells[:, _blocks(cells.shape[1], length, rng)]
        mean_drawn[draw], variance_drawn[draw] = _moments(drawn, bandwidth)
    untold = variance_drawn < TELLING * variance
    variance_drawn = np.where(untold, variance, variance_drawn)
    rounding = ROUNDING * float(losses.mean())
    return Resampled(mean, variance, mean_drawn - mean, variance_drawn, rounding)


def _cells(losses: Array, width: int) -> Array:
    """Average neighbouring windows; the mean over cells is exactly the mean over windows."""
    windows = losses.shape[1]
    count = windows // width
    edges = np.linspace(0, windows, count + 1).astype(int)
    result: Array = np.add.reduceat(losses, edges[:-1], axis=1) * (count / windows)
    return result


def _blocks(cells: int, length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    starts = rng.integers(cells, size=-(-cells // length))
    return ((starts[:, None] + np.arange(length)) % cells).ravel()[:cells]


def _moments(cells: Array, bandwidth: int) -> tuple[Array, Array]:
    """Means ``(k,)`` and the variance of every pair's difference of means ``(k, k)``."""
    covariance = long_run_covariance(cells, bandwidth)
    own = np.diag(covariance)
    variance = own[:, None] + own - 2 * covariance
    # Models that differ by nothing, or by a constant, have no variance: a floor well below any
    # real one makes the first equal and the second certain, and nothing divides by zero.
    floor = 1e-12 * own.max() + np.finfo(float).tiny
    return cells.mean(axis=1), np.maximum(variance, floor)


def _pairs(values: Array) -> Array:
    return values[..., :, None] - values[..., None, :]


def difference_intervals(resampled: Resampled, reference: int) -> tuple[Array, Array, Array]:
    """Mean loss of every model less that of one of them, with symmetric bootstrap-t intervals.

    Args:
        resampled: as `resample` gives.
        reference: index of the model that is compared with.

    Returns:
        Difference, lower and upper end, each ``(k,)``; all 0 for the reference itself.
    """
    difference = resampled.mean - resampled.mean[reference]
    reach = np.quantile(np.abs(resampled.t_drawn()[:, :, reference]), LEVEL, axis=0)
    half = np.maximum(reach * np.sqrt(resampled.variance[:, reference]), resampled.rounding)
    half[reference] = 0.0
    return difference, difference - half, difference + half


def dataset_interval(values: Array) -> tuple[Array, Array]:
    """Percentile bootstrap interval of the mean over data sets, which are drawn as wholes.

    Few data sets give a too narrow one: of normal values, and of lognormal ones, it holds the mean
    in 66 and 59 of 100 cases with three of them, 87 and 76 with seven, 93 and 88 with thirty.

    Args:
        values: a value a data set and model ``(D, k)``.

    Returns:
        Lower and upper end, each ``(k,)``.
    """
    chosen = np.random.default_rng(SEED).integers(len(values), size=(DRAWS, len(values)))
    means = values[chosen].mean(axis=1)  # (B, k)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
