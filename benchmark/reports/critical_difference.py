"""The critical-difference diagram: the page and ``benchmark plot ranks`` draw the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.reports.across import LEAST, standing
from benchmark.reports.average_ranks import Ranking, rank_models
from benchmark.reports.drawing import save_figure
from benchmark.reports.ranking import Leaderboard
from benchmark.reports.specs import GREY, Rows, Spec, layer, number_axis
from benchmark.reports.tables import plain
from benchmark.statistics.ranks import ALPHA

WIDTH, LINE, BAR = 440, 20, 9
"""Pixels: width of the axis with its leaders, height of a name, distance of two bars."""

AXIS = 76
"""Pixels above the axis, where the critical difference stands."""

EDGE, LEADER = 0.012, 0.05
"""Shares of the axis: how far a bar reaches beyond its models, a leader beyond the axis."""

GAP = "\u00a0\u00a0"  # a drawing joins other blanks


def plot_ranks(board: Leaderboard, path: Path, option: str = "--ranks") -> None:
    """Draw the average ranks of the models that are done on every task.

    Args:
        board: results over three data sets or more.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.
        option: what asked for it.

    Raises:
        UserError: there are too few data sets or models, vl-convert is not installed, or the file
            cannot be written.
    """
    spec = ranks_spec(board)
    if spec is None:
        datasets, models = standing(board).scores.shape
        raise UserError(
            f"{option} {path}",
            f"data sets with {LEAST} models done: {datasets}; models done on all: {models}",
            f"run the same models, {LEAST} or more, on {LEAST} data sets or more",
        )
    save_figure(spec, path, option)


def ranks_spec(board: Leaderboard) -> Spec | None:
    """Specify the diagram; None with too few data sets or models."""
    found = standing(board)
    if not found.enough:
        return None
    ranking = rank_models(found.scores)
    last = len(ranking.models)
    reach = LEADER * (last - 1)
    bars = [
        _line(start, end, AXIS + BAR * (level + 1), width=4)
        for start, end, level in ranking.bars(EDGE * (last - 1))
    ]
    first = max((bar["y"] for bar in bars), default=AXIS) + BAR + LINE / 2
    height = first + LINE * (ranking.better_half - 0.5)
    lines, texts = _scale(ranking)
    leaders, names = _names(ranking, first, reach)
    across = {"domain": [1 - reach, last + reach], "nice": False}
    down = {"domain": [height, 0], "nice": False}  # pixels, from above
    ends = {"x2": {"field": "x2"}, "y2": {"field": "y2"}}
    width, align, dx = ({"expr": f"datum.{name}"} for name in ("width", "align", "dx"))
    layers = [
        (leaders, layer("rule", None, ends, color=GREY)),
        ([*lines, *bars], layer("rule", None, ends, strokeWidth=width)),
        (
            [*texts, *names],
            layer("text", None, {"text": {"field": "text"}}, align=align, dx=dx, fontSize=12),
        ),
    ]
    return {
        "description": (
            f"Critical-difference diagram: average ranks of {last} models over {ranking.datasets} "
            f"data sets, lowest: {plain(ranking.models[0])}, {ranking.ranks[0]:.2f}"
        ),
        "width": WIDTH,
        "height": height,
        "encoding": {
            "x": number_axis("x", "", across, axis=None),
            "y": number_axis("y", "", down, axis=None),
        },
        "layer": [each | {"data": {"values": rows}} for rows, each in layers],
    }


def _scale(ranking: Ranking) -> tuple[Rows, Rows]:
    """Draw the axis of ranks, and above it the critical difference at the same scale."""
    last, end = len(ranking.models), 1 + ranking.difference
    lines = [
        _line(1, last, AXIS),
        *(_line(rank, rank, AXIS, AXIS - 6) for rank in ranking.ticks),
        _line(1, end, 20),
        *(_line(x, x, 16, 24) for x in (1, end)),
    ]
    difference = f"critical difference {ranking.difference:.2f} (Nemenyi, {ALPHA:.0%})"
    title = f"average rank over {ranking.datasets} data sets, 1 is best"
    texts = [
        _text(1, 6, difference),
        _text(last, AXIS - 32, title, "right"),
        *(_text(rank, AXIS - 14, str(rank), "center") for rank in ranking.ticks),
    ]
    return lines, texts


def _names(ranking: Ranking, first: float, reach: float) -> tuple[Rows, Rows]:
    """Name the better half on the left, the best on top, the others on the right."""
    lines, texts = [], []
    for place, (rank, model) in enumerate(zip(ranking.ranks, ranking.models, strict=True)):
        y, parts = first + LINE * ranking.line(place), (plain(model), f"{rank:.2f}")
        if place < ranking.better_half:
            end = 1 - reach
            texts.append(_text(end, y, GAP.join(parts), "right", dx=-5))
        else:
            end = len(ranking.models) + reach
            texts.append(_text(end, y, GAP.join(reversed(parts)), dx=5))
        lines += [_line(rank, rank, AXIS, y), _line(rank, end, y)]
    return lines, texts


def _line(
    x: float, x2: float, y: float, y2: float | None = None, width: float = 1
) -> dict[str, Any]:
    return {"x": x, "x2": x2, "y": y, "y2": y if y2 is None else y2, "width": width}


def _text(x: float, y: float, text: str, align: str = "left", dx: float = 0) -> dict[str, Any]:
    return {"x": x, "y": y, "text": text, "align": align, "dx": dx}
