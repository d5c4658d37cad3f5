"""Commands that run: one model, or a suite of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.executors import Where, here, on_ray
from benchmark.cli.options import (
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
from benchmark.cli.reporting import page_source
from benchmark.cli.results import show_boards
from benchmark.errors import UserError, told_by_line
from benchmark.places import RESULTS, SUITES
from benchmark.records import layout
from benchmark.suites.part import WHOLE, Part
from benchmark.words import command_line, counted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from benchmark.harness.plan import Plan
    from benchmark.harness.run import NotKept
    from benchmark.harness.spec import Execution, SuiteSpec
    from benchmark.records.record import RunRecord
    from benchmark.suites.suite import Outcome


_SUITES = ", ".join(sorted(path.stem for path in SUITES.glob("*.yaml")))


def run(
    config: Annotated[str, typer.Argument(help="A model's YAML: a path, or one of our names.")],
    set_: SetOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Short for --set seed=N; default: the YAML's, or 1.")
    ] = None,
    results: ResultsOption = RESULTS,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
    force: ForceOption = False,
    checkpoint: CheckpointOption = False,
    tensorboard: TensorboardOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train and evaluate one model.

    Example: benchmark run gru --set horizon=96 --seed 3
    """
    from benchmark.harness.spec import find_config, load_run, place_of

    path = find_config("models", config)
    overrides = [*(set_ or []), *([f"seed={seed}"] if seed is not None else [])]
    spec = load_run(path, overrides)

    from benchmark.harness.plan import plan
    from benchmark.records.store import Store, read_record
    from benchmark.suites.done import is_done, newer_source

    execution = execution_of(
        results,
        device,
        threads,
        force=force,
        checkpoint=checkpoint,
        tensorboard=tensorboard,
        verbose=verbose,
    )
    console = make_console()
    planned = plan(spec, place_of(path, overrides))
    for remark in filter(None, [planned.remark, *planned.search_remarks()]):
        tell(console, f"Note: {remark}", style="yellow")
    not_kept: NotKept | None = None
    store = Store(execution.results)
    if is_done(planned, execution):
        newer = newer_source([read_record(store.runs / planned.run_id).started])
        note = f" ({newer[0]} is newer than it)" if newer else ""
        console.print(f"This run is done already{note}; --force runs it again.", soft_wrap=True)
    else:
        not_kept = _run_anew(planned, execution, path, console)
    show_boards(store.rebuild_csv(), console, only={planned.run_id})
    tell(console, f"Run folder: {store.runs / planned.run_id}")
    if not_kept:
        raise not_kept


def _run_anew(planned: Plan, execution: Execution, path: Path, console: Console) -> NotKept | None:
    """Make one run, shown as it goes on; what ends it leaves a failed row.

    Returns:
        Why its weights are not kept, where that is all that failed.

    Raises:
        UserError: a mistake, or what the model of the YAML at `path` raised.
    """
    from benchmark.forecasters.contract import ForecastError
    from benchmark.harness.run import NotKept, begin_anew
    from benchmark.harness.run import run as run_one
    from benchmark.records.store import Store
    from benchmark.suites.attempt import leave_row
    from benchmark.suites.progress import RunProgress

    run_id, store = planned.run_id, Store(execution.results)
    if execution.force:
        begin_anew(planned, execution)
    with RunProgress({run_id: planned.spec}, {run_id: 1.0}, console) as progress:
        progress.report(run_id, None)
        started = datetime.now(UTC)
        try:
            progress.end(run_one(planned, execution, partial(progress.report, run_id)))
        except NotKept as error:
            progress.end(error.record)
            return error
        except UserError:  # a mistake, not a result
            raise
        except Exception as error:
            leave_row(planned, execution, started, error)
            store.rebuild_csv()
            if isinstance(error, FloatingPointError):  # says its own cure
                raise UserError(str(path), str(error)) from error
            if isinstance(error, ForecastError):
                raise UserError(f"{path}: model", str(error)) from error
            whole = store.runs / run_id / layout.TRACEBACK
            kept = "what was done before is kept"
            note = f"the whole traceback is in {whole}" if whole.exists() else kept
            with told_by_line(f"{path}: model", note, own=bool(planned.source)):
                raise
    return None


def suite(
    name: Annotated[str, typer.Argument(help=f"A suite: {_SUITES}; or a YAML's path.")],
    set_: SetOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if a data set cannot be had, with no stand-in.")
    ] = False,
    executor: Annotated[Where, typer.Option(help="This machine, or a Ray cluster.")] = Where.local,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at once; default: 1, or what the Ray cluster has room for."),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="End a run that takes longer.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Ray cluster: host:port, auto; default: one made here.")
    ] = None,
    gpus_per_run: Annotated[
        float, typer.Option(min=0, help="Ray: GPUs of each run; at 0.25, four share one.")
    ] = 0.0,
    part: Annotated[
        Part | None,
        typer.Option(parser=Part.parse, metavar="I/N", help="One of N parts, for array jobs: 3/8."),
    ] = None,
    results: ResultsOption = RESULTS,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
    force: ForceOption = False,
    checkpoint: CheckpointOption = False,
    tensorboard: TensorboardOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run a suite and write its leaderboard.

    Runs that are done already are not run again. --jobs shares the cores among the runs; --threads
    is for each run. Ctrl-C lets the runs under way finish; a second Ctrl-C stops them. --part
    writes no leaderboard: a call without it does. Exits with 1 if a run failed.

    Example: benchmark suite cells --jobs 2 --threads 1
    """
    from benchmark.harness.spec import find_config, load_suite

    path = find_config("suites", name)
    spec = load_suite(path)
    if executor is Where.ray:
        make = on_ray(jobs, threads, time_limit, ray_address, gpus_per_run)
    elif ray_address is not None or gpus_per_run:
        option = "--gpus-per-run" if ray_address is None else "--ray-address"
        raise UserError(option, "is for a Ray cluster", "add --executor ray")
    else:
        make = here(jobs or 1, threads, time_limit)

    from benchmark.suites.suite import run_suite

    execution = execution_of(
        results,
        device,
        threads,
        force=force,
        checkpoint=checkpoint,
        tensorboard=tensorboard,
        verbose=verbose,
    )
    console = make_console()
    overrides = set_ or []
    outcome = run_suite(spec, str(path), execution, console, overrides, strict, make, part or WHOLE)
    if part:
        _tell_part(part, outcome, execution, console)
    else:
        command = command_line("suite", name, set=set_)
        _write_tables(spec, outcome, execution, console, command)
    if outcome.failed or outcome.missing:
        count = len(outcome.failed)
        parts = [f"{counted(count, 'run')} failed"] if count else []
        parts += [f"not available: {', '.join(outcome.missing)}"] if outcome.missing else []
        tell(console, "; ".join(parts), style="red")
        _tell_failed(outcome.failed, execution, console)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.failed or outcome.missing:
        raise typer.Exit(1)


def _tell_failed(failed: Sequence[RunRecord], execution: Execution, console: Console) -> None:
    """Say where to read why runs failed; not of those that are done all the same."""
    folders = [execution.results / layout.RUNS / record.run_id for record in failed]
    left = [folder for folder in folders if (folder / layout.TRACEBACK).exists()]
    if left:
        again = " without --force" if execution.force else ""
        tell(console, f"Why: {layout.TRACEBACK} in each one's folder, e.g. {left[0]}")
        tell(console, f"The same command{again} runs again what failed.")
    if kept := len(folders) - len(left):
        tell(console, f"Of {kept} an earlier row that is done is kept.")


def _tell_part(part: Part, outcome: Outcome, execution: Execution, console: Console) -> None:
    """Count what is done of a part; the table is left to who runs the whole, with its options."""
    from benchmark.records.store import Store

    records = Store(execution.results).records()
    done = sum(run.status == "done" for run in records if run.run_id in outcome.run_ids)
    of = len(outcome.run_ids)
    tell(console, f"Part {part.number} of {part.parts}: {done} of its {of} runs are done.")
    whole = re.sub(r" --part[= ]\S+", "", command_line(*sys.argv[1:]))
    tell(console, f"When all parts are through, this ranks them: {whole}")


def _write_tables(
    spec: SuiteSpec, outcome: Outcome, execution: Execution, console: Console, command: str
) -> None:
    """Rank what is done of a suite; say what its reader has to know."""
    from benchmark.records.store import Store
    from benchmark.records.table import write_csv
    from benchmark.reports.html.page import missing_packages, write_report
    from benchmark.reports.leaderboard import print_table, write_leaderboard

    store = Store(execution.results)
    rows = [run for run in store.records() if run.run_id in outcome.run_ids]
    if not rows:
        what = "No run is done yet" if outcome.run_ids else "No run is left"
        tell(console, f"{what}: there is no leaderboard to write.")
        return
    store.rebuild_csv()
    folder = execution.results / spec.name
    own = folder / layout.RESULTS
    write_csv(own, rows)
    left, of = len(outcome.run_ids) - len(rows), len(outcome.run_ids)
    stopped = (f"{left} of {of} runs are not made yet: the suite was stopped.",)
    notes = (*outcome.notes, *(stopped if left else ()))
    source = page_source(own, f"Suite {spec.name}", command, notes)
    write_leaderboard(folder, source.board, command=command, note=" ".join(notes))
    print_table(source.board, console)
    for note in notes:
        tell(console, f"Note: {note}", style="yellow")
    tell(console, f"Leaderboard: {folder / 'leaderboard.md'}")
    if missing_packages():
        tell(console, "No report.html: it needs pip install 'ts-benchmark[report]'.")
    else:
        page = folder / "report.html"
        write_report(page, source)
        tell(console, f"Report: {page}")
