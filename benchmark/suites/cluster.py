"""Runs on a Ray cluster: each is a task, its row comes back to the store of whoever started it.

What a task does on its node is in node.py.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from benchmark.data.fetch import fetch
from benchmark.data.load import Series
from benchmark.errors import UserError, error_text, reason_of
from benchmark.files import storage_faults, try_folder
from benchmark.harness.spec import Execution
from benchmark.records.record import RunRecord
from benchmark.records.store import Store
from benchmark.suites.executor import Report, RunLost, limit_reason
from benchmark.suites.node import attempt_on_node

if TYPE_CHECKING:
    from benchmark.harness.plan import Plan

KNOCK_SECONDS = 10.0
QUEUE = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
"""The process that holds the reports: where it is killed, another takes its place."""
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns of a change to come
}


def require_ray() -> None:
    """Find out now, not after reading the data, whether Ray is there.

    Raises:
        UserError: it is not installed.
    """
    for variable, value in RAY_SETTINGS.items():
        os.environ.setdefault(variable, value)
    try:
        import ray  # noqa: F401
    except ModuleNotFoundError:
        what, cure = "Ray is not installed", "pip install 'ray>=2.9'"
        raise UserError("--executor ray", what, cure) from None


class RayCluster:
    """Runs as tasks of a Ray cluster.

    Args:
        execution: how runs are executed.
        report: told how they go.
        threads: CPU threads of each run, and the CPUs that it takes of its node.
        gpus: GPUs that it takes; a share of one, or a whole number.
        address: of the cluster; None takes the one that is connected to already or that
            ``$RAY_ADDRESS`` names, or makes one of this machine.
        jobs: runs given to the cluster at once; None for as many as it has room for.
        time_limit: seconds that a run may take, in each attempt; None for as long as it likes.
    """

    def __init__(
        self,
        execution: Execution,
        report: Report,
        *,
        threads: int,
        gpus: float = 0.0,
        address: str | None = None,
        jobs: int | None = None,
        time_limit: float | None = None,
    ) -> None:
        self._execution = execution
        self._report = report
        self._threads = threads
        self._gpus = gpus
        self._address = address
        self._jobs = jobs
        self._time_limit = time_limit
        self._tasks: dict[str, Any] = {}
        self._deadlines: dict[str, float] = {}
        self._overdue: set[str] = set()
        self._contents: dict[str, Any] = {}

    def __enter__(self) -> Self:
        import ray
        from ray.util.queue import Queue

        self._check_options()
        self._ours = not ray.is_initialized()
        if self._ours:
            self._connect()
        if self._room() == 0:
            self._leave()
            what = f"no node of the cluster has {self._threads} CPUs and {self._gpus:g} GPUs"
            raise UserError("--executor ray", what, "ask for less by --threads, --gpus-per-run")
        self._events = Queue(actor_options=QUEUE)
        self._task = ray.remote(attempt_on_node).options(
            num_cpus=self._threads, num_gpus=self._gpus, max_retries=0
        )
        return self

    def __exit__(self, *exception: object) -> None:
        import ray

        for task in self._tasks.values():
            ray.cancel(task, force=True)
        self._events.shutdown(force=True)
        self._leave()

    @property
    def slots(self) -> int:
        """Runs that the cluster has room for, as it is now."""
        return self._jobs or max(1, self._room())

    def submit(self, planned: Plan) -> Future[Any]:
        """Give a run to the cluster."""
        series = planned.series
        self._tasks[planned.run_id] = self._task.remote(
            planned.spec,
            planned.where,
            planned.run_id,
            series.card,
            series.digest,
            [self._content(series)],  # in a list, Ray brings it to a node only when it is asked for
            self._execution,
            self._threads,
            self._events,
        )
        future: Future[Any] = self._tasks[planned.run_id].future()
        return future

    def poll(self) -> None:
        """Pass on what the tasks have reported; end those that take too long."""
        import ray

        for run_id, epoch in self._events.get_nowait_batch(self._events.qsize()):
            if epoch is None and self._time_limit:
                self._deadlines[run_id] = time.monotonic() + self._time_limit
            self._report(run_id, epoch)
        for run_id, deadline in self._deadlines.items():
            if time.monotonic() > deadline and run_id in self._tasks:
                self._overdue.add(run_id)
                ray.cancel(self._tasks[run_id], force=True)

    def result(self, planned: Plan, future: Future[Any]) -> RunRecord:
        """Put the run's files into the store and return its row.

        Raises:
            RunLost: the task's process or node is gone, it took too long, or the node could not
                begin it.
            UserError: the results folder cannot be written.
        """
        from ray.exceptions import RayError, RayTaskError

        run_id = planned.run_id
        del self._tasks[run_id]
        self._deadlines.pop(run_id, None)
        try:
            record, files = future.result()
        except RayTaskError as error:
            raise RunLost(reason_of(error.cause), again=False) from error
        except RayError as error:
            if run_id in self._overdue and self._time_limit:
                raise RunLost(limit_reason(self._time_limit), again=False) from error
            reason = f"its process was killed or its node was lost ({type(error).__name__})"
            raise RunLost(reason, again=True) from error
        self._keep(run_id, files)
        assert isinstance(record, RunRecord)
        return record

    def _check_options(self) -> None:
        if self._gpus > 1 and self._gpus != int(self._gpus):
            raise UserError("--gpus-per-run", f"is {self._gpus:g}", "a share of one, or a number")
        if not self._gpus:
            if self._execution.device == "cuda":
                raise UserError("--device cuda", "a run gets no GPU", "add --gpus-per-run 1")
            self._execution = replace(self._execution, device="cpu")
        results = self._execution.results
        with storage_faults(results):  # what cannot be written is found before training
            try_folder(results)

    def _connect(self) -> None:
        import ray

        options: dict[str, Any] = {} if self._address else {"include_dashboard": False}
        try:
            _knock(self._address or "")
            ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except (OSError, RuntimeError, ValueError) as error:
            where = f"Ray cluster {self._address}" if self._address else "Ray"
            raise UserError(
                where, f"cannot be joined ({error_text(error)})", "see ray status"
            ) from None

    def _leave(self) -> None:
        import ray

        if self._ours:
            ray.shutdown()

    def _room(self) -> int:
        import ray

        room = 0
        for node in ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            fits = has.get("CPU", 0.0) // self._threads
            if self._gpus:
                fits = min(fits, has.get("GPU", 0.0) // self._gpus)
            room += math.floor(fits)
        return room

    def _content(self, series: Series) -> Any:
        """The data set's file in Ray's object store, put there once."""
        import ray

        if series.digest not in self._contents:
            path = fetch(series.card)
            self._contents[series.digest] = ray.put((path.name, path.read_bytes()))
        return self._contents[series.digest]

    def _keep(self, run_id: str, files: dict[str, bytes]) -> None:
        """Put the files of a results folder with one run into ours, the run's own at once."""
        own = f"runs/{run_id}/"
        results, force = self._execution.results, self._execution.force
        with Store(results).writing(run_id, force) as folder, storage_faults(results):
            for name, content in files.items():
                path = folder / name.removeprefix(own) if name.startswith(own) else results / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def _knock(address: str) -> None:
    """See that something listens at ``host:port``; Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
