"""Options that several commands share, and how commands speak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.errors import UserError
from benchmark.places import RESULTS_VARIABLE

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.harness.spec import Execution, RunSpec
    from benchmark.reports.tables import Table

LOG_WIDTH = 110  # columns, where the output goes to a file or a log


class Device(StrEnum):
    """Where to run; ``auto`` takes an NVIDIA GPU where there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the YAML; repeatable."),
]
ResultsOption = Annotated[
    Path, typer.Option("--results", envvar=RESULTS_VARIABLE, help="Results folder.")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to run.")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves torch's choice.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Run again what is done already.")]
CheckpointOption = Annotated[
    bool, typer.Option("--checkpoint", help="Keep the fitted weights in the run's folder.")
]
TensorboardOption = Annotated[
    bool, typer.Option("--tensorboard", help="Write TensorBoard event files.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show Lightning's own messages.")]
TableOption = Annotated[Path | None, typer.Option(help="Also write the table there, as Markdown.")]
TriedArgument = Annotated[
    str, typer.Argument(help="A forecaster's class (my_module.MyForecaster) or a YAML.")
]


def execution_of(
    results: Path,
    device: Device,
    threads: int,
    *,
    force: bool = False,
    checkpoint: bool = False,
    tensorboard: bool = False,
    verbose: bool = False,
) -> Execution:
    """Make an execution of a command's options; sets torch's threads."""
    import torch

    from benchmark.harness.spec import Execution

    if threads:
        torch.set_num_threads(threads)
    return Execution(
        results=results,
        device=device.value,
        force=force,
        checkpoint=checkpoint,
        tensorboard=tensorboard,
        verbose=verbose,
    )


def model_of(model: str, overrides: Sequence[str]) -> tuple[str, RunSpec]:
    """Read what is tried: a YAML, or a forecaster's class by its dotted path.

    Returns:
        Where it is from, for errors, and its configuration.

    Raises:
        UserError: there is no such YAML, or an override does not fit.
    """
    from benchmark.config import apply_overrides, validate
    from benchmark.harness.spec import RunSpec, find_config, load_run

    if model.endswith((".yaml", ".yml")) or "." not in model:
        path = find_config("models", model)
        return str(path), load_run(path, overrides)
    data = {"name": "tried", "model": {"class": model}}
    return model, validate(RunSpec, apply_overrides(data, overrides), model)


FIGURES = (".svg", ".png", ".pdf")
"""How the name of a figure's file may end: that decides its format."""


def check_output(
    path: Path | None, *endings: str, read: Iterable[Path | None] = (), option: str = "--output"
) -> None:
    """Refuse to write over what is not of the kind to be written, or is read by the same command.

    Args:
        path: where to; None where nothing is to be written.
        endings: that the kind has, e.g. ``.csv``.
        read: files that the command reads.
        option: that named the path.

    Raises:
        UserError: it has another ending, is one of the files read, or holds results of runs.
    """
    if path is None:
        return

    from benchmark.files import is_same
    from benchmark.records.table import holds_results

    if path.suffix.lower() not in endings:
        what = f"does not end in {' or '.join(endings)}"
        raise UserError(f"{option} {path}", what, "name such a file; what is there is kept")
    if any(other and is_same(path, other) for other in read):
        what = "is what this command reads, and would be written over"
        raise UserError(f"{option} {path}", what, "name another file")
    if ".csv" in endings and holds_results(path):
        what = "is a table of results, and would be written over"
        raise UserError(f"{option} {path}", what, "name another file")


def check_table(path: Path | None) -> None:
    """Find out before the work whether `show_tables` can write there.

    Raises:
        UserError: it cannot.
    """
    from benchmark.files import check_writable

    check_output(path, ".md")
    if path is not None:
        check_writable(path)


def show_tables(tables: list[Table], console: Console, path: Path | None) -> None:
    """Print tables and, where there is a path, write them as Markdown."""
    from benchmark.files import write_atomically
    from benchmark.reports.tables import markdown
    from benchmark.reports.terminal import print_tables

    print_tables(tables, console)
    if path is not None:
        write_atomically(path, "\n".join(markdown(table, level=1) for table in tables))
        tell(console, f"{'Tables' if len(tables) > 1 else 'Table'}: {path}")


def make_console() -> Console:
    """Return a console as wide as the terminal, or as a log where there is none.

    It draws no emoji: a path or a licence may well hold what is the name of one.
    """
    from rich.console import Console

    console = Console(emoji=False)
    return console if console.is_terminal else Console(width=LOG_WIDTH, emoji=False)


def tell(console: Console, text: str, style: str | None = None) -> None:
    """Print text as it is: unbroken, and with no markup read into a path or a message."""
    console.print(text, style=style, soft_wrap=True, markup=False, highlight=False)


def tell_check(console: Console, sentence: str, passed: bool, seen: Iterable[str]) -> None:
    """Print what must hold, whether it does, and below it what was seen, a line each."""
    mark = "[green]yes[/green]" if passed else "[red]no [/red]"
    console.print(f"{mark}  {sentence}.", highlight=False)
    for text in seen:
        console.print(f"       {text}", markup=False, highlight=False)
