"""Several runs at once on this machine, each in a process of its own.

A process that is killed takes its run with it and no other. Nothing heavy is imported here: a
worker imports this module first, and has to say how many threads it wants before torch is loaded.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from queue import Empty
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pebble import ProcessExpired, ProcessPool

from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.harness.executor import THREAD_VARIABLES, Report, RunLost, limit_reason
from benchmark.harness.spec import Execution, RunSpec

if TYPE_CHECKING:
    from benchmark.harness.run import Plan
    from benchmark.records.record import RunRecord
    from benchmark.training.report import Epoch


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
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def submit(self, planned: Plan) -> Future[Any]:
        """Give a run to the next free worker."""
        if not self._pool.active:  # a worker died before it had a run
            self._stop()
            self._start()
        arguments = (planned.spec, planned.where, planned.run_id, self._execution)
        return self._pool.schedule(_attempt, args=arguments, timeout=self._time_limit)

    def poll(self) -> None:
        """Pass on what the workers have reported."""
        while True:
            try:
                run_id, epoch = self._events.get_nowait()
            except Empty:
                return
            self._report(run_id, epoch)

    def result(self, planned: Plan, future: Future[Any]) -> RunRecord:
        """Return the run's row.

        Raises:
            RunLost: the worker was killed, or the run took too long.
            UserError: the results folder cannot be written.
        """
        try:
            record: RunRecord = future.result()
        except TimeoutError:
            assert self._time_limit is not None
            raise RunLost(limit_reason(self._time_limit), again=False) from None
        except ProcessExpired as end:
            how = f"signal {-end.exitcode}" if end.exitcode < 0 else f"exit status {end.exitcode}"
            raise RunLost(f"its process was killed ({how})", again=True) from None
        except BrokenProcessPool:
            raise RunLost("its process could not be started", again=True) from None
        return record

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of threads and CUDA is unsafe
        self._events = context.Queue()
        self._pool = ProcessPool(
            max_workers=self.slots,
            initializer=_begin,
            initargs=(self._threads, self._events),
            context=context,
        )

    def _stop(self) -> None:
        self._pool.stop()
        self._pool.join()
        self._events.close()


# What follows runs in a worker.

_reports: multiprocessing.Queue[tuple[str, Epoch | None]]
_load = lru_cache(maxsize=4)(lambda name: load(load_card(name)))


def _begin(threads: int, events: multiprocessing.Queue[tuple[str, Epoch | None]]) -> None:
    global _reports
    _reports = events
    _reports.cancel_join_thread()  # a report that nobody reads must not keep a worker alive
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    import torch

    import benchmark.harness.attempt  # noqa: F401 - now: its seconds are none of the first run's

    torch.set_num_threads(threads)


def _attempt(spec: RunSpec, where: str, run_id: str, execution: Execution) -> RunRecord:
    from benchmark.harness.attempt import attempt_elsewhere

    def report(run_id: str, epoch: Epoch | None) -> None:
        _reports.put((run_id, epoch))

    return attempt_elsewhere(spec, where, run_id, _load(spec.dataset), execution, report)
