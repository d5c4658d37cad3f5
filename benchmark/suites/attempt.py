"""One planned run that always leaves a row, done or failed."""

from __future__ import annotations

import gc
import sys
import traceback
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Self

from benchmark.data.load import Series
from benchmark.errors import UserError, reason_of
from benchmark.files import StorageFault
from benchmark.harness.plan import Plan, plan
from benchmark.harness.run import NotKept, record_failure, run
from benchmark.harness.spec import Execution, RunSpec
from benchmark.records.record import RunRecord
from benchmark.suites.executor import Report


def attempt(planned: Plan, execution: Execution, report: Report) -> RunRecord:
    """Run, and make a failed row of whatever ends the run.

    Raises:
        StorageFault: the results folder cannot be written; the next run could not write it either.
    """
    started = datetime.now(UTC)
    report(planned.run_id, None)
    freeze_modules(len(sys.modules))
    try:
        return run(planned, execution, partial(report, planned.run_id))
    except NotKept as told:
        sys.stderr.write(f"warning: {told}\n")
        return told.record
    except Exception as error:
        return leave_row(planned, execution, started, error)


@cache
def freeze_modules(count: int) -> None:
    """Put modules out of the garbage collector's sight, anew where there are others than before.

    A run collects garbage before its memory is measured. Looking for some among all that torch and
    Lightning define takes longer than a naive forecast of every test window.
    """
    gc.collect()
    gc.freeze()


def leave_row(
    planned: Plan, execution: Execution, started: datetime, error: Exception
) -> RunRecord:
    """Make a failed row of what has ended a run.

    Raises:
        StorageFault: `error` itself, where the results folder cannot be written.
    """
    if isinstance(error, StorageFault):
        raise error
    trace = "".join(traceback.format_exception(error))
    return record_failure(planned, execution, started, reason_of(error), trace)


def attempt_elsewhere(
    spec: RunSpec, where: str, run_id: str, series: Series, execution: Execution, report: Report
) -> RunRecord:
    """Attempt a run that another process planned.

    Raises:
        UserError: as `attempt`; or the run is not the one that was planned.
    """
    planned = plan(spec, where, series)
    if planned.run_id != run_id:
        what = f"run {run_id} is {planned.run_id} here: data, code or version differ"
        raise UserError(where, what, "use one version and one copy of the data, and run it again")
    return attempt(planned, execution, report)


class InProcess:
    """Runs one after the other, here."""

    slots = 1

    def __init__(self, execution: Execution, report: Report) -> None:
        self._execution = execution
        self._report = report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def submit(self, planned: Plan) -> Future[Any]:
        """Run it now."""
        future: Future[RunRecord] = Future()
        future.set_result(attempt(planned, self._execution, self._report))
        return future

    def poll(self) -> None:
        """Nothing is under way between two calls."""

    def result(self, planned: Plan, future: Future[Any]) -> RunRecord:
        """Return the run's row."""
        record: RunRecord = future.result()
        return record
