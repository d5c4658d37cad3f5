"""The commands under their names, and the way a user's mistake is told."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import typer

from benchmark.cli import (
    adding,
    auditing,
    catalogue,
    comparing,
    inside,
    reporting,
    reproducing,
    results,
    running,
    scoring,
    trying,
    tuning,
    using,
)
from benchmark.errors import UserError, told_by_line

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
GOES_ON = " Finished runs are kept; the same command goes on from here."
FORCED = " Finished runs are kept; without --force the same command runs what is missing."
RESUMED = ("run", "suite", "tune")  # commands of which that is true

app = typer.Typer(
    help="Benchmark time-series forecasters: run models and suites, rank and compare results.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
datasets = typer.Typer(
    help="List the data sets, add one of your own, fetch their files, check them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
for command in (
    running.run,
    running.suite,
    reproducing.reproduce,
    tuning.tune,
    using.forecast,
    using.backtest,
    using.export,
    scoring.score,
    results.leaderboard,
    comparing.compare,
    reporting.report,
    reporting.plot,
    catalogue.models,
    trying.check,
    auditing.audit,
    auditing.pitfalls,
    auditing.epochs,
    trying.speed,
    inside.gradients,
    inside.abilities,
    inside.gates,
):
    app.command()(command)
app.add_typer(datasets, name="datasets")
datasets.command("list")(catalogue.datasets_list)
datasets.command("add")(adding.datasets_add)
datasets.command("mend")(adding.datasets_mend)
datasets.command("fetch")(catalogue.datasets_fetch)
datasets.command("check")(catalogue.datasets_check)


def main() -> None:
    """Run the command line; a user's mistake is told in plain lines, without a traceback.

    So is what a model of the user's own raises, whatever the command was doing with it.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # errors' stream is never strict
        sys.stdout.reconfigure(errors="replace")  # a table with a ? for what an encoding lacks
    try:
        with told_by_line("a file of your own", "mend that line"):
            app()
    except UserError as error:
        for line in str(error).split("\n"):
            sys.stderr.write(f"error: {line}\n")
        sys.exit(2)
    except SystemExit as end:  # what Typer makes of Ctrl-C
        if end.code == INTERRUPTED:
            resumed = any(word in RESUMED for word in sys.argv[1:2])
            goes_on = FORCED if "--force" in sys.argv else GOES_ON
            sys.stderr.write(f"\nStopped.{goes_on if resumed else ''}\n")
        raise
