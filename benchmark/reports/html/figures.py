"""What the page's figures are drawn from, cut to what a page can hold.

A page is one file that opens from a disk, so it holds the details of a task's best models only, and
of many tasks fewer and coarser ones. What was cut is said on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.records.record import HEADLINE
from benchmark.reports.details import (
    Array,
    Curve,
    Detail,
    Forecasts,
    Places,
    ranked_channels,
    spread,
)
from benchmark.reports.html.embed import pack, rounded
from benchmark.reports.ranking import Group
from benchmark.reports.seasons import season_of

BUDGET = 2_000_000
"""Characters that all details of a page may take."""

CHANNELS = 24
"""Channels in the figure of error by channel."""

PACKED, WRITTEN = 2.67, 7.0
"""Characters of a number that `pack` packs, and of one that is written out."""


@dataclass(frozen=True)
class Limits:
    """How much of each task a page holds.

    Attributes:
        models: the best of a task.
        channels: in the figure of forecasts.
        steps: of the horizon.
    """

    models: int
    channels: int
    steps: int

    def size(self, group: Group) -> float:
        """Estimate the characters that a task takes."""
        if not len(group.rows):  # all failed: not even the number of channels is known
            return 0.0
        models = min(self.models, len(group.rows))
        steps = min(self.steps, group.horizon)
        told = group.channels.split("/")[0]  # not by every run: then as many as there may be
        channels = min(self.channels, int(told)) if told.isdecimal() else self.channels
        values = steps * channels * (8 * 3 + 2 * 3)  # windows: forecast and interval; own truth
        return models * (PACKED * values + WRITTEN * 2 * (steps + CHANNELS) + 1500)


LADDER = (
    Limits(12, 8, 360),
    Limits(10, 8, 180),
    Limits(8, 4, 180),
    Limits(6, 3, 120),
    Limits(4, 2, 96),
    Limits(3, 1, 96),
    Limits(2, 1, 48),
)


def choose_limits(groups: Sequence[Group]) -> tuple[Limits, int]:
    """Return the widest limits that keep to the budget, and how many tasks they keep to it with."""
    for limits in LADDER:
        if sum(map(limits.size, groups)) <= BUDGET:
            return limits, len(groups)
    sizes = np.cumsum([limits.size(group) for group in groups])
    return limits, int((sizes <= BUDGET).sum())


def chosen_rows(group: Group, limits: Limits) -> list[int]:
    """Places of the rows whose details a page holds: the best, and the best naive one."""
    places = list(range(min(limits.models, len(group.rows))))
    naive = np.flatnonzero(group.rows["fitted"] == "none")
    if len(naive) and naive[0] not in places and len(places) > 1:
        places[-1] = int(naive[0])
    return places


def figure_object(details: Sequence[Detail], limits: Limits) -> Any:
    """Make the object that the figures of one task are drawn from.

    Args:
        details: of the chosen rows, which are of one task; not empty.
        limits: see there.
    """
    first = details[0]
    horizon = len(first.errors["mse"])
    steps = spread(horizon, limits.steps)
    ranked = ranked_channels(details, CHANNELS)
    common = max((detail.forecasts for detail in details), key=lambda each: each.history.shape[1])
    kept = spread(len(common.channel), limits.channels)
    cut = _Cut(kept, steps, max(1, round(horizon / len(steps))))
    numbers = common.channel[kept]
    return {
        "steps": (steps + 1).tolist(),
        "season": season_of(common),
        "channels": [first.channels[number] for number in ranked],
        "all_channels": len(first.channels),
        "window_channels": [first.channels[number] for number in numbers],
        "common": _windows(common, _numbers(common, common=True), cut),
        "models": [_model(detail, common, cut, ranked) for detail in details],
    }


@dataclass(frozen=True)
class _Cut:
    """What of a window stays: places of channels and steps, and every how many-th step before."""

    channels: Places
    steps: Places
    every: int

    def pack(self, values: Array, steps: Places | None = None) -> list[dict[str, Any]]:
        """Pack windows ``(N, H, K)`` channel by channel: their units differ."""
        places = self.steps if steps is None else steps
        return [pack(values[:, places, channel]) for channel in self.channels]


def _numbers(forecasts: Forecasts, common: bool) -> Places:
    return np.flatnonzero([(kind == "common") == common for kind in forecasts.kind])


def _windows(forecasts: Forecasts, which: Places, cut: _Cut) -> dict[str, Any]:
    length = forecasts.history.shape[1]
    past = np.arange(length - 1, -1, -cut.every)[::-1]
    return {
        "kind": [forecasts.kind[number] for number in which],
        "first_row": [forecasts.first_row[number] for number in which],
        "time": [forecasts.time[number] for number in which],
        "past": (past - length + 1).tolist(),
        "history": cut.pack(forecasts.history[which], past),
        "target": cut.pack(forecasts.target[which]),
    }


def _model(detail: Detail, common: Forecasts, cut: _Cut, ranked: Places) -> dict[str, Any]:
    own = detail.forecasts
    alike = np.array_equal(own.channel, common.channel)
    theirs, ours = (
        [each.first_row[number] for number in _numbers(each, common=True)] for each in (common, own)
    )
    extremes = _numbers(own, common=False) if alike else np.array([], dtype=np.int64)
    channels = cut.channels if alike else cut.channels[:0]
    error = (own.forecast - own.target)[..., channels] / detail.scale[own.channel[channels]]
    has_interval = bool(np.isfinite(own.low).any())
    return {
        "label": detail.label,
        "naive": detail.fitted == "none",  # the table may not hold its row
        "shared": alike and theirs == ours,  # whether its common windows are those of the others
        "by_step": {key: rounded(detail.by_step(key)[cut.steps]) for key in HEADLINE},
        "by_channel": {key: rounded(detail.by_channel(key)[ranked]) for key in HEADLINE},
        "curves": [_curve(curve) for curve in detail.curves()],
        "mse": [rounded(window) for window in np.square(error).mean(axis=1)],
        "forecast": cut.pack(own.forecast) if alike else [],
        "low": cut.pack(own.low) if alike and has_interval else None,
        "high": cut.pack(own.high) if alike and has_interval else None,
        "extremes": _windows(own, extremes, cut),
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "label": curve.label,
        "best_epoch": curve.best_epoch,
        "epochs": [
            [epoch["number"], *rounded(np.array([epoch["val_mse"], epoch["train_loss"]]))]
            for epoch in curve.epochs
        ],
    }
