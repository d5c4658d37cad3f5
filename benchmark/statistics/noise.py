"""The noise floor: how far scores of one configuration differ by their seed alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics.long_run import Array


@dataclass(frozen=True)
class NoiseFloor:
    """Spread over seeds, pooled over configurations.

    Attributes:
        std: pooled standard deviation of one seed's score.
        configurations: that it is estimated from, each with two seeds or more.
        freedom: degrees of freedom, seeds less configurations.
    """

    std: float
    configurations: int
    freedom: int

    def smallest_difference(self, first: float, second: float, level: float = 0.95) -> float:
        """The smallest difference between two means of seeds that is beyond noise.

        t(freedom) std sqrt(1 / first + 1 / second), of the t test with pooled variance.

        Args:
            first: seeds in one mean; infinite where a score hangs on no seed and has no noise.
            second: seeds in the other.
            level: probability that equal configurations differ by less.
        """
        return (
            _quantile(self.freedom, (1 + level) / 2) * self.std * math.sqrt(1 / first + 1 / second)
        )


@cache
def _quantile(freedom: int, probability: float) -> float:
    """Of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def noise_floor(scores: Array, configuration: NDArray[np.integer[Any]]) -> NoiseFloor | None:
    """Pool the spread over seeds; None where no configuration has two seeds.

    Args:
        scores: a seed's score each ``(N,)``.
        configuration: the number of its configuration, from 0 on ``(N,)``; single seeds are left
            out.
    """
    seeds = np.bincount(configuration)
    repeated = int((seeds > 1).sum())
    if not repeated:
        return None
    mean = np.bincount(configuration, scores) / np.maximum(seeds, 1)
    freedom = int((seeds[seeds > 1] - 1).sum())
    squares = float(((scores - mean[configuration]) ** 2).sum())
    return NoiseFloor(math.sqrt(squares / freedom), repeated, freedom)
