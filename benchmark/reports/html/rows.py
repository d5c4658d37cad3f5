"""The leaderboard of the page: what each cell shows and what it is sorted by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.reports.cost_columns import SHOWN_COSTS, Shown
from benchmark.reports.costs import cost_points
from benchmark.reports.details import labels
from benchmark.reports.ranking import BASELINE, Group
from benchmark.reports.seed_noise import noise_marks
from benchmark.reports.tables import (
    Mark,
    decimals_for,
    mean_and_std,
    number,
    plain,
    share,
    signed,
)
from benchmark.reports.ties import TIED

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PARETO_COSTS = ("train_seconds", "macs", "params", "latency_ms")
"""Costs that error is drawn against."""

SCORES = (
    Shown("mse", "MSE", "mean squared error on test, scaled series, mean ± std over seeds", number),
    Shown("mae", "MAE", "mean absolute error on test, scaled series, mean ± std", number),
    Shown("mase", "MASE", "absolute error over that of the seasonal naive on train rows", number),
    Shown("crps", "CRPS", "score of the calibrated quantiles, scaled series", number),
)
OTHERS = (
    Shown(
        "skill",
        "skill",
        f"1 - MSE / MSE of {BASELINE}; higher is better",
        partial(number, decimals=3),
    ),
    Shown("coverage_80", "in 80%", "test values inside the calibrated 80% interval", share),
    *SHOWN_COSTS,
)


def columns() -> list[dict[str, Any]]:
    """Describe the columns, in their order."""
    texts = (
        ("rank", "#", "rank by MSE within its data set and horizon", True),
        ("name", "model", "sort by name", False),
        ("dataset", "data set", "sort by data set", False),
        ("horizon", "horizon", "steps forecast", True),
    )
    kind = (
        ("family", "family", "kind of model", False),
        ("lookback", "lookback", "steps seen", True),
    )
    tie = ("vs_best", "vs best", f"difference in MSE to the best row; {TIED}: tied with it", True)
    seeds = ("seeds", "seeds", "seeds that finished", True)
    scores = [(each.key, each.title, each.meaning, True) for each in SCORES]
    others = [(each.key, each.title, each.meaning, True) for each in OTHERS]
    device = ("device", "device", "sort by device", False)
    every = [*texts, *scores[:2], tie, *kind, *scores[2:], *others, device, seeds]
    return [
        {"key": key, "title": title, "help": meaning, "number": is_number}
        for key, title, meaning, is_number in every
    ]


def row_objects(
    group: Group, task: int, most: int, facts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Make an object for each of the best rows of a group.

    Args:
        group: its rows are ranked.
        task: the group's number on the page.
        most: how many rows.
        facts: what is known of each row beyond its scores, e.g. family and commands.

    Returns:
        Objects with `cells`, each ``[sorted by, text, mark]``, in the order of `columns`.
    """
    rows = group.rows
    marks = {
        each.key: noise_marks(each.key, rows, group.noise.get(each.key))
        for each in SCORES
        if len(rows) > 1 and rows[each.key].notna().any()  # one alone is not the best of anything
    }
    places = {each.key: decimals_for(rows[each.key]) for each in SCORES}
    costs = {key: [*_costs(rows, key)] for key in PARETO_COSTS}
    order = [column["key"] for column in columns()]
    shown = []
    for place, (label, fact) in enumerate(zip(labels(rows)[:most], facts, strict=True)):
        row = rows.iloc[place]
        cells = {
            "rank": [int(row["rank"]), f"{row['rank']}{'*' if row['failed_seeds'] else ''}", ""],
            "name": _text(row["name"]),
            "dataset": _text(group.dataset),
            "horizon": [group.horizon, str(group.horizon), ""],
            "vs_best": _tie(row, places["mse"]),
            "family": _text(fact["family"]),
            "lookback": [int(row["lookback"]), str(row["lookback"]), ""],
            "device": _text(row["device"]),
            "seeds": [int(row["seeds"]), _seeds(row), ""],
        }
        for each in SCORES:
            mark = marks[each.key][place] if each.key in marks else ""
            cells[each.key] = _score(row, each, mark, places[each.key])
        for each in OTHERS:
            cells[each.key] = [_sortable(row[each.key]), each.write(row[each.key]), ""]
        shown.append(
            {
                "task": task,
                "label": label,
                "cells": [cells[key] for key in order],
                "costs": {key: known[place] for key, known in costs.items() if known[place]},
                **fact,
            }
        )
    return shown


def _costs(rows: DataFrame, cost: str) -> Iterator[list[Any] | None]:
    """For each row what it costs, its role and where its name stands; None where it is unknown."""
    points = cost_points(rows, cost)
    for price, role, named, *place in points[["cost", "role", "named", "x", "y", "far"]].itertuples(
        index=False
    ):
        yield [_sortable(price), role, place if named else None] if role else None


def _text(value: str) -> list[Any]:
    return [value, plain(value), ""]


def _score(row: Series[Any], column: Shown, mark: Mark, decimals: int) -> list[Any]:
    text = mean_and_std(row[column.key], row[f"{column.key}_std"], decimals)
    return [_sortable(row[column.key]), text, mark]


def _tie(row: Series[Any], decimals: int) -> list[Any]:
    if math.isnan(row["p_value"]):
        return [None, number(math.nan), ""]
    if row["rank"] == 1:
        return [0, "best", ""]
    difference, low, high = (
        signed(row[name], decimals) for name in ("vs_best", "vs_best_low", "vs_best_high")
    )
    text = f"{difference} {TIED}" if row["vs_best_low"] <= 0 else difference
    return [_sortable(row["vs_best"]), text, "", f"95% interval {low} to {high}"]


def _seeds(row: Series[Any]) -> str:
    lost = int(row["failed_seeds"])
    return f"{row['seeds']} of {row['seeds'] + lost}" if lost else str(row["seeds"])


def _sortable(value: float) -> float | None:
    """Six digits are enough to sort by; JSON has no infinity."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
