"""How a command shows what it is about to do, one thing after another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmark.cli.options import tell

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def each_begun(console: Console) -> Iterator[Callable[[str, int], None]]:
    """Hand over what is called with the name of a thing that begins, and how many there are.

    On a terminal they share a bar with an ETA; in a log each has a line.
    """
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    numbers = itertools.count()
    if not console.is_terminal:
        yield lambda text, total: tell(console, f"{next(numbers) + 1} of {total}: {text}")
        return
    shown = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*shown, console=console, transient=True) as progress:
        bar = progress.add_task("", total=None, visible=False)
        yield lambda text, total: progress.update(
            bar, description=escape(text), completed=next(numbers), total=total, visible=True
        )
