"""Several runs at once on this machine, each in a process of its own.

A process that is killed takes its run with it and no other. Nothing heavy is imported here: a
worker imports this module first, and has to say how many threads it wants before torch is loaded.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from queue import Empty
from typing import TYPE_CHECKING, Any, Self

from pebble import ProcessExpired, ProcessPool

from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.errors import reason_of
from benchmark.files import StorageFault
from benchmark.harness.spec import Execution, RunSpec
from benchmark.suites.executor import Report, RunLost, limit_reason, use_threads

if TYPE_CHECKING:
    from benchmark.harness.plan import Plan
    from benchmark.records.record import RunRecord
    from benchmark.training.report import Epoch


CLEANED = "ignore:resource_tracker:UserWarning"
"""Where a signal ends this process, Python's resource tracker removes its semaphores, as it should,
and would warn the user of a leak."""


class Processes:
    """Runs in worker processes of this machine.

    Args:
        execution: how runs are executed.
        report: told how they go.
        jobs: workers, each with one run at a time.
        threads: CPU threads of each.
        time_limit: seconds that a run may take, in each attempt; None for as long as it likes.
    """

    def __init__(
        self,
        execution: Execution,
        report: Report,
        *,
        jobs: int,
        threads: int,
        time_limit: float | None = None,
    ) -> None:
        self.slots = jobs
        self._execution = execution
        self._report = report
        self._threads = threads
        self._time_limit = time_limit

    def __enter__(self) -> Self:
        if CLEANED not in sys.warnoptions:
            sys.warnoptions.append(CLEANED)  # Python hands these on to its resource tracker
        self._free = [_Worker(self._threads) for _ in range(self.slots)]
        self._busy: dict[Future[Any], _Worker] = {}
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in (*self._free, *self._busy.values()):
            worker.stop()

    def submit(self, planned: Plan) -> Future[Any]:
        """Give a run to a free worker."""
        worker = self._free.pop()
        future = worker.begin((planned.spec, planned.where, planned.run_id, self._execution))
        self._busy[future] = worker
        return future

    def poll(self) -> None:
        """Pass on what the workers have reported; end runs that take too long."""
        for future, worker in self._busy.items():
            for run_id, epoch in worker.reports():
                self._report(run_id, epoch)
            worker.check(future, self._time_limit)

    def result(self, planned: Plan, future: Future[Any]) -> RunRecord:
        """Return the run's row.

        Raises:
            RunLost: the worker was killed, or the run took too long or could not be begun there.
            StorageFault: the results folder cannot be written.
        """
        worker = self._busy.pop(future)
        self._free.append(worker)
        try:
            record: RunRecord = future.result()
        except (ProcessExpired, BrokenProcessPool) as end:
            worker.stop()  # what a killed process held locked nobody would free
            if worker.overdue and self._time_limit:
                raise RunLost(limit_reason(self._time_limit), again=False) from None
            raise RunLost(_reason(end), again=True) from None
        except StorageFault:
            raise
        except Exception as error:
            raise RunLost(reason_of(error), again=False) from error
        return record


def _reason(end: ProcessExpired | BrokenProcessPool) -> str:
    if isinstance(end, BrokenProcessPool):
        return "its process could not be started"
    how = f"signal {-end.exitcode}" if end.exitcode < 0 else f"exit status {end.exitcode}"
    return f"its process was killed ({how})"


class _Worker:
    """A process that takes one run after the other, made anew where it was stopped or killed.

    It is a pool of one, so that the run that it had is known whenever it dies. In a pool of several
    a run would never end whose process is killed between taking it and saying so.

    Attributes:
        overdue: whether its last run was ended because it took too long.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._start()

    def begin(self, arguments: tuple[Any, ...]) -> Future[Any]:
        """Give it a run."""
        self.overdue = False
        self._deadline = math.inf
        try:
            return self._pool.schedule(_attempt, args=arguments)
        except RuntimeError:  # it was stopped, or killed while it had no run
            self.stop()
            self._start()
            return self._pool.schedule(_attempt, args=arguments)

    def reports(self) -> Iterator[tuple[str, Epoch | None]]:
        """What it has reported since the last call."""
        while True:
            try:
                yield self._events.get_nowait()
            except Empty:
                return

    def check(self, future: Future[Any], time_limit: float | None) -> None:
        """End a run that takes too long, or that nobody works on."""
        if time_limit and future.running():
            # By a clock that nobody sets: whatever the time of day does, the limit is the limit.
            self._deadline = min(self._deadline, time.monotonic() + time_limit)
            self.overdue = time.monotonic() > self._deadline
        if self.overdue or not self._pool.active:
            self.stop()
            if not future.done():
                future.set_exception(BrokenProcessPool())

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._pool.stop()
        self._pool.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of threads and CUDA is unsafe
        self._events = context.Queue()
        self._pool = ProcessPool(
            max_workers=1,
            initializer=_begin,
            initargs=(self._threads, self._events),
            context=context,
        )


# What follows runs in a worker.

_reports: multiprocessing.Queue[tuple[str, Epoch | None]]
_load = lru_cache(maxsize=4)(lambda name: load(load_card(name)))


def _begin(threads: int, events: multiprocessing.Queue[tuple[str, Epoch | None]]) -> None:
    global _reports
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _reports = events
    _reports.cancel_join_thread()  # a report that nobody reads must not keep a worker alive
    use_threads(threads)
    import benchmark.suites.attempt  # noqa: F401 - now: its seconds are none of the first run's


def _end_with_parent() -> None:
    """End this process when the one that started it is gone and cannot end it any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _attempt(spec: RunSpec, where: str, run_id: str, execution: Execution) -> RunRecord:
    from benchmark.suites.attempt import attempt_elsewhere

    def report(run_id: str, epoch: Epoch | None) -> None:
        _reports.put((run_id, epoch))

    return attempt_elsewhere(spec, where, run_id, _load(spec.dataset), execution, report)
