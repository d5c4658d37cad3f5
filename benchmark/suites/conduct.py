"""The runs of a suite, from the first to the last: begun, tried again, counted, stopped."""

from __future__ import annotations

import signal
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import UTC, datetime
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import Any, Self

from rich.console import Console

from benchmark.harness.plan import Plan
from benchmark.harness.run import begin_anew, record_failure
from benchmark.harness.spec import Execution
from benchmark.records.record import RunRecord
from benchmark.suites.done import is_done
from benchmark.suites.executor import Executor, MakeExecutor, RunLost
from benchmark.suites.progress import RunProgress

ATTEMPTS = 3
"""How often a run is begun whose process is killed."""

POLL_SECONDS = 0.2
STOPPING = "Stopping: no new run begins, those under way finish. Ctrl-C again stops at once."


def run_all(
    pending: Sequence[Plan],
    expected: Mapping[str, float],
    make: MakeExecutor,
    execution: Execution,
    console: Console,
) -> tuple[list[RunRecord], bool]:
    """Run everything, or what a user's patience allows.

    Args:
        pending: the runs, in the order in which they are begun.
        expected: seconds that each is expected to take, by its id.
        make: makes what executes them.
        execution: how.
        console: where progress is shown.

    Returns:
        The failed rows, and whether the user interrupted: then runs may be missing.

    Raises:
        UserError: the results folder cannot be written.
    """
    failed: list[RunRecord] = []
    if not pending:
        return failed, False
    progress = RunProgress({p.run_id: p.spec for p in pending}, expected, console)
    with CtrlC(lambda: console.print(STOPPING, style="yellow", soft_wrap=True)) as ctrl_c:
        try:
            with progress, make(execution, progress.report) as executor:
                _Conductor(executor, execution, progress, ctrl_c, failed).conduct(pending)
        except KeyboardInterrupt:
            return failed, True
    return failed, ctrl_c.pressed


class _Conductor:
    def __init__(
        self,
        executor: Executor,
        execution: Execution,
        progress: RunProgress,
        ctrl_c: CtrlC,
        failed: list[RunRecord],
    ) -> None:
        self.executor = executor
        self.execution = execution
        self.progress = progress
        self.ctrl_c = ctrl_c
        self.failed = failed
        self.waiting: deque[Plan] = deque()
        self.running: dict[Future[Any], tuple[Plan, datetime]] = {}
        self.attempts: Counter[str] = Counter()

    def conduct(self, pending: Sequence[Plan]) -> None:
        self.waiting.extend(pending)
        while self.running or (self.waiting and not self.ctrl_c.pressed):
            self._begin()
            done, _ = wait(self.running, POLL_SECONDS, FIRST_COMPLETED)
            self.executor.poll()
            for future in done:
                self._end(future)

    def _begin(self) -> None:
        slots = self.executor.slots
        self.progress.at_once = slots
        while self.waiting and len(self.running) < slots and not self.ctrl_c.pressed:
            planned = self.waiting.popleft()
            if is_done(planned, self.execution):  # by another command, since this one began
                self.progress.skip(planned.run_id)
                continue
            if self.execution.force and not self.attempts[planned.run_id]:
                begin_anew(planned, self.execution)  # not a second attempt, which goes on
            started = datetime.now(UTC)
            self.running[self.executor.submit(planned)] = (planned, started)

    def _end(self, future: Future[Any]) -> None:
        planned, started = self.running.pop(future)
        self.attempts[planned.run_id] += 1
        try:
            record = self.executor.result(planned, future)
        except RunLost as loss:
            count = self.attempts[planned.run_id]
            if loss.again and count < ATTEMPTS:
                self.waiting.appendleft(planned)
                return
            reason = f"{loss}, {count} attempts" if loss.again else str(loss)
            record = record_failure(planned, self.execution, started, reason, f"{reason}\n")
        if record.status == "failed":
            self.failed.append(record)
        self.progress.end(record)


class CtrlC:
    """Ctrl-C asks, the first time, for an end after the runs under way; the second time, it is now.

    Where the program was started with Ctrl-C ignored, as a job in the background, or does not run
    in the main thread, all stays as it was.

    Args:
        on_first: called at the first.

    Attributes:
        pressed: whether it was.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        self.pressed = False
        self._on_first = on_first
        self._installed = False

    def __enter__(self) -> Self:
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if usual and current_thread() is main_thread():
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
        # Not here: the signal may have come in the midst of a line that is being printed.
        Thread(target=self._on_first).start()
