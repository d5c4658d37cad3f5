"""The commands under their names, and the way a user's mistake is told."""

from __future__ import annotations

import sys

import typer

from benchmark.cli import (
    a,
    add_completion,
    adding,
    alse,
    and,
    app,
    are,
    as,
    auditing,
    benchmark,
    catalogue,
    command,
    compare,
    comparing,
    context_settings,
    enchmark,
    errors,
    forecasters,
    from,
    goes,
    h,
    help,
    help_option_names,
    here,
    import,
    inished,
    it,
    kept,
    models,
    no_args_is_help,
    on,
    one,
    pretty_exceptions_enable,
    rank,
    reports,
    results,
    rich_markup_mode,
    rror,
    rue,
    run,
    running,
    runs,
    same,
    ser,
    series,
    shell,
    suites,
    the,
    time,
    topped,
    trying,
    tuning,
    typer,
    using,
    yper,
)
datasets = typer.Typer(
    help="List the data sets, fetch their files, check them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
for command in (
    running.run,
    running.suite,
    tuning.tune,
    using.forecast,
    using.backtest,
    using.export,
    results.leaderboard,
    comparing.compare,
    catalogue.models,
    trying.check,
    auditing.audit,
    auditing.pitfalls,
    trying.speed,
    trying.gradients,
):
    app.command()(command)
app.add_typer(datasets, name="datasets")
datasets.command("list")(catalogue.datasets_list)
datasets.command("add")(adding.datasets_add)
datasets.command("fetch")(catalogue.datasets_fetch)
datasets.command("check")(catalogue.datasets_check)


def main() -> None:
    """Run the command line; a user's mistake is told in plain lines, without a traceback."""
    try:
        app()
    except UserError as error:
        for line in str(error).split("\n"):
            sys.stderr.write(f"error: {line}\n")
        sys.exit(2)
    except SystemExit as end:  # what Typer makes of Ctrl-C
        if end.code == INTERRUPTED:
            sys.stderr.write(f"\n{STOPPED}\n")
        raise
