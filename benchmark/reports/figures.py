"""Figures of one task for a paper, made of the specifications that the page draws as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from benchmark.config import nearest
from benchmark.errors import UserError
from benchmark.reports import specs
from benchmark.reports.details import Detail
from benchmark.reports.drawing import save_figure
from benchmark.reports.ranking import Group, Leaderboard
from benchmark.reports.seasons import season_of
from benchmark.reports.specs import Rows
from benchmark.reports.tables import plain

DEFAULT_MODELS = 5
WIDTH = 560


def choose_group(
    board: Leaderboard, dataset: str | None, horizon: int | None, protocol: str | None = None
) -> Group:
    """Return the one group of a data set, horizon and protocol (the start of its fingerprint).

    Raises:
        UserError: there is none, or more than one; tells which there are.
    """
    found = [
        group
        for group in board.groups
        if dataset in (None, group.dataset)
        and horizon in (None, group.horizon)
        and group.fingerprint.startswith(protocol or "")
    ]
    if len(found) == 1:
        return found[0]
    datasets = dict.fromkeys(group.dataset for group in board.groups)
    if dataset is not None and dataset not in datasets:
        raise UserError("plot", f"no results for data set '{dataset}'", _there_are(datasets))
    tasks = [f"{group.dataset} {group.horizon} ({group.label})" for group in found or board.groups]
    what = f"{len(found)} tasks fit; {_there_are(tasks)}"
    raise UserError("plot", what, "choose one with --dataset, --horizon and --protocol")


def _there_are(names: Iterable[str]) -> str:
    return f"there are: {', '.join(islice(names, 20))}"


def choose_models(labels: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return the places of the models named, or of the best.

    Args:
        labels: of a group's rows, best first.
        wanted: some of them; none for the best.

    Raises:
        UserError: a name is none of them, or there are more than can be told apart.
    """
    for name in wanted:
        if name not in labels:
            raise UserError(f"plot: model {name!r}", "is not in that task", nearest(name, labels))
    most = len(specs.PALETTE)
    if len(wanted) > most:
        raise UserError("plot", f"names {len(wanted)} models", f"name {most} or fewer")
    chosen = list(dict.fromkeys(wanted)) or labels[:DEFAULT_MODELS]
    return [labels.index(name) for name in chosen]


def steps_rows(details: Sequence[Detail]) -> Rows:
    """MSE by step of the horizon."""
    return [
        {"step": step, "value": _number(value), "series": detail.label}
        for detail in details
        for step, value in enumerate(detail.by_step("mse"), start=1)
    ]


def channels_rows(details: Sequence[Detail]) -> Rows:
    """MSE by channel."""
    return [
        {"channel": channel, "value": _number(value), "series": detail.label}
        for detail in details
        for channel, value in zip(detail.channels, detail.by_channel("mse"), strict=True)
    ]


def training_rows(details: Sequence[Detail]) -> Rows:
    """Validation MSE by epoch, of what is trained by gradient, and each member of it by itself.

    Raises:
        UserError: nothing is.
    """
    rows = [
        {
            "epoch": epoch["number"],
            "value": epoch["val_mse"],
            "series": curve.label,
            "kept": epoch["number"] == curve.best_epoch,
        }
        for detail in details
        for curve in detail.curves()
        for epoch in curve.epochs
    ]
    if not rows:
        names = ", ".join(detail.label for detail in details)
        raise UserError("plot training", f"{names}: not trained by gradient", "name other models")
    return rows


def forecasts_rows(details: Sequence[Detail], channel: str, window: int) -> Rows:
    """One common window: truth, the first model's interval, and forecasts.

    Args:
        details: of the models drawn.
        channel: its name.
        window: from 1.

    Raises:
        UserError: the runs keep no such channel or window.
    """
    first = details[0].forecasts
    names = [details[0].channels[number] for number in first.channel]
    if channel not in names:
        raise UserError(f"--channel {channel}", "is not among those kept", nearest(channel, names))
    count = first.kind.count("common")
    if window > count:
        raise UserError(f"--window {window}", "is not there", f"choose 1 to {count}")
    at, place = window - 1, names.index(channel)
    history = first.history[at, :, place]
    truth = [*zip(range(1 - len(history), 1), history, strict=True)]
    truth += enumerate(first.target[at, :, place], start=1)
    rows: Rows = [{"step": s, "value": _number(v), "series": specs.TRUTH} for s, v in truth]
    for detail in details:
        own = detail.forecasts
        if own.first_row[at] != first.first_row[at]:
            raise UserError(f"plot: model {detail.label!r}", "has other windows", "leave it out")
        for step, value in enumerate(own.forecast[at, :, place], start=1):
            rows.append({"step": step, "value": _number(value), "series": detail.label})
    ends = zip(first.low[at, :, place], first.high[at, :, place], strict=True)
    band = specs.INTERVAL + details[0].label
    for step, (low, high) in enumerate(ends, start=1):
        if math.isfinite(low):  # runs of earlier versions kept none
            rows.append({"step": step, "low": float(low), "high": float(high), "series": band})
    return rows


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else None


SIMPLE: Mapping[str, Callable[[Sequence[Detail]], Rows]] = {
    "steps": steps_rows,
    "channels": channels_rows,
    "training": training_rows,
}
"""Rows of the figures that take nothing but models."""


def task_title(group: Group) -> str:
    """Name a group's task over a figure."""
    return f"{plain(group.dataset)}, horizon {group.horizon}"


def window_title(group: Group, details: Sequence[Detail], channel: str, window: int) -> str:
    """Name what `forecasts_rows` shows over a figure, with the time of the first step if known."""
    time = details[0].forecasts.time[window - 1].replace("T", " ").removesuffix(":00")
    parts = [task_title(group), plain(channel), f"from {time}" if time else f"window {window}"]
    return ", ".join(parts)


def save_chart(
    kind: str, rows: Rows, details: Sequence[Detail], path: Path, title: str = "", y: str = ""
) -> None:
    """Draw one of `benchmark.reports.specs.SPECS` into a file, and make its folder.

    Args:
        kind: which.
        rows: its data.
        details: of the models drawn.
        path: its ending (.svg, .png, .pdf) decides the format.
        title: of the figure.
        y: title of the vertical axis; the specification's own where empty.

    Raises:
        UserError: vl-convert is not installed, or the file cannot be written.
    """
    colours = {specs.TRUTH: "#222222"} | {
        series: colour
        for detail, colour in zip(details, specs.PALETTE, strict=False)
        for series in (
            detail.label,
            specs.INTERVAL + detail.label,
            *(curve.label for curve in detail.curves()),
        )
    }
    drawn = {row["series"] for row in rows}
    colours = {series: colour for series, colour in colours.items() if series in drawn}
    titles = {"y": y} if y else {}
    spec = specs.complete(specs.SPECS[kind](), rows, colours, **titles)
    for season in spec.get("params", []):
        season["value"] = season_of(details[0].forecasts)
    save_figure(spec | {"width": WIDTH, "title": title}, path, f"plot {kind}")
