"""Commands that run: one model, or a suite of them."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from benchmark.cli.options import (
    DEFAULT_RESULTS,
    CheckpointOption,
    Device,
    DeviceOption,
    ForceOption,
    ResultsOption,
    SetOption,
    TensorboardOption,
    ThreadsOption,
    VerboseOption,
    execution_of,
    make_console,
    tell,
)
from benchmark.cli.reporting import write_page
from benchmark.cli.results import show_boards
from benchmark.errors import UserError


def run(
    config: Annotated[str, typer.Argument(help="A model's YAML: a path, or a name of ours.")],
    set_: SetOption = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Short for --set seed=N.")] = None,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
    force: ForceOption = False,
    checkpoint: CheckpointOption = False,
    tensorboard: TensorboardOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train and evaluate one model.

    Example: benchmark run gru --set horizon=96 --set model.hidden_size=64 --seed 3
    """
    from benchmark.harness.spec import find_config, load_run

    path = find_config("models", config)
    overrides = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    spec = load_run(path, overrides)

    from benchmark.harness.progress import RunProgress
    from benchmark.harness.run import plan
    from benchmark.harness.run import run as run_one
    from benchmark.records.store import Store

    execution = execution_of(results, device, threads, force, checkpoint, tensorboard, verbose)
    console = make_console()
    planned = plan(spec, str(path))
    store = Store(execution.results)
    if store.is_done(planned.run_id) and not force:
        console.print("This run is done already; --force runs it again.")
    else:
        with RunProgress([spec], [1.0], console) as progress:
            progress.begin()
            try:
                progress.end(run_one(planned, execution, progress.epoch))
            except FloatingPointError as error:  # says its own cure
                raise UserError(str(path), str(error)) from error
    path = store.rebuild_csv()
    show_boards(path, console, only={planned.run_id})
    tell(console, f"Run folder: {store.runs / planned.run_id}")


def suite(
    name: Annotated[str, typer.Argument(help="A suite: etth1, quick, full, or a YAML's path.")],
    set_: SetOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if a data set cannot be had; no stand-in.")
    ] = False,
    results: ResultsOption = DEFAULT_RESULTS,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
    force: ForceOption = False,
    checkpoint: CheckpointOption = False,
    tensorboard: TensorboardOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run a suite and write its leaderboard.

    Runs that are done already are not run again. Exits with 1 if a run failed.
    """
    from benchmark.harness.spec import find_config, load_suite

    path = find_config("suites", name)
    spec = load_suite(path)

    from benchmark.harness.suite import run_suite
    from benchmark.records.losses import read_losses
    from benchmark.records.store import Store
    from benchmark.records.table import read_results, write_csv
    from benchmark.reports.html.page import missing_packages
    from benchmark.reports.leaderboard import print_table, write_leaderboard
    from benchmark.reports.ranking import leaderboard as rank

    execution = execution_of(results, device, threads, force, checkpoint, tensorboard, verbose)
    console = make_console()
    outcome = run_suite(spec, str(path), execution, console, set_ or [], strict)
    store = Store(execution.results)
    if outcome.run_ids:
        store.rebuild_csv()
        folder = execution.results / spec.name
        own = folder / "results.csv"
        write_csv(own, [run for run in store.records() if run.run_id in outcome.run_ids])
        table = read_results(own)
        options = [part for item in set_ or [] for part in ("--set", item)]
        command = shlex.join(["benchmark", "suite", name, *options])
        losses = read_losses(own, table)
        note = " ".join(outcome.notes)
        write_leaderboard(folder, table, command=command, note=note, losses=losses)
        print_table(rank(table, losses), console)
        for note in outcome.notes:
            tell(console, f"Note: {note}", style="yellow")
        tell(console, f"Leaderboard: {folder / 'leaderboard.md'}")
        if missing_packages():
            tell(console, "No report.html: it takes pip install 'ts-benchmark[report]'.")
        else:
            page = folder / "report.html"
            write_page(page, own, table, f"Suite {spec.name}", command, outcome.notes)
            tell(console, f"Report: {page}")
    else:
        tell(console, "No run is left: there is no leaderboard to write.")
    if outcome.failed or outcome.missing:
        count = len(outcome.failed)
        parts = [f"{count} run{'s' if count > 1 else ''} failed"] if count else []
        parts += [f"not to be had: {', '.join(outcome.missing)}"] if outcome.missing else []
        tell(console, "; ".join(parts), style="red")
        raise typer.Exit(1)
