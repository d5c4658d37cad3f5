"""Models over several data sets: ranks, win rates and skill, and what chance explains of them.

Source: Demsar (2006), "Statistical comparisons of classifiers over multiple data sets".

Shapes: D data sets, k models. Scores are errors: lower is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmark.statistics.bootstrap import dataset_interval
from benchmark.statistics.long_run import Array

ALPHA = 0.05
"""How often a test may call equal models different."""


@dataclass(frozen=True)
class Rate:
    """A score of every model with its bootstrap interval over data sets, each ``(k,)``."""

    value: Array
    low: Array
    high: Array


def average_ranks(scores: Array) -> Array:
    """Mean rank over data sets, 1 is best; equals share theirs. ``(D, k)`` to ``(k,)``."""
    from scipy.stats import rankdata

    ranks: Array = rankdata(scores, axis=1).mean(axis=0)
    return ranks


def friedman(scores: Array) -> tuple[float, float]:
    """Friedman's test that all models are equally good: chi-square (corrected for ties), p-value.

    Args:
        scores: ``(D, k)`` with three models or more.
    """
    from scipy.stats import friedmanchisquare

    if (scores == scores[:, :1]).all():  # the statistic would be 0 / 0
        return 0.0, 1.0
    statistic, p_value = friedmanchisquare(*scores.T)
    return float(statistic), float(p_value)


def critical_difference(models: int, datasets: int, alpha: float = ALPHA) -> float:
    """Nemenyi's test: average ranks that differ by more differ significantly.

    CD = q sqrt(k (k + 1) / (6 D)) with q the studentized range over sqrt(2) (Demsar 2006, p. 11).
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, models, math.inf)) / math.sqrt(2)
    return q * math.sqrt(models * (models + 1) / (6 * datasets))


def equal_groups(ranks: Array, difference: float) -> list[list[int]]:
    """Group the models that do not differ: the bars of a critical-difference diagram.

    Args:
        ranks: average rank of each model ``(k,)``.
        difference: as `critical_difference` gives.

    Returns:
        Indices of models, best first; groups of two or more, none inside another.
    """
    order = np.argsort(ranks, kind="stable")
    ranked = ranks[order]
    ends = np.searchsorted(ranked, ranked + difference, side="right")
    groups, reached = [], 0
    for start, end in enumerate(ends):
        if end > reached and end - start > 1:
            groups.append(order[start:end].tolist())
        reached = max(reached, int(end))
    return groups


def win_rate(scores: Array) -> Rate:
    """Share of other models beaten, ties as one half, averaged over data sets.

    Args:
        scores: ``(D, k)`` with two models or more.
    """
    beaten = (scores[:, :, None] < scores[:, None, :]).sum(axis=2)
    tied = (scores[:, :, None] == scores[:, None, :]).sum(axis=2) - 1  # not with itself
    shares = (beaten + tied / 2) / (scores.shape[1] - 1)
    return Rate(shares.mean(axis=0), *dataset_interval(shares))


def skill_score(scores: Array, baseline: int) -> Rate:
    """Skill: 1 - geometric mean over data sets of error / error of the baseline.

    Args:
        scores: ``(D, k)``, all above 0.
        baseline: index of the model that is compared with.
    """
    ratios = np.log(scores / scores[:, [baseline]])
    low, high = dataset_interval(ratios)
    return Rate(1 - np.exp(ratios.mean(axis=0)), 1 - np.exp(high), 1 - np.exp(low))
