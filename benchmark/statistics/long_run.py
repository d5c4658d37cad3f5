"""The variance of a mean of losses whose windows overlap.

Windows one step apart share all but one step of their horizon, so their losses are correlated over
at least `horizon` lags: 2545 windows of 336 steps hold no more information than about 7.6 that do
not overlap. The variance of the mean is then not variance / n but the long-run variance / n, the
sum of all autocovariances / n.

Shapes: k models, n windows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


ROUNDING = 1e-6
"""Share of a mean loss below which a difference is rounding: losses are kept as float32."""


def memory(windows: int, horizon: int) -> int:
    """Lags over which losses may be correlated: the overlap, and 1.3 sqrt(n) for the data's own.

    The second term is the truncation that Lazarus, Lewis, Stock & Watson (2018, eq. 3) recommend
    for a series without overlap. Automatic choices do not do here: arch's `optimal_block_length`
    looks at sqrt(n) lags and does not see an overlap of 336 in 2545 windows.
    """
    return min(windows, horizon + math.ceil(1.3 * math.sqrt(windows)))


def bandwidth_of(windows: int, horizon: int) -> int:
    """Bandwidth of `long_run_covariance`: twice the memory.

    A shorter one misses more of the autocovariances, a longer one is noisier; with distributions
    that know the noise (see `bootstrap`, `diebold_mariano`) the first harms more.
    """
    return min(windows, 2 * memory(windows, horizon))


def long_run_covariance(losses: Array, bandwidth: int) -> Array:
    """Bartlett (Newey & West 1987) estimate of the covariance matrix of the means.

    It is sum over |j| < M of (1 - |j| / M) Gamma_j / n, with Gamma_j the autocovariance at lag j,
    computed from partial sums S_t of the demeaned losses (Kiefer & Vogelsang 2002, eq. 2.5):
    ``2 / (n M) (sum S_t S_t' - sum (S_t S_t+M' + S_t+M S_t') / 2) / n``.

    Args:
        losses: ``(..., k, n)``.
        bandwidth: M, at least 1; at n or above the second sum is empty.

    Returns:
        ``(..., k, k)``, positive semidefinite.
    """
    n = losses.shape[-1]
    sums = np.cumsum(losses - losses.mean(axis=-1, keepdims=True), axis=-1)
    total = sums @ sums.swapaxes(-1, -2)
    if bandwidth < n:
        lagged = sums[..., :-bandwidth] @ sums[..., bandwidth:].swapaxes(-1, -2)
        total -= (lagged + lagged.swapaxes(-1, -2)) / 2
    result: Array = total * (2 / (n * bandwidth * n))
    return result
