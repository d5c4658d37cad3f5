"""The command that makes a run again and compares."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmark.cli.options import Device, ResultsOption, execution_of, make_console, tell
from benchmark.errors import UserError
from benchmark.places import RESULTS


def reproduce(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's folder, its id or the start of it; or a results CSV.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="A CSV's row: its model, or the start of its run id."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest relative difference of a score that passes.")
    ] = 0.0,
    threads: Annotated[
        int, typer.Option(min=0, help="CPU threads; 0 takes as many as the run had.")
    ] = 0,
    results: ResultsOption = RESULTS,
) -> None:
    """Make a run again and compare every score to the last digit.

    The new run is not kept. A row of a CSV has no settings, so our YAML of its model's name is run;
    the hash in the row's run id tells whether the settings are the same. Exits with 1 if a score
    differs. Example: benchmark reproduce results/reference/etth1/results.csv --model ridge
    """
    from benchmark.forecasters.contract import forecasters_fault
    from benchmark.harness.machine import is_cpu
    from benchmark.harness.run import run as run_one
    from benchmark.reports.reproduction import compare, tables
    from benchmark.reports.terminal import print_tables
    from benchmark.suites.earlier import earlier_run

    if not isfinite(tolerance):
        raise UserError("--tolerance", f"is {tolerance}, by which any score passes", "e.g. 0.001")
    earlier = earlier_run(run, model, results)
    row, planned = earlier.row, earlier.plan
    console = make_console()
    device = Device.cpu if is_cpu(row["device"] or "") else Device.auto
    threads = threads or int(row.get("threads") or 0)
    with TemporaryDirectory(prefix="reproduce-") as folder:
        execution = execution_of(Path(folder), device, threads)
        own = bool(planned.source)
        with console.status(f"running {planned.run_id}"), forecasters_fault(planned.where, own=own):
            record = run_one(planned, execution)
    found = compare(row, record.model_dump(), tolerance)
    print_tables(tables(found, str(row["run_id"]), earlier.notes), console)
    if not found.holds:
        if found.distance:
            tell(console, found.distance)
        tell(console, "Not reproduced.", style="red")
        raise typer.Exit(1)
    tell(console, "Reproduced.", style="green")
