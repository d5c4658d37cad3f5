"""Error against cost: what nothing beats, what a panel shows, and what is named below it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import UserError
from benchmark.reports.details import labels
from benchmark.reports.drawing import save_figure
from benchmark.reports.label_places import Boxes, around, place_labels
from benchmark.reports.ranking import Group, Leaderboard
from benchmark.reports.specs import FONT, PADDING, PALETTE, Spec, complete, costs_spec
from benchmark.reports.tables import decimals_for, number, plain

if TYPE_CHECKING:
    from pandas import DataFrame, Series

WORST = 1.25
"""Rows whose MSE is above this times the best are named below a panel unless on the front."""

AXES = {"train_seconds": "training, seconds", "macs": "multiply-accumulates of one forecast"}
KINDS = {
    "gradient": ("trained by gradient", PALETTE[0]),
    "closed_form": ("closed form", PALETTE[1]),
    "none": ("nothing fitted", PALETTE[2]),
    "elsewhere": ("made elsewhere", PALETTE[3]),
}
"""Name and colour by how a model is fitted."""

PANEL = np.array([430.0, 340.0])  # pixels
NOTE_WIDTH = 86  # characters below a panel
COLUMNS = ["model", "series", "cost", "value", "role"]


def plot_costs(board: Leaderboard, path: Path, option: str = "--plot") -> None:
    """Draw every group's MSE by what it cost, a panel a cost, and the front that nothing beats.

    A model that costs nothing has no place on a logarithmic axis: the best of them is a line.

    Args:
        board: a row of panels for each of its groups.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.
        option: what asked for it.

    Raises:
        UserError: no row has a cost, vl-convert is not installed, or the file cannot be written.
    """
    panels = [
        [_panel(group, cost) for cost in AXES if (price(group.rows, cost) > 0).any()]
        for group in board.groups
    ]
    if not any(panels):
        raise UserError(option, "no model that cost anything is done", "run a benchmark first")
    save_figure({"vconcat": [{"hconcat": row} for row in panels if row]}, path, option)


def price(rows: DataFrame, cost: str) -> Series[float]:
    """Return what each row cost; to fit nothing costs nothing, whatever a clock said."""
    return rows[cost].mask((rows["fitted"] == "none") & (cost == "train_seconds"), 0.0)


def roles(rows: DataFrame, cost: str) -> list[str]:
    """Say what each row is where error is drawn against a cost.

    Args:
        rows: of one group, the best first.
        cost: a column of theirs.

    Returns:
        For each row ``front``, if no other is as good for less; ``near``, if it is drawn as well;
        or ``worse``. Of those that cost nothing the best is ``level``, unless it is worse, and the
        others are ``free``. Empty where the cost is not known.
    """
    costs, errors = price(rows, cost).to_numpy(float), rows["mse"].to_numpy(float)
    paid, known = costs > 0, np.flatnonzero(costs >= 0)
    front = known[pareto_front(costs[known].tolist(), errors[known].tolist())]
    front = front[paid[front]]
    limit = max([WORST * errors[paid].min(initial=math.inf), *errors[front]])
    found = np.select([paid & (errors <= limit), paid, costs == 0], ["near", "worse", "free"], "")
    found = found.astype(object)
    found[front] = "front"
    found[[i for i in np.flatnonzero(costs == 0)[:1] if errors[i] <= limit]] = "level"
    return list(found)


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


def cost_points(rows: DataFrame, cost: str) -> DataFrame:
    """Place the rows of a group where error is drawn against a cost, and their names.

    Args:
        rows: of one group, the best first.
        cost: a column of theirs.

    Returns:
        Of each row, in the same order, ``model``, ``series``, ``cost``, ``value``, ``role`` (see
        `roles`), whether it is ``named`` beside its point, the way there, ``x`` and ``y`` pixels,
        and whether that is ``far``.
    """
    rows = rows.assign(
        model=[plain(label) for label in labels(rows)],
        series=[KINDS[fitted][0] for fitted in rows["fitted"]],
        cost=price(rows, cost),
        value=rows["mse"],
        role=roles(rows, cost),
    )[COLUMNS].assign(named=False, x=0.0, y=0.0, far=False)
    is_point = rows["role"].isin(["front", "near"])
    if is_point.any():
        points = _named(rows[is_point], rows.loc[rows["role"] == "level", "value"])
        rows.loc[is_point] = points
    return rows


def _panel(group: Group, cost: str) -> Spec:
    rows = cost_points(group.rows, cost)
    points, levels = (rows[rows["role"].isin(each)] for each in (["front", "near"], ["level"]))
    colours = {name: colour for name, colour in KINDS.values() if name in set(points["series"])}
    shown: list[Any] = [*points.to_dict("records"), *levels[["value", "role"]].to_dict("records")]
    spec = complete(costs_spec(), shown, colours, x=AXES[cost])
    width, height = PANEL.tolist()
    notes = [*_notes(rows, points.loc[~points["named"], "model"].tolist())]
    below = {
        "data": {"values": [{}]},
        "mark": {
            "type": "text",
            "text": [line for note in notes for line in textwrap.wrap(note, NOTE_WIDTH)],
            "align": "left",
            "baseline": "top",
            "x": 0,
            "y": height + 42,
        },
        "encoding": {"x": None, "y": None, "color": None},
    }
    spec["layer"].append(below)
    title = f"{plain(group.dataset)}, horizon {group.horizon}"
    return spec | {"width": width, "height": height, "title": title}


def _named(points: DataFrame, levels: Series[float]) -> DataFrame:
    """Say of each point whether it is `named`, and the way to its name, ``x`` and ``y`` pixels."""
    across = _pixels(np.log(points["cost"].to_numpy(float)), PANEL[0])
    down = PANEL[1] - _pixels(np.concatenate([points["value"], levels]), PANEL[1])
    places = np.stack([across, down[: len(points)]], axis=1)
    front = sorted(map(tuple, places[points["role"] == "front"]))
    lines = [[0, y, PANEL[0], y] for y in down[len(points) :]]
    for (x, y), (to, lower) in pairwise(front):
        lines += [[x, y, to, y], [to, y, to, lower]]
    taken = np.vstack([around(places, 4), *(np.add(line, [-1, -1, 1, 1]) for line in lines)])
    way = place_labels(places, points["model"].tolist(), FONT, taken, PANEL)
    x, y = np.nan_to_num(way).T
    return points.assign(named=np.isfinite(way[:, 0]), x=x, y=y, far=np.hypot(x, y) > 12)


def _pixels(values: Boxes, length: float) -> Boxes:
    """Where values lie on an axis whose scale leaves `PADDING` at both ends."""
    low, high = values.min(), values.max()
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return PADDING + (length - 2 * PADDING) * share


def _notes(rows: DataFrame, unnamed: Sequence[str]) -> Iterator[str]:
    """Say what the lines of a panel are, and name what it does not."""
    decimals = decimals_for(rows["value"])
    own = {role: [*_scores(one, decimals)] for role, one in rows.groupby("role", sort=False)}
    if len(own.get("front", [])) > 1:
        yield "The dashed line joins what no cheaper model beats."
    for name in own.get("level", []):
        yield f"The dotted line is the best of what is free: {name}"
    for what, names in (
        ("Not shown, worse", own.get("worse")),
        ("Not shown, free", own.get("free")),
        ("Shown without a name", unnamed),
    ):
        if names:
            yield f"{what}: {', '.join(names)}"


def _scores(rows: DataFrame, decimals: int) -> Iterator[str]:
    for name, mse in zip(rows["model"], rows["value"], strict=True):
        yield f"{name} {number(mse, decimals)}"
