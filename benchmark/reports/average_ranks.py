"""What a critical-difference diagram shows, before it is drawn: average ranks, and which differ.

Source: Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", figure 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.statistics.long_run import Array
from benchmark.statistics.ranks import average_ranks, critical_difference, equal_groups

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_TICKS = 12
"""More can not be read."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Models by their average rank over data sets, the best first.

    Attributes:
        models: their names, M.
        ranks: average rank of each ``(M,)``.
        difference: the critical difference: ranks further apart than this differ.
        datasets: how many.
    """

    models: tuple[str, ...]
    ranks: Array
    difference: float
    datasets: int

    @property
    def better_half(self) -> int:
        """How many are named on the left; the others are on the right."""
        return (len(self.models) + 1) // 2

    @property
    def ticks(self) -> range:
        """Ranks that the axis names."""
        last = len(self.models)
        return range(1, last + 1, -(-(last - 1) // MAX_TICKS))

    def line(self, place: int) -> int:
        """On which line a model is named: the best and the worst on the first, 0."""
        return place if place < self.better_half else len(self.models) - 1 - place

    def bars(self, edge: float) -> list[tuple[float, float, int]]:
        """Both ends of the bar of each group that does not differ, and how far down it lies.

        Args:
            edge: by how many ranks a bar reaches beyond its models.
        """
        bars: list[tuple[float, float, int]] = []
        for group in equal_groups(self.ranks, self.difference):
            start, end = self.ranks[group[0]] - edge, self.ranks[group[-1]] + edge
            taken = {level for _, last, level in bars if last + edge > start}
            level = next(level for level in range(len(bars) + 1) if level not in taken)
            bars.append((start, end, level))
        return bars


def rank_models(scores: DataFrame) -> Ranking:
    """Rank models by their error on every data set ``(D, M)``, a named column each."""
    ranks = average_ranks(scores.to_numpy())
    order = np.argsort(ranks, kind="stable")
    return Ranking(
        tuple(str(scores.columns[place]) for place in order),
        ranks[order],
        critical_difference(len(ranks), len(scores)),
        len(scores),
    )
