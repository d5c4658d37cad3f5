"""The noise floor: how far scores of one configuration differ by their seed alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics.long_run import Array

LEAST_SEEDS = 3
"""From as many on a configuration's own spread counts, and not that of all of them, pooled."""


@dataclass(frozen=True)
class SeedMean:
    """How a mean over seeds came about.

    Attributes:
        seeds: how many; infinite where a score hangs on no seed and has no noise.
        std: standard deviation over them; NaN where it is not known.
        freedom: degrees of freedom of that; NaN where they are one less than the seeds.
    """

    seeds: float
    std: float = math.nan
    freedom: float = math.nan

    @property
    def counts(self) -> bool:
        """Whether its own spread is known well enough to be used."""
        return self.seeds >= LEAST_SEEDS and not math.isnan(self.std)

    @property
    def own_freedom(self) -> float:
        """Degrees of freedom of its own spread."""
        return self.seeds - 1 if math.isnan(self.freedom) else self.freedom


@dataclass(frozen=True)
class NoiseFloor:
    """Spread over seeds, pooled over configurations.

    Attributes:
        std: pooled standard deviation of one seed's score.
        configurations: that it is estimated from, each with two seeds or more.
        freedom: degrees of freedom, seeds less configurations; of a mean of scores, no whole
            number.
    """

    std: float
    configurations: int
    freedom: float

    def smallest_difference(self, first: SeedMean, second: SeedMean) -> float:
        """The smallest difference between two means of seeds that is beyond noise.

        Equal configurations differ by less in 95 of 100 cases.

        Configurations may differ in their spread tenfold, so one of three seeds or more stands for
        itself: t(f) sqrt(v_1 / n_1 + v_2 / n_2), with the degrees of freedom f of B. L. Welch, The
        generalization of Student's problem when several different population variances are
        involved (1947). One of fewer has the pooled variance, and two of them
        t(freedom) std sqrt(1 / n_1 + 1 / n_2).

        Args:
            first: one mean.
            second: the other.
        """
        noisy = [mean for mean in (first, second) if math.isfinite(mean.seeds)]
        parts = [(mean.std if mean.counts else self.std) ** 2 / mean.seeds for mean in noisy]
        variance = sum(parts)
        if not variance:
            return 0.0
        freedom: float = self.freedom
        # Where the pool is one configuration its spread is the only one: no second estimate.
        if self.configurations > 1 and any(mean.counts for mean in noisy):
            own = [mean.own_freedom if mean.counts else self.freedom for mean in noisy]
            freedom = freedom_of_sum(parts, own)
        return _t_quantile(freedom) * math.sqrt(variance)


def over_seeds(scores: Sequence[float]) -> tuple[float, float]:
    """Return the mean over seeds and its standard deviation, NaN where there is one seed."""
    return fmean(scores), stdev(scores) if len(scores) > 1 else math.nan


def floor_of_mean(floors: Sequence[NoiseFloor]) -> NoiseFloor:
    """The noise floor of a mean of scores on several tasks, each with noise of its own.

    Of independent scores the variances add up, sum_k v_k / K^2; the degrees of freedom are those of
    F. E. Satterthwaite, An approximate distribution of estimates of variance components (1946).
    """
    parts = [(floor.std / len(floors)) ** 2 for floor in floors]
    freedom = freedom_of_sum(parts, [floor.freedom for floor in floors])
    configurations = sum(floor.configurations for floor in floors)
    return NoiseFloor(math.sqrt(sum(parts)), configurations, freedom)


def freedom_of_sum(variances: Sequence[float], freedom: Sequence[float]) -> float:
    """Degrees of freedom of a sum of estimated variances, by Welch and Satterthwaite.

    Where all are 0 they are those of all together.
    """
    uncertain = sum(v**2 / f for v, f in zip(variances, freedom, strict=True))
    return sum(variances) ** 2 / uncertain if uncertain else float(sum(freedom))


@lru_cache(maxsize=4096)
def _t_quantile(freedom: float) -> float:
    """What Student's t exceeds, up or down, in 5 of 100 cases."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def noise_floors(
    scores: Array, configuration: NDArray[np.integer[Any]], group: NDArray[np.integer[Any]]
) -> dict[int, NoiseFloor]:
    """Pool the spread over seeds within each group; one without two seeds of anything has none.

    Args:
        scores: a seed's score each ``(N,)``.
        configuration: the number of its configuration, from 0 on ``(N,)``; single seeds are left
            out.
        group: the number of its group, from 0 on ``(N,)``; a configuration is in one.
    """
    seeds = np.bincount(configuration)
    mean = np.bincount(configuration, scores) / np.maximum(seeds, 1)
    of = np.zeros(len(seeds), dtype=int)
    of[configuration] = group
    repeated = np.bincount(of, seeds > 1)
    freedom = np.bincount(of, np.maximum(seeds - 1, 0))
    squares = np.bincount(group, (scores - mean[configuration]) ** 2, minlength=len(freedom))
    return {
        number: NoiseFloor(math.sqrt(own / free), int(several), int(free))
        for number, (own, several, free) in enumerate(zip(squares, repeated, freedom, strict=True))
        if free
    }
