"""The critical-difference diagram of ``benchmark plot ranks``, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import UserError
from benchmark.reports.across import LEAST, standing
from benchmark.reports.average_ranks import ALPHA, Ranking, rank_models
from benchmark.reports.plots import escape_mathtext, new_figure, save_figure
from benchmark.reports.ranking import Leaderboard

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

LINE, WIDTH, PAD = 0.22, 4.6, 0.12
"""Inches: height of a line of text, width of the axis with its leaders, margin beside a name."""

ABOVE, BAR = 4.6, 0.45
"""Lines above the axis, and from one bar to the next below it."""

EDGE, LEADER = 0.012, 0.05
"""Shares of the axis: how far a bar reaches beyond its models, a leader beyond the axis."""

GREY = "0.45"


def plot_ranks(board: Leaderboard, path: Path, option: str = "--ranks") -> None:
    """Draw the average ranks of the models that are done on every task.

    Args:
        board: results over three data sets or more.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.
        option: what asked for it.

    Raises:
        UserError: there are too few data sets or models, matplotlib is not installed, or the file
            cannot be written.
    """
    found = standing(board)
    if not found.enough:
        datasets, models = found.scores.shape
        raise UserError(
            f"{option} {path}",
            f"data sets with {LEAST} models done: {datasets}; models done on all: {models}",
            f"run the same models, {LEAST} or more, on {LEAST} data sets or more",
        )
    ranking = rank_models(found.scores)
    names = [escape_mathtext(name) for name in ranking.models]
    span = len(names) - 1
    bars = ranking.bars(EDGE * span)
    first = BAR * (1.5 + max((level for *_, level in bars), default=-1)) + 0.5  # line of a name
    lines = first + ranking.better_half
    figure = new_figure(WIDTH, LINE * (ABOVE + lines), option)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(1 - LEADER * span, len(names) + LEADER * span)
    axes.set_ylim(lines, -ABOVE)
    _scale(axes, ranking)
    for start, end, level in bars:
        y = BAR * (level + 1)
        axes.plot([start, end], [y, y], "k", linewidth=3, solid_capstyle="butt")
    _fit(figure, axes, *_names(axes, ranking, names, first))
    save_figure(figure, path)


def _scale(axes: Axes, ranking: Ranking) -> None:
    """Draw the axis of ranks, and above it the critical difference at the same scale."""
    models, reach = len(ranking.models), ranking.difference
    axes.plot([1, models], [0, 0], "k", linewidth=1)
    for rank in ranking.ticks:
        axes.plot([rank, rank], [0, -0.3], "k", linewidth=1)
        axes.text(rank, -0.5, str(rank), ha="center", va="bottom", fontsize="small")
    axes.plot([1, 1 + reach], [-3.1, -3.1], "k|-", linewidth=1)
    label = f"critical difference {reach:.2f} (Nemenyi, {ALPHA:.0%})"
    axes.text(1, -3.4, label, ha="left", va="bottom", fontsize="small")
    title = f"average rank over {ranking.datasets} data sets, 1 is best"
    axes.text(models, -1.6, title, ha="right", va="bottom", fontsize="small")


def _names(
    axes: Axes, ranking: Ranking, names: list[str], first: float
) -> tuple[list[Text], list[Text]]:
    """Name the better half on the left, the best on top, the others on the right."""
    left, right = axes.get_xlim()
    on_left: list[Text] = []
    on_right: list[Text] = []
    for place, (rank, name) in enumerate(zip(ranking.ranks, names, strict=True)):
        better = place < ranking.better_half
        x, y = left if better else right, first + ranking.line(place)
        axes.plot([rank, rank, x], [0, y, y], GREY, linewidth=0.8, zorder=1)
        text = f"{name}  {rank:.2f} " if better else f" {rank:.2f}  {name}"
        label = axes.text(
            x, y, text, ha="right" if better else "left", va="center", fontsize="small"
        )
        (on_left if better else on_right).append(label)
    return on_left, on_right


def _fit(figure: Figure, axes: Axes, left: list[Text], right: list[Text]) -> None:
    """Widen the figure, not the axis, by what the names on both sides need."""
    margins = [
        PAD + max(label.get_window_extent().width for label in side) / figure.dpi
        for side in (left, right)
    ]
    width = WIDTH + sum(margins)
    figure.set_size_inches(width, figure.get_figheight())
    axes.set_position((margins[0] / width, 0, WIDTH / width, 1))
