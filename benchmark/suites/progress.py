"""What a person sees while runs are running: a line for each finished run, bars and an ETA.

The overall bar counts expected seconds, not runs, so that it does not jump when a naive forecaster
is followed by a recurrent one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from benchmark.forecasters.resolve import trainings
from benchmark.harness.spec import RunSpec
from benchmark.records.record import RunRecord
from benchmark.reports.tables import decimals_for, number
from benchmark.training.report import EarlierEpoch, Epoch

DOUBT_SECONDS = 30.0
"""As if runs of so many seconds had taken what was expected: a first naive one decides nothing."""

LINE_SECONDS = 60.0
"""Without a terminal, a run shows an epoch that ends if none was shown for as long as this."""


@dataclass
class _Running:
    """A run that is under way: `share` of its epochs were done `at` seconds after it began.

    It may train more than once: `fits` were begun.
    """

    bar: TaskID
    began: float
    fits: int = 0
    share: float = 0.0
    at: float = 0.0
    shown: float = 0.0  # seconds after it began

    def count(self, epoch: Epoch, spec: RunSpec) -> None:
        """Take in an epoch that has ended."""
        self.fits += epoch.number == 1 or not self.fits
        fits = (1 + spec.refit) * trainings(spec.model, spec.name)
        self.share = (self.fits - 1 + epoch.number / spec.training.epochs) / fits
        if isinstance(epoch, EarlierEpoch):
            self.began -= epoch.seconds
        self.at = time.perf_counter() - self.began


class RunProgress:
    """Shows runs as they go, one or several at once; a context manager around all of them.

    Args:
        specs: the runs to come, by their ids.
        expected: seconds that each is expected to take. What the runs then take corrects the ETA.
        console: where to show it. Without a terminal there are lines but no bars: one more for
            every minute of a run in which an epoch ends.

    Attributes:
        at_once: runs that can be under way at once.
    """

    def __init__(
        self, specs: Mapping[str, RunSpec], expected: Mapping[str, float], console: Console
    ) -> None:
        self.at_once = 1
        self._specs = specs
        self._expected = expected
        self._console = console
        self._running: dict[str, _Running] = {}
        self._ended: set[str] = set()
        self._taken = self._foreseen = 0.0  # seconds of the runs that are done
        self._bars = Progress(
            *_columns(console.width),
            _Eta(self),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        total = max(sum(expected.values()), 1e-9)
        self._all = self._bars.add_task("", total=total, note="", visible=self.several)

    def __enter__(self) -> Self:
        self._bars.start()
        self._count()
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._bars.disable:  # rich before 14.3 would end them with an empty line
            self._bars.stop()

    def report(self, run_id: str, epoch: Epoch | None) -> None:
        """Note that a run begins, or with an epoch that it finished that one.

        What comes late, after the run's end, is left out.
        """
        if run_id in self._ended:
            return
        if epoch is None:
            self._begin(run_id)
        elif run_id in self._running:
            spec, running = self._specs[run_id], self._running[run_id]
            running.count(epoch, spec)
            note = f"epoch {epoch.number} of {spec.training.epochs}, val MSE {epoch.val_mse:.4f}"
            self._bars.update(running.bar, completed=running.share, note=note)
            self._count()
            if isinstance(epoch, EarlierEpoch):
                before = timedelta(seconds=round(epoch.seconds))
                went = f"after {note}, trained for {before} before"
                self._say(f"[cyan]goes on[/cyan]  {_title(spec)}: {went}")
            elif self._console.is_terminal or running.at - running.shown < LINE_SECONDS:
                return
            else:
                self._say(f"         {_title(spec)}: {note}, ETA {self.eta()}")
            running.shown = running.at

    @property
    def several(self) -> bool:
        """Whether there is more than one run, and so a bar for all of them."""
        return len(self._specs) > 1

    def skip(self, run_id: str) -> None:
        """Note that a run is done, by another command."""
        self._ended.add(run_id)
        self._say(f"[green]done[/green]   {_title(self._specs[run_id])}, by another command")
        self._count()

    def end(self, record: RunRecord) -> None:
        """Note that a run is over, and print its line."""
        running = self._running.get(record.run_id)
        seconds = time.perf_counter() - running.began if running else 0.0
        self._drop(record.run_id)
        self._ended.add(record.run_id)
        if record.status == "done":
            self._taken += seconds
            self._foreseen += self._expected[record.run_id]
        self._count()
        width = self._console.width if self._console.is_terminal else sys.maxsize
        self._say(describe(record, seconds, width))

    def seconds_left(self) -> float:
        """Estimate the seconds until the last run ends, the runs going on as they went so far.

        It is what is left of all runs, shared by those that can be under way at once, or what is
        left of the longest.
        """
        left = [self._seconds_left(run_id) for run_id in self._specs if run_id not in self._ended]
        return max(sum(left) / self.at_once, max(left, default=0.0))

    def eta(self) -> str:
        """The same, as hours, minutes and seconds."""
        return str(timedelta(seconds=round(self.seconds_left())))

    def _seconds_left(self, run_id: str) -> float:
        pace = (self._taken + DOUBT_SECONDS) / (self._foreseen + DOUBT_SECONDS)
        total = self._expected[run_id] * pace
        running = self._running.get(run_id)
        if running is None:
            return total
        if running.share:
            total = running.at / running.share
        return max(total - (time.perf_counter() - running.began), 0.0)

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def _begin(self, run_id: str) -> None:
        self._drop(run_id)  # an attempt whose process was killed
        bar = self._bars.add_task(_title(self._specs[run_id]), total=1.0, note="")
        self._running[run_id] = _Running(bar, time.perf_counter())

    def _drop(self, run_id: str) -> None:
        running = self._running.pop(run_id, None)
        if running:
            self._bars.remove_task(running.bar)

    def _count(self) -> None:
        shares = {run_id: running.share for run_id, running in self._running.items()}
        shares |= dict.fromkeys(self._ended, 1.0)
        completed = sum(share * self._expected[run_id] for run_id, share in shares.items())
        done = f"{len(self._ended)} of {len(self._specs)} runs"
        self._bars.update(self._all, completed=completed, description=done)


def _columns(width: int) -> list[ProgressColumn]:
    """What a terminal has room for beside a run's title and the ETA: the note is spared first."""
    title = Column(no_wrap=True, overflow="ellipsis")
    columns: list[ProgressColumn] = [TextColumn("{task.description}", table_column=title)]
    if width >= 80:
        columns.append(BarColumn(bar_width=20))
    if width >= 110:
        columns.append(TextColumn("{task.fields[note]}"))
    if width >= 60:
        columns.append(TimeElapsedColumn())
    return columns


class _Eta(ProgressColumn):
    """What is left of all runs; nothing beside one of several."""

    def __init__(self, progress: RunProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        if task.id != 0 and self._progress.several:
            return Text("")
        return Text(f"ETA {self._progress.eta()}")


def _title(spec: RunSpec) -> str:
    return escape(f"{spec.name} {spec.dataset} {spec.horizon} seed {spec.seed}")


def describe(record: RunRecord, seconds: float, width: int = sys.maxsize) -> str:
    """One line about a finished run, as rich markup; what a terminal has no room for is left out.

    First it is no longer in columns, then without its epochs, seconds and MAE.
    """
    task = f"{record.dataset} {record.lookback}>{record.horizon}"
    head = f"{record.model:<20} {task:<22} seed {record.seed:<3}"
    if record.status == "failed":
        first_line = (record.error or "").split("\n")[0]
        return f"[red]failed[/red] {escape(head)} {escape(first_line)}"
    chosen = f"best epoch {record.best_epoch} of " if record.best_epoch else "epochs: "
    epochs = f"{chosen}{record.epochs}" if record.epochs else ""
    scores = (("MSE", record.mse or 0.0), ("MAE", record.mae or 0.0))
    told = [f"{name} {number(score, decimals_for([score]))}" for name, score in scores]
    told += [f"{seconds:6.1f} s", *([epochs] if epochs else [])]
    line = f"{head} {'  '.join(told)}"
    for end in range(len(told), 0, -1):
        if len(line) + len("done   ") <= width:
            break
        line = f"{' '.join(head.split())} {'  '.join(told[:end])}"
    return f"[green]done[/green]   {escape(line)}"
