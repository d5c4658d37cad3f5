"""What a person sees while runs are running: a line for each finished run, bars and an ETA.

The overall bar counts expected seconds, not runs, so that its ETA does not jump when a naive
forecaster is followed by a recurrent one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmark.harness.spec import RunSpec
from benchmark.records.record import RunRecord
from benchmark.training.report import Epoch


class RunProgress:
    """Shows runs as they go; a context manager around all of them.

    Args:
        specs: the runs to come, in order.
        expected: seconds that each is expected to take; only their proportions matter.
        console: where to show it. Without a terminal there are lines but no bars.
    """

    def __init__(
        self, specs: Sequence[RunSpec], expected: Sequence[float], console: Console
    ) -> None:
        self._specs = specs
        self._expected = expected
        self._console = console
        self._number = 0
        self._started = 0.0
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._all = self._bars.add_task("all runs", total=max(sum(expected), 1e-9), note="")
        self._one = self._bars.add_task("", total=1.0, note="", visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def begin(self) -> None:
        """Note that the next run begins."""
        spec = self._specs[self._number]
        self._started = time.perf_counter()
        title = f"{spec.name} {spec.dataset} {spec.horizon} seed {spec.seed}"
        self._bars.update(self._all, note=f"run {self._number + 1} of {len(self._specs)}")
        self._bars.reset(self._one, description=escape(title), visible=True, note="", total=1.0)

    def epoch(self, epoch: Epoch) -> None:
        """Note that the current run finished an epoch."""
        epochs = self._specs[self._number].training.epochs
        share = epoch.number / epochs
        note = f"epoch {epoch.number} of {epochs}, val MSE {epoch.val_mse:.4f}"
        self._bars.update(self._one, completed=share, note=note)
        self._bars.update(self._all, completed=self._before() + share * self._current())

    def end(self, record: RunRecord) -> None:
        """Note that the current run is over, and print its line."""
        seconds = time.perf_counter() - self._started
        self._bars.update(self._all, completed=self._before() + self._current())
        self._bars.update(self._one, visible=False)
        self._console.print(describe(record, seconds), highlight=False, soft_wrap=True)
        self._number += 1

    def _before(self) -> float:
        return sum(self._expected[: self._number])

    def _current(self) -> float:
        return self._expected[self._number]


def describe(record: RunRecord, seconds: float) -> str:
    """One line about a finished run, as rich markup."""
    task = f"{record.dataset} {record.lookback}>{record.horizon}"
    head = f"{escape(record.model):<20} {escape(task):<22} seed {record.seed:<3}"
    if record.status == "failed":
        first_line = (record.error or "").split("\n")[0]
        return f"[red]failed[/red] {head} {escape(first_line)}"
    scores = f"MSE {record.mse:.4f}  MAE {record.mae:.4f}"
    epochs = f"best epoch {record.best_epoch} of {record.epochs}" if record.epochs else ""
    return f"[green]done[/green]   {head} {scores}  {seconds:6.1f} s  {epochs}".rstrip()
