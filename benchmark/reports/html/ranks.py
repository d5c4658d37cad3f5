"""The critical-difference diagram of the page, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.reports.across import standing
from benchmark.reports.average_ranks import rank_models
from benchmark.reports.ranking import Leaderboard
from benchmark.reports.tables import plain

WIDTH, MARGIN, LINE = 760, 210, 22
TOP = 64
"""Height of the axis, below the critical difference."""

BAR = 9
"""Distance of two bars."""

EDGE = 0.012
"""Share of the axis that a bar reaches beyond its models."""


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
    ranking = rank_models(found.scores)
    models = len(ranking.models)

    def x(rank: float) -> float:
        return round(MARGIN + (WIDTH - 2 * MARGIN) * (rank - 1) / (models - 1), 1)

    bars = [
        (x(start), x(end), TOP + BAR * (level + 1.5))
        for start, end, level in ranking.bars(EDGE * (models - 1))
    ]
    begin = max((height for *_, height in bars), default=TOP) + 2 * BAR
    labels = []
    for place, (model, rank) in enumerate(zip(ranking.models, ranking.ranks, strict=True)):
        better = place < ranking.better_half
        parts = (plain(model, 26), f"{rank:.2f}")
        text = " ".join(parts if better else reversed(parts))
        end, anchor = (MARGIN - 12, "end") if better else (WIDTH - MARGIN + 12, "start")
        labels.append(Label(x(rank), begin + LINE * ranking.line(place), end, anchor, text))
    return Diagram(
        width=WIDTH,
        height=begin + LINE * ranking.better_half,
        axis=(x(1), x(models), TOP),
        ticks=[(x(rank), rank) for rank in ranking.ticks],
        reach=x(1 + ranking.difference),
        difference=ranking.difference,
        bars=bars,
        labels=labels,
        datasets=ranking.datasets,
    )
