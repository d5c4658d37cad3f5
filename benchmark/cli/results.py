"""The command that ranks results."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import ResultsOption, check_output, make_console, tell
from benchmark.places import RESULTS

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.reports.ranking import Leaderboard


def leaderboard(
    csv: Annotated[
        Path | None, typer.Argument(help="A results CSV; default: all runs of --results.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Also write leaderboard.md and leaderboard.csv there.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw error by cost: a .svg, .png or .pdf file.")
    ] = None,
    ranks: Annotated[
        Path | None,
        typer.Option(help="Also draw average ranks over data sets: a .svg, .png or .pdf file."),
    ] = None,
    latex: Annotated[
        Path | None, typer.Option(help="Also write the tables as LaTeX, for booktabs.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Rank what has been run.

    There is a table for each data set, horizon and protocol, and one over three data sets or more.
    """
    from benchmark.records.store import Store
    from benchmark.reports.leaderboard import print_table, tables_of, write_leaderboard

    if latex is not None:
        check_output(latex, ".tex", option="--latex")
    path = csv or Store(results).csv_of_runs()
    console = make_console()
    board = _board(path)
    if output is not None:
        words = [] if results == RESULTS else ["--results", str(results)]
        if csv is not None:
            words = [str(csv)]
        command = shlex.join(["benchmark", "leaderboard", *words])
        write_leaderboard(output, board, command=command)
        tell(console, f"Leaderboard: {output / 'leaderboard.md'}")
    if plot is not None:
        from benchmark.reports.plots import plot_costs

        plot_costs(board, plot)
        tell(console, f"Plot: {plot}")
    if ranks is not None:
        from benchmark.reports.critical_difference import plot_ranks

        plot_ranks(board, ranks)
        tell(console, f"Plot: {ranks}")
    if latex is not None:
        from benchmark.files import write_atomically
        from benchmark.reports.latex import to_latex

        write_atomically(latex, to_latex(tables_of(board)))
        tell(console, f"LaTeX: {latex}")
    print_table(board, console)


def show_boards(path: Path, console: Console, only: set[str]) -> None:
    """Print the tables of every task that has a run in `only`."""
    from benchmark.reports.leaderboard import print_table

    print_table(_board(path, only), console)


def _board(path: Path, only: set[str] | None = None) -> Leaderboard:
    """Rank the rows of every task that has a run in `only`, or of all."""
    from benchmark.records.losses import read_losses
    from benchmark.records.table import read_results
    from benchmark.reports.ranking import best_runs, leaderboard

    rows = read_results(path)
    if only is not None:
        chosen = rows[rows["run_id"].isin(only)]
        keys = ["dataset", "horizon", "fingerprint"]
        rows = rows.merge(chosen[keys].drop_duplicates(), on=keys)
    return leaderboard(rows, read_losses(path, best_runs(rows)))
