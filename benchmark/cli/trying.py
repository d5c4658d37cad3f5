"""Commands that try models and cells out: the contract, speed, and what a cell can learn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import (
    Device,
    DeviceOption,
    ThreadsOption,
    TriedArgument,
    execution_of,
    make_console,
    model_of,
    tell,
    tell_check,
)
from benchmark.errors import UserError
from benchmark.places import RESULTS

if TYPE_CHECKING:
    import torch
    from rich.console import Console


def check(
    model: TriedArgument,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="An option of the class, or lookback; repeatable."
        ),
    ] = None,
) -> None:
    """Check that a forecaster keeps the contract.

    Exits with 1 if it does not.

    Example: benchmark check my_module.MyForecaster --set hidden_size=8
    """
    # benchmark run has other keys beside the class's options and calls these model.KEY
    options = [item.strip().removeprefix("model.") for item in set_ or []]
    options = [f"model.{item}" if not item.startswith("lookback=") else item for item in options]
    _, run = model_of(model, options)

    from benchmark.forecasters.check import DEFAULT_SHAPES, check_forecaster

    console = make_console()
    shapes = tuple(replace(shape, lookback=run.lookback) for shape in DEFAULT_SHAPES)
    findings = check_forecaster(run.model, model, shapes)
    for sentence in dict.fromkeys(finding.check for finding in findings):
        own = [finding for finding in findings if finding.check == sentence]
        wrong = [f"{finding.shape}: {finding.problem}" for finding in own if finding.problem]
        tell_check(console, sentence, not wrong, wrong)
    if any(finding.problem for finding in findings):
        raise typer.Exit(1)


def speed(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models' YAMLs; default: all of ours.")
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Time the training loop against a bare one instead.")
    ] = False,
    cells: Annotated[
        bool, typer.Option("--cells", help="Time the bare cells instead, at growing lengths.")
    ] = False,
    device: DeviceOption = Device.auto,
    threads: ThreadsOption = 0,
) -> None:
    """Time models beside torch.nn.GRU.

    Shows windows a second, forecast and trained on, at a batch of 32.
    """
    if loop or cells:
        _check_alone(models or [], loop, cells, device)
    from benchmark.harness.spec import find_config, load_run, own_models

    named = [find_config("models", name) for name in models or []]
    specs = [load_run(path) for path in named or own_models(designs=False).values()]

    from rich.table import Table

    from benchmark.harness.fitted import resolve_device
    from benchmark.speed.models import measure, measure_loop

    execution = execution_of(RESULTS, device, threads)
    console = make_console()
    if loop:
        took = measure_loop()
        console.print(f"bare loop, two linear layers  {took.bare:.3f} s an epoch")
        console.print(f"bare loop, DLinear            {took.dlinear:.3f} s an epoch")
        console.print(
            f"DLinear under Lightning       {took.suite:.3f} s an epoch, "
            f"{took.suite / took.bare:.2f} x the first, "
            f"{took.suite / took.dlinear:.2f} x the second"
        )
        return
    if cells:
        _print_cells(console, resolve_device(execution))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("model", "forecasts/s", "trained/s", "time of torch.nn.GRU"):
        table.add_column(title, justify="left" if title == "model" else "right")
    for row in measure(specs, resolve_device(execution)):
        trained = f"{row.step:,.0f}" if row.step else "-"
        table.add_row(row.name, f"{row.forward:,.0f}", trained, f"{row.relative:.3f} x")
    console.print(table)
    tell(console, "x compares a training step, or a forecast where nothing is trained; batch 32")


def _check_alone(models: list[str], loop: bool, cells: bool, device: Device) -> None:
    """Refuse what timing the loop or the cells would leave unread."""
    option = "--loop" if loop else "--cells"
    if loop and cells:
        raise UserError("--loop", "does not go with --cells", "give one of them")
    if models:
        raise UserError(option, f"times no model, but is given {', '.join(models)}", "name none")
    if loop and device is Device.cuda:
        raise UserError("--loop", "times on the CPU alone", "leave out --device cuda")


def _print_cells(console: Console, device: torch.device) -> None:
    """A line for each cell: milliseconds of a training step by length, and what a GRU takes."""
    from rich.table import Table

    from benchmark.cells import cell_names
    from benchmark.speed.cells import LENGTHS, measure_cells
    from benchmark.speed.models import LENGTH

    table = Table(
        box=None, pad_edge=False, caption="2 x 64, batch 32; x is torch.nn.GRU's time or memory"
    )
    table.add_column("cell")
    for length in LENGTHS:
        table.add_column(f"{length:,} steps", justify="right")
    table.add_column("memory", justify="right")
    for cell in cell_names():
        with console.status(f"timing {cell}"):
            row = list(measure_cells([cell], device))
        memory = next(speed.memory for speed in row if speed.length == LENGTH)
        times = (f"{speed.seconds * 1000:,.0f} ms  {speed.relative:.2f} x" for speed in row)
        table.add_row(cell, *times, f"{memory:.2f} x")
    console.print(table)
