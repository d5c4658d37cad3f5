"""Commands that look into cells: how far back they learn from, what, and what their gates do."""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import (
    FIGURES,
    TableOption,
    check_output,
    check_table,
    make_console,
    show_tables,
    tell,
)
from benchmark.cli.progress import each_begun
from benchmark.errors import UserError, told_by_line
from benchmark.words import command_line

CellsArgument = Annotated[
    list[str] | None, typer.Argument(help="Cells: gru, my_module.MyCell, ...; default: ours.")
]
SomeThreadsOption = Annotated[int, typer.Option(min=1, help="CPU threads.")]


def gradients(
    cells: CellsArgument = None,
    length: Annotated[int, typer.Option(min=2, help="Steps of the sequence.")] = 336,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw it: a .svg, .png or .pdf file.")
    ] = None,
) -> None:
    """Show how far back each cell learns from.

    Measures the gradient of an untrained cell's last output by the input of each earlier step,
    relative to that of the last step. Where none is left, training has to open a gate first.
    """
    check_output(plot, *FIGURES, option="--plot")
    from rich.table import Table

    from benchmark.cells import cell_names
    from benchmark.evaluation.gradient_flow import gradient_flow

    flows = {}
    for name in cells or cell_names():
        with _own_code_told(name):
            flows[name] = gradient_flow(name, {}, length=length)
    distances = [d for d in (1, 4, 12, 24, 48, 96, 168, 335, 719) if d < length]
    table = Table(box=None, pad_edge=False)
    table.add_column("steps back")
    for distance in distances:
        table.add_column(str(distance), justify="right")
    for name, norms in flows.items():
        table.add_row(name, *(f"{norms[d] / norms[0]:.0e}" for d in distances))
    console = make_console()
    console.print(table)
    tell(
        console,
        "Gradient of the last output by the input that many steps back; the last step's is 1",
    )
    if plot is not None:
        from benchmark.reports.gradient_plot import plot_gradient_flow

        plot_gradient_flow(flows, plot)
        tell(console, f"Plot: {plot}")


def abilities(
    cells: CellsArgument = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK", help="One task: parity, recall or adding; repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each cell on each task.")] = 3,
    threads: SomeThreadsOption = 1,
    output: TableOption = None,
) -> None:
    """Show what each cell learns easily, and what it does not.

    Trains every cell, bare and at the same size, on three small tasks: to keep a state that flips,
    to find what was stored under a key, and to add numbers seen long ago.
    """
    from benchmark.abilities.tasks import NAMES, TASKS
    from benchmark.config import nearest

    for name in only or []:
        if name not in NAMES:
            raise UserError("--only", f"unknown task {name!r}", nearest(name, NAMES))
    tasks = [task for task in TASKS if task.name in (only or NAMES)]

    import torch

    from benchmark.abilities.study import Answers, train_and_ask, width_of
    from benchmark.abilities.table import abilities_table
    from benchmark.cells import cell_names, find_cell
    from benchmark.forecasters.sources import files_digest
    from benchmark.harness.pieces import Pieces

    check_table(output)
    torch.set_num_threads(threads)
    each = dict.fromkeys(cells or cell_names())  # a seed counts once
    jobs = []
    for cell, task in itertools.product(each, tasks):
        with _own_code_told(cell):
            jobs.append((cell, task, width_of(cell, task)))
    trainings = list(itertools.product(range(1, seeds + 1), jobs))
    answers: list[Answers] = []
    console = make_console()
    pieces = Pieces()
    with each_begun(console) as begun, suppress(KeyboardInterrupt):
        for seed, (cell, task, width) in trainings:
            begun(f"{cell} learns {task.name}, seed {seed}", len(trainings))
            make = partial(train_and_ask, cell, task, width, seed)
            of = [cell, files_digest(find_cell(cell)), task.name, task.steps, width, seed]
            with _own_code_told(cell):
                answers.append(pieces(Answers, of, make))
    if not answers:
        raise KeyboardInterrupt
    command = command_line("abilities", *(cells or []), only=only, seeds=seeds)
    stopped = len(answers) < len(trainings)  # no file says that this is all
    table = abilities_table(answers, tasks, command)
    show_tables([table], console, None if stopped else output)
    if stopped:
        told = f"Stopped after {len(answers)} of {len(trainings)} trainings; nothing is written."
        told += " The same command goes on from here."
        tell(console, told, style="yellow")
        raise typer.Exit(1)
    pieces.forget()


def gates(
    cell: Annotated[str, typer.Argument(help="A cell: gru, my_module.MyCell, ...")],
    task: Annotated[
        str, typer.Option(help="Task to train it on: parity, recall or adding.")
    ] = "adding",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of its weights and sequences.")
    ] = 1,
    threads: SomeThreadsOption = 1,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw one sequence: a .svg, .png or .pdf file.")
    ] = None,
) -> None:
    """Show what a trained cell's gates do.

    Trains the bare cell on a small task and shows every variable of its step, by its name in the
    code: its value where it matters, such as at a marked number, and its value elsewhere.
    """
    from benchmark.abilities.tasks import NAMES, TASKS
    from benchmark.config import nearest

    check_output(plot, *FIGURES, option="--plot")
    if task not in NAMES:
        raise UserError("--task", f"unknown task {task!r}", nearest(task, NAMES))
    chosen = TASKS[NAMES.index(task)]

    import torch

    from benchmark.abilities.gates import check_variables
    from benchmark.abilities.gates import gates as look_inside
    from benchmark.abilities.study import trained, width_of
    from benchmark.abilities.table import gates_table, titles
    from benchmark.reports.drawing import check_drawing

    if plot is not None:
        check_drawing("--plot")
    torch.set_num_threads(threads)
    console = make_console()
    with _own_code_told(cell), each_begun(console) as begun:
        width = width_of(cell, chosen)
        check_variables(cell, chosen, width)
        begun(f"{cell} learns {task}, seed {seed}", 1)
        seen = look_inside(trained(cell, chosen, width, seed), chosen)
    command = command_line("gates", cell, task=task, seed=seed)
    show_tables([gates_table(seen, cell, chosen, command)], console, None)
    if plot is not None:
        from benchmark.reports.gates_plot import plot_gates

        title = f"Inside a trained {cell}: {task}, one sequence, a {chosen.event_name} in yellow"
        plot_gates(titles(seen, chosen), seen.event, title, plot)
        tell(console, f"Plot: {plot}")


def _own_code_told(cell: str) -> AbstractContextManager[None]:
    """Tell what a cell of the user's own raises, whether or not through a line of its file."""
    return told_by_line(f"cell {cell}", own="." in cell)
