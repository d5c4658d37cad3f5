"""What a suite asks of whatever executes its runs. Nothing heavy is imported here.

`InProcess` (attempt.py) runs one after the other, `Processes` several at once on this machine,
`RayCluster` on the machines of a Ray cluster. A run's numbers do not depend on which.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.harness.spec import Execution

if TYPE_CHECKING:
    from benchmark.harness.plan import Plan
    from benchmark.records.record import RunRecord
    from benchmark.training.report import Epoch

Report = Callable[[str, "Epoch | None"], None]
"""Told a run's id, with None when the run begins and with each epoch that it finishes."""


class RunLost(Exception):  # noqa: N818 - names a state
    """A run ended without leaving a row.

    Args:
        reason: what happened, to stand in the row.
        again: whether another attempt may fare better.
    """

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class Executor(Protocol):
    """Executes runs and puts their folders into the store; entered before the first."""

    @property
    def slots(self) -> int:
        """Runs that may be under way at once."""

    def submit(self, planned: Plan) -> Future[Any]:
        """Take on a run."""

    def poll(self) -> None:
        """Pass on what runs have reported since the last call."""

    def result(self, planned: Plan, future: Future[Any]) -> RunRecord:
        """Return the row of a run whose future is done; it is in the store.

        Raises:
            RunLost: the run left no row.
            UserError: the results folder cannot be written.
        """


MakeExecutor = Callable[[Execution, Report], AbstractContextManager[Executor]]
"""Leaving the context early, by an exception, stops what is under way at once."""


def limit_reason(seconds: float) -> str:
    """Say that a run was ended because it took too long."""
    return f"it was still running after {seconds:g} seconds, the --time-limit"


def use_threads(count: int) -> None:
    """Give this process so many CPU threads; to be called before torch is loaded.

    NumPy is loaded by then and keeps all cores for its own products; those of a run are torch's.
    """
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read once, as torch is loaded
        os.environ[variable] = str(count)
    import torch

    torch.set_num_threads(count)
