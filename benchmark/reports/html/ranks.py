"""The critical-difference diagram of the page: average ranks, and which do not differ.

Source: Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", figure 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.reports.across import standing
from benchmark.reports.ranking import Leaderboard
from benchmark.reports.tables import plain
from benchmark.statistics.ranks import average_ranks, critical_difference, equal_groups

WIDTH, MARGIN, LINE = 760, 210, 22
TOP = 64
"""Height of the axis, below the critical difference."""

BAR = 9
"""Distance of two bars."""


@dataclass(frozen=True)
class Label:
    """A model beside the axis: where its line leaves the axis, turns and ends, and its text."""

    x: float
    y: float
    end: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Diagram:
    """All that is drawn, in pixels.

    Attributes:
        width: of the drawing.
        height: of the drawing.
        axis: its left and right end, and its height.
        ticks: place and rank.
        reach: right end of the critical difference, which begins at the axis' left end.
        difference: the critical difference.
        bars: left and right end and height of a bar over models that do not differ.
        labels: the models.
        datasets: how many.
    """

    width: int
    height: float
    axis: tuple[float, float, float]
    ticks: list[tuple[float, int]]
    reach: float
    difference: float
    bars: list[tuple[float, float, float]]
    labels: list[Label]
    datasets: int


def diagram(board: Leaderboard) -> Diagram | None:
    """Lay out the models that are done on every task; None with too few data sets or models."""
    found = standing(board)
    if not found.enough:
        return None
    ranks = average_ranks(found.scores.to_numpy())
    order = np.argsort(ranks, kind="stable")
    models, datasets = len(ranks), len(found.scores)
    reach = critical_difference(models, datasets)

    def x(rank: float) -> float:
        return round(MARGIN + (WIDTH - 2 * MARGIN) * (rank - 1) / (models - 1), 1)

    groups = equal_groups(ranks, reach)
    bars = [
        (x(ranks[group[0]]) - 4, x(ranks[group[-1]]) + 4, TOP + BAR * (level + 1.5))
        for level, group in enumerate(groups)
    ]
    begin = TOP + BAR * (len(bars) + 2) + 8
    half = (models + 1) // 2
    labels = []
    for place, model in enumerate(order):
        is_left = place < half
        y = begin + LINE * (place if is_left else models - 1 - place)
        name, rank = plain(str(found.scores.columns[model]), 26), f"{ranks[model]:.2f}"
        text = f"{name} {rank}" if is_left else f"{rank} {name}"
        end, anchor = (MARGIN - 12, "end") if is_left else (WIDTH - MARGIN + 12, "start")
        labels.append(Label(x(ranks[model]), y, end, anchor, text))
    step = -(-(models - 1) // 12)  # no more ticks than can be read
    return Diagram(
        width=WIDTH,
        height=begin + LINE * half,
        axis=(x(1), x(models), TOP),
        ticks=[(x(rank), rank) for rank in range(1, models + 1, step)],
        reach=x(1 + reach),
        difference=reach,
        bars=bars,
        labels=labels,
        datasets=datasets,
    )
