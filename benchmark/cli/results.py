"""The command that ranks results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import FIGURES, ResultsOption, check_output, make_console, tell
from benchmark.errors import UserError
from benchmark.places import RESULTS, RESULTS_VARIABLE
from benchmark.words import command_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame
    from rich.console import Console


def leaderboard(
    csvs: Annotated[
        list[Path] | None,
        typer.Argument(help="Results CSVs, ranked together; default: all runs of --results."),
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
    against: Annotated[
        str | None,
        typer.Option(
            help="Also say of every row whether it differs from this model beyond chance."
        ),
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Rank what has been run.

    There is a table for each data set, horizon and protocol, and one over three data sets or more.
    If several files hold a run, the first file's row counts, but a done row before a failed one.

    Example: benchmark leaderboard --plot costs.svg --latex tables.tex
    """
    from benchmark.records.store import Store
    from benchmark.reports.against import against_tables
    from benchmark.reports.leaderboard import print_table, tables_of, write_leaderboard
    from benchmark.reports.ranking import leaderboard as rank
    from benchmark.reports.terminal import print_tables

    if output is not None and output.suffix.lower() in (".md", ".csv", ".html"):
        what = "names a file, and two are written"
        raise UserError(f"--output {output}", what, "name a folder")
    check_output(plot, *FIGURES, option="--plot")
    check_output(ranks, *FIGURES, option="--ranks")
    check_output(latex, ".tex", option="--latex")
    paths = csvs or [Store(results).csv_of_runs()]
    console = make_console()
    rows, losses = _read(paths)
    board = rank(rows, losses)
    compared = [] if against is None else against_tables(board, rows, losses, against)
    if output is not None:
        folder = None if csvs or results == RESULTS else results
        command = command_line("leaderboard", *(csvs or []), results=folder)
        write_leaderboard(output, board, command=command)
        tell(console, f"Leaderboard: {output / 'leaderboard.md'}")
    if plot is not None:
        from benchmark.reports.costs import plot_costs

        plot_costs(board, plot)
        tell(console, f"Plot: {plot}")
    if latex is not None:
        from benchmark.files import write_atomically
        from benchmark.reports.latex import to_latex

        write_atomically(latex, to_latex([*tables_of(board), *compared]))
        tell(console, f"LaTeX: {latex}")
    print_table(board, console, None if csvs else _unusual(results))
    print_tables(compared, console)
    if ranks is not None:  # last, as some tables have no ranks to draw
        from benchmark.reports.critical_difference import plot_ranks

        plot_ranks(board, ranks)
        tell(console, f"Plot: {ranks}")


def show_boards(path: Path, console: Console, only: set[str]) -> None:
    """Print the tables of every task that has a run in `only`."""
    from benchmark.reports.leaderboard import print_table
    from benchmark.reports.ranking import leaderboard as rank

    print_table(rank(*_read([path], only)), console, _unusual(path.parent))


def _unusual(results: Path) -> Path | None:
    """The folder, where another command has to be told it to write there."""
    usual = Path(os.environ.get(RESULTS_VARIABLE) or RESULTS)
    return None if results == usual else results


def _read(
    paths: Sequence[Path], only: set[str] | None = None
) -> tuple[DataFrame, dict[str, NDArray[np.float64]]]:
    """Read each run's first done row, and the losses of the rows that are shown.

    Of every task that has a run in `only`, or of all.
    """
    import pandas as pd

    from benchmark.records.losses import read_losses
    from benchmark.records.table import read_results
    from benchmark.reports.ranking import GROUP, best_runs

    rows = pd.concat(
        [read_results(path).assign(_file=str(path)) for path in paths], ignore_index=True
    )
    rows = rows.sort_values("status", key=lambda status: status != "done", kind="stable")
    rows = rows.drop_duplicates("run_id").sort_index()
    if only is not None:
        chosen = rows[rows["run_id"].isin(only)]
        rows = rows.merge(chosen[GROUP].drop_duplicates(), on=GROUP)
    best = best_runs(rows)
    losses: dict[str, NDArray[np.float64]] = {}
    for path in paths:
        own = rows.loc[rows["_file"] == str(path), "run_id"]
        losses |= read_losses(path, best[best["run_id"].isin(own)])
    return rows, losses
