"""Figures for a page or a paper, drawn with matplotlib where it is installed."""

from __future__ import annotations

import itertools
import math
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UserError
from benchmark.files import storage_faults
from benchmark.reports.ranking import Group, Leaderboard
from benchmark.reports.tables import number, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from pandas import DataFrame, Series

FLOOR = 1e-12
WORST = 1.25
"""Rows whose MSE is above this times the best are named below a panel unless on the front."""

AXES = {"train_seconds": "training, seconds", "macs": "multiply-accumulates of one forecast"}
KINDS = {
    "gradient": ("#2b6cb0", "o", "trained by gradient"),
    "closed_form": ("#c05621", "s", "closed form"),
    "none": ("#4a5568", "^", "nothing fitted"),
}
"""Colour, marker and name by how a model is fitted."""

FRONT = "#718096"
NOTE_WIDTH = 100  # characters below a panel

_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_DISTANCES = (5.0, 9.0, 14.0, 20.0, 28.0, 38.0, 50.0, 64.0)  # points, from a marker to its label


def plot_gradient_flow(flows: Mapping[str, NDArray[np.float64]], path: Path) -> None:
    """Draw each cell's gradient by distance, relative to that of the last step.

    Args:
        flows: cell -> norms ``(S,)``, element d for the input d steps before the last.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(7.2, 4.2)
    axes = figure.subplots()
    for place, (name, norms) in enumerate(flows.items()):
        relative = norms / norms[0]
        relative = np.where(relative < FLOOR, np.nan, relative)
        style = ("-", "--", ":")[place // 10 % 3]
        axes.semilogy(np.arange(len(norms)), relative, style, label=name, linewidth=1.6)
    axes.set_xlabel("steps before the last output")
    axes.set_ylabel("gradient, relative to the last step")
    axes.set_ylim(FLOOR, 2)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, ncols=2, fontsize="small")
    save_figure(figure, path)


def plot_costs(board: Leaderboard, path: Path, option: str = "--plot") -> None:
    """Draw every group's MSE by what it cost, a panel a cost, and the front that nothing beats.

    A model that costs nothing has no place on a logarithmic axis: the best of them is a line.

    Args:
        board: a row of panels for each of its groups.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.
        option: what asked for it.

    Raises:
        UserError: no row has a cost, matplotlib is not installed, or the file cannot be written.
    """
    groups = [group for group in board.groups if _costs(group)]
    if not groups:
        raise UserError(option, "no model that cost anything is done", "run a benchmark first")
    across = max(len(_costs(group)) for group in groups)
    figure = new_figure(6.4 * across, 5.2 * len(groups), option)
    grid = figure.subplots(len(groups), across, squeeze=False)
    labels: list[tuple[Axes, list[Annotation]]] = []
    for group, panels in zip(groups, grid, strict=True):
        costs = _costs(group)
        labels += [
            (axes, _cost_panel(axes, group, cost))
            for axes, cost in zip(panels, costs, strict=False)
        ]
        for axes in panels[len(costs) :]:
            axes.remove()
    with _quietly():
        figure.draw_without_rendering()  # lays the panels out: only then labels have a place
        for axes, own in labels:
            _spread(axes, own)
    save_figure(figure, path)


def pareto_front(cost: Sequence[float], error: Sequence[float]) -> list[int]:
    """Return which points no other point beats, cheapest first.

    A point is beaten by one that is no worse in both and better in one; of equal points the first
    stays.
    """
    front: list[int] = []
    best = math.inf
    for index in sorted(range(len(cost)), key=lambda i: (cost[i], error[i])):
        if error[index] < best:
            front.append(index)
            best = error[index]
    return front


def _costs(group: Group) -> list[str]:
    return [name for name in AXES if _paid(group.rows, name).any()]


def _paid(rows: DataFrame, cost: str) -> Series:
    """Say which rows cost anything; to fit nothing costs nothing, whatever a clock said."""
    return (rows[cost] > 0) & ((rows["fitted"] != "none") | (cost != "train_seconds"))


def _cost_panel(axes: Axes, group: Group, cost: str) -> list[Annotation]:
    """Draw one panel; the labels of its points are still where the points are."""
    known = group.rows[group.rows[cost].notna()]
    pays = _paid(known, cost)
    paid, free = known[pays], known[~pays]
    front = paid.iloc[pareto_front(paid[cost].tolist(), paid["mse"].tolist())]
    front = front[front["mse"] < free["mse"].min()] if len(free) else front
    limit = max([WORST * paid["mse"].min(), *front["mse"]])
    shown, beyond = paid[paid["mse"] <= limit], paid[paid["mse"] > limit]
    axes.set_xscale("log")
    for kind, (colour, marker, label) in KINDS.items():
        own = shown[shown["fitted"] == kind]
        if len(own):
            axes.scatter(own[cost], own["mse"], s=30, c=colour, marker=marker, label=label)
    if len(front) > 1:
        axes.step(front[cost], front["mse"], FRONT, where="post", label="Pareto front", zorder=0.5)
    if len(free) and free["mse"].min() <= limit:
        best = free.iloc[0]  # rows are ranked
        axes.axhline(
            best["mse"], color=FRONT, ls=":", label=f"{escape_mathtext(best['name'])}: free"
        )
        free = free.iloc[1:]
    axes.margins(0.14, 0.1)
    axes.set_xlabel(AXES[cost])
    axes.set_ylabel("test MSE, scaled series")
    axes.set_title(f"{escape_mathtext(group.dataset)}, horizon {group.horizon}", loc="left")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize="small")
    axes.annotate(
        "\n".join((*_named("worse", beyond), *_named("free", free))),
        (0, 0),
        (0, -40),
        xycoords="axes fraction",
        textcoords="offset points",
        verticalalignment="top",
        fontsize="x-small",
    )
    return [
        axes.annotate(
            escape_mathtext(name),
            (x, y),
            (0, 0),
            textcoords="offset points",
            fontsize="x-small",
            fontweight="bold" if on_front else "normal",
            horizontalalignment="center",
            verticalalignment="center",
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6},
        )
        for name, x, y, on_front in zip(
            shown["name"], shown[cost], shown["mse"], shown.index.isin(front.index), strict=True
        )
    ]


def escape_mathtext(name: str) -> str:
    """Make a name safe to draw: between two dollar signs matplotlib sees a formula."""
    return plain(name).replace("$", r"\$")


def _named(what: str, rows: DataFrame) -> Iterable[str]:
    """Name rows that a panel does not show, with their MSE."""
    if len(rows):
        names = zip(rows["name"], rows["mse"], strict=True)
        text = ", ".join(f"{escape_mathtext(name)} {number(mse, 3)}" for name, mse in names)
        yield textwrap.fill(f"Not shown, {what}: {text}", NOTE_WIDTH)


def _spread(axes: Axes, labels: Sequence[Annotation]) -> None:
    """Move each label to the nearest place around its point where it covers nothing.

    Points are taken from the most crowded side, the bottom, upwards; where no place is free the
    one that overlaps least is taken.
    """
    scale = axes.figure.dpi / 72
    points = [axes.transData.transform(label.xy) for label in labels]
    taken = [_around(np.array(points), 3 * scale)] if points else []
    legend = axes.get_legend()
    if legend is not None:
        taken.append(np.array([legend.get_window_extent().extents]))
    for line in axes.lines:  # the front, and what is free
        corners = line.get_transform().transform_path(line.get_path()).interpolated(40).vertices
        taken.append(_around(np.asarray(corners), scale))
    inside = np.array([axes.get_window_extent().extents])
    steps = list(itertools.product(_DISTANCES, _DIRECTIONS))
    distances, directions = (np.array(each, dtype=float) for each in zip(*steps, strict=True))
    for label, point in sorted(zip(labels, points, strict=True), key=lambda pair: pair[1][1]):
        half = np.array(label.get_window_extent().size) / 2
        offsets = directions * (distances[:, None] * scale + half)
        boxes = _around(point + offsets, half)
        place = int(np.argmin(_covered(boxes, np.concatenate(taken), inside)))  # nearest first
        label.set_position(tuple(offsets[place] / scale))
        taken.append(boxes[place][None])


def _around(points: NDArray[np.float64], reach: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes ``(N, 4)`` around points ``(N, 2)``: left, lower, right and upper edge."""
    return np.hstack([points - reach, points + reach])


def _covered(
    boxes: NDArray[np.float64], taken: NDArray[np.float64], inside: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Area of each box that lies on something or outside the panel."""
    whole = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    found: NDArray[np.float64] = _common(boxes, taken).sum(axis=1) + whole
    return found - _common(boxes, inside)[:, 0]


def _common(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area that each of some boxes has in common with each of others."""
    lower = np.maximum(boxes[:, None, :2], others[:, :2])
    sides = np.minimum(boxes[:, None, 2:], others[:, 2:]) - lower
    return np.where((sides > 0).all(axis=2), sides.prod(axis=2), 0.0)


def new_figure(width: float, height: float, option: str = "--plot") -> Figure:
    """Make a figure of a size in inches.

    Args:
        width: in inches.
        height: in inches.
        option: what asked for it.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        cure = "pip install 'ts-benchmark[plot]'"
        raise UserError(option, "matplotlib is not installed", cure) from None
    return Figure(figsize=(width, height), layout="constrained", dpi=150)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without warnings of a letter that no font has, or of a legend that takes a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, without a date, and make its folder.

    Args:
        figure: what to write.
        path: where to; its ending (.svg, .png, .pdf) decides the format.

    Raises:
        UserError: the file cannot be written.
    """
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        dated = path.suffix.lower() != ".svg"
        with _quietly():
            figure.savefig(path, metadata=None if dated else {"Date": None})
