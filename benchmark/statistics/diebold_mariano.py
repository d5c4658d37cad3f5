"""Are two forecasters equally good? The test of Diebold & Mariano (1995) for overlapping windows.

The statistic is the mean loss difference over its long-run standard error. Against a normal or t
distribution it calls equal models different far too often where the overlap is not small beside the
test set: with 336 steps in 2545 windows 20% of the time at a nominal 5%, and still 15% after the
correction of Harvey, Leybourne & Newbold (1997). Kiefer & Vogelsang's (2005) fixed-b critical
values, which know how noisy a long bandwidth is, leave 8 to 13%, for they do not know the overlap.
So the statistic is compared with its own distribution for equal forecasters whose windows overlap
as these do, which is simulated. The fixed-b distribution is its case horizon = 1; a constant factor
such as Harvey, Leybourne & Newbold's would cancel.

What it cannot know is a memory of the errors that is longer than the horizon. Where they have an
autocorrelation of 0.98 a step, equal forecasters are called different 10% of the time at a horizon
of 1 in 2880 windows, 14% at 24 in 500, 25% at 24 in 100 and 9% at 24 in 2857; 4 to 6% at 336 and
720.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from benchmark.statistics.bootstrap import SEED
from benchmark.statistics.long_run import ROUNDING, Array, bandwidth_of, long_run_covariance

SIMULATIONS = 10_000
STEPS = 512
"""Windows of a simulated series: longer test sets are scaled down to it."""


def diebold_mariano(first: Array, second: Array, horizon: int) -> float:
    """Tell from which difference on two forecasters have not the same expected loss.

    Args:
        first: a loss a window, in time order and one step apart ``(n,)``, or several seeds'
            ``(seeds, n)``: their mean over seeds is what is tested.
        second: the same for the other forecaster.
        horizon: steps forecast, the overlap of neighbouring windows.

    Returns:
        The difference of mean losses, up or down, that equal forecasters exceed on such a test set
        five times in a hundred, and more than rounding makes; 0 where the losses are the same.

    Raises:
        ValueError: the numbers of windows differ, or there is only one.
    """
    averaged = [np.atleast_2d(losses).mean(axis=0) for losses in (first, second)]
    if averaged[0].shape != averaged[1].shape or len(averaged[0]) < 2:
        raise ValueError("a paired test needs the same two or more windows of both forecasters")
    difference = averaged[0] - averaged[1]
    if not difference.any():
        return 0.0
    n = len(difference)
    bandwidth = bandwidth_of(n, horizon)
    variance = long_run_covariance(difference[None], bandwidth).item()
    deviation = float(np.sqrt(max(variance, np.finfo(float).tiny)))
    scale = min(1.0, STEPS / n)
    critical = critical_value(
        min(n, STEPS), max(1, round(horizon * scale)), max(1, round(bandwidth * scale))
    )
    return max(critical * deviation, ROUNDING * float(averaged[0].mean()))


@lru_cache(maxsize=32)
def critical_value(windows: int, horizon: int, bandwidth: int) -> float:
    """The absolute statistic that equal forecasters exceed five times in a hundred.

    Their losses are sums of `horizon` independent errors.
    """
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(10):  # in parts, to keep memory small
        errors = rng.standard_normal((SIMULATIONS // 10, windows + horizon))
        sums = np.cumsum(errors, axis=1)
        losses = sums[:, horizon:] - sums[:, :-horizon]
        variance = long_run_covariance(losses[:, None], bandwidth)[:, 0, 0]
        found.append(np.abs(losses.mean(axis=1)) / np.sqrt(variance))
    return float(np.quantile(np.concatenate(found), 0.95))
