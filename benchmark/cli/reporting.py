"""Commands that show results: a page to open, figures for a paper."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import FIGURES, ResultsOption, check_output, make_console, tell
from benchmark.errors import UserError
from benchmark.places import PUBLISHED, RESULTS

if TYPE_CHECKING:
    from pandas import DataFrame

    from benchmark.reports.html.page import Source
    from benchmark.reports.ranking import Group


def report(
    csv: Annotated[
        Path | None, typer.Argument(help="A results CSV; default: all runs of --results.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="HTML file; default: report.html beside the results CSV.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Write all results as one HTML page.

    The page holds all it needs: it opens from a disk, and may be sent as it is.
    """
    from benchmark.records.store import Store
    from benchmark.reports.html.page import write_report

    check_output(output, ".html", ".htm")
    csv = csv or Store(results).csv_of_runs()
    path = output or csv.with_name("report.html")
    write_report(path, page_source(csv, "Benchmark results"))
    tell(make_console(), f"Report: {path}")


def page_source(csv: Path, title: str, command: str = "", notes: tuple[str, ...] = ()) -> Source:
    """Take what the page of a results file is made from, see there."""
    from benchmark.harness.repeat import origin_of
    from benchmark.records.table import read_results
    from benchmark.reports.html.page import Source
    from benchmark.reports.published import read_published

    published = read_published(PUBLISHED)
    return Source(csv, read_results(csv), published, origin_of, title, command, notes)


class Kind(StrEnum):
    """What can be drawn."""

    costs = "costs"
    steps = "steps"
    channels = "channels"
    forecasts = "forecasts"
    training = "training"
    ranks = "ranks"


_TASK = {"--dataset", "--horizon", "--protocol"}
_OF_MODELS = {"models", *_TASK}
_TAKES: dict[Kind, set[str]] = {
    Kind.costs: _TASK,
    Kind.steps: _OF_MODELS,
    Kind.channels: _OF_MODELS,
    Kind.forecasts: {*_OF_MODELS, "--channel", "--window"},
    Kind.training: _OF_MODELS,
    Kind.ranks: set(),
}
"""What else decides each figure."""


def plot(
    kind: Annotated[Kind, typer.Argument(help="Which figure.")],
    models: Annotated[
        list[str] | None, typer.Argument(help="Models drawn, as tables name them; default: best 5.")
    ] = None,
    output: Annotated[Path, typer.Option(help="A .svg, .png or .pdf file.")] = Path("figure.svg"),
    dataset: Annotated[
        str | None, typer.Option(help="The data set, where the results hold several.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(help="The horizon, where the results hold several.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="The start of its fingerprint, where a task has several.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="Channel of the forecasts; default: the first.")
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=1, help="Window of the forecasts, 1 to 5; default: 1.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Draw a figure for a paper.

    Error by cost, step or channel, forecasts beside the truth, training curves, or ranks over data
    sets.

    Example: benchmark plot steps gru ridge --dataset ETTh1 --output steps.pdf
    """
    given = {
        "models": models,
        "--dataset": dataset,
        "--horizon": horizon,
        "--protocol": protocol,
        "--channel": channel,
        "--window": window,
    }
    unread = [name for name, value in given.items() if value and name not in _TAKES[kind]]
    if unread:
        raise UserError(f"plot {kind}", f"takes no {', no '.join(unread)}", "leave that out")
    check_output(output, *FIGURES)
    from benchmark.records.store import Store
    from benchmark.records.table import read_results
    from benchmark.reports.costs import plot_costs
    from benchmark.reports.critical_difference import plot_ranks
    from benchmark.reports.figures import choose_group
    from benchmark.reports.ranking import Leaderboard
    from benchmark.reports.ranking import leaderboard as rank

    store = Store(results)
    rows = read_results(store.csv_of_runs())
    board = rank(rows)
    if kind is Kind.ranks:
        plot_ranks(board, output, f"plot {kind}")
    else:
        group = choose_group(board, dataset, horizon, protocol)
        if kind is Kind.costs:
            plot_costs(Leaderboard((group,)), output, f"plot {kind}")
        else:
            _chart(kind, group, rows, store.runs, models or [], channel, window or 1, output)
    tell(make_console(), f"Plot: {output}")


def _chart(
    kind: Kind,
    group: Group,
    results: DataFrame,
    folder: Path,
    models: list[str],
    channel: str | None,
    window: int,
    output: Path,
) -> None:
    from benchmark.reports import figures
    from benchmark.reports.details import labels, read_details, runs_by_row

    places = figures.choose_models(labels(group.rows), models)
    details = read_details(group.rows, places, runs_by_row(results), folder)
    if not details:
        what = "has no folder of these runs with their forecasts and errors"
        raise UserError(str(folder), what, "run them again with --force")
    if kind is Kind.forecasts:
        channel = channel or details[0].channels[0]
        drawn = figures.forecasts_rows(details, channel, window)
        title = figures.window_title(group, details, channel, window)
        figures.save_chart(kind, drawn, details, output, title, f"{channel}, unscaled")
    else:
        drawn = figures.SIMPLE[kind](details)
        figures.save_chart(kind, drawn, details, output, figures.task_title(group))
