"""One run, from a specification to a folder in the store: the suite's straight line.

card -> series -> task -> forecaster -> fit (train, validation) -> calibrate (validation)
     -> evaluate (test, once) -> record
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.task import Task
from benchmark.errors import UserError, no_exit
from benchmark.evaluation import cost
from benchmark.evaluation.errors import Errors
from benchmark.evaluation.samples import write_samples
from benchmark.files import remove, storage_faults, try_folder
from benchmark.harness.fitted import FittedPlan, common_columns, fit_plan, resolve_device, score
from benchmark.harness.plan import Plan
from benchmark.harness.saved import save_model
from benchmark.harness.software import made_by
from benchmark.harness.spec import Execution, write_run
from benchmark.records import layout
from benchmark.records.record import RunRecord
from benchmark.records.store import Store, write_record
from benchmark.training.report import Epoch, FitOptions
from benchmark.training.unfinished import Unfinished


class NotKept(UserError):  # noqa: N818 - the run is done
    """A run is done and scored, and its weights are not kept: says why.

    Args:
        reason: why.
        record: the run's row.
    """

    def __init__(self, reason: UserError, record: RunRecord) -> None:
        what = f"the run is done, but its weights are not kept: {reason.what}"
        super().__init__(reason.where, what, reason.cure)
        self.record = record


@no_exit()
def run(
    planned: Plan, execution: Execution, on_epoch: Callable[[Epoch], None] | None = None
) -> RunRecord:
    """Fit and evaluate one planned run and put its folder into the store.

    Where an earlier process was stopped in its training, it goes on after the last epoch.

    Raises:
        UserError: the results folder cannot be written, or options do not go together.
        NotKept: the weights are not all that the forecasts depend on; the row is there.
        FloatingPointError: training diverged or a forecast is not finite.
        ForecastError: forecasts of a user's model depend on more than their windows.
    """
    _check_writable(execution.results)  # now, not after hours of training
    device = resolve_device(execution)
    cost.reset_peak_memory(device)
    store = Store(execution.results)
    unfinished = Unfinished(_state(planned, execution), made_by(device, planned.devices))
    options = FitOptions(
        on_epoch=on_epoch,
        verbose=execution.verbose,
        tensorboard=(
            execution.results / "tensorboard" / planned.run_id if execution.tensorboard else None
        ),
        parallel=planned.spec.parallel,
        unfinished=unfinished,
    )
    try:
        fitted = fit_plan(planned, planned.task, execution, options)
        evaluation, columns = score(fitted)
    except FloatingPointError:  # to go on from there leads nowhere else
        unfinished.remove()
        raise
    alone = planned.devices == 1  # else memory was taken in other processes
    memory = cost.peak_memory_mb(fitted.device) if alone else None  # before a forecast's own peak
    with store.writing(planned.run_id, execution.force) as folder:
        write_run(folder, planned.spec)
        write_errors(folder, evaluation.errors, fitted.task)
        write_samples(
            folder / layout.FORECASTS, evaluation.samples, evaluation.extremes, fitted.task
        )
        fitted.calibration.write(folder / layout.QUANTILES)
        write_training(folder, fitted.report.epochs)
        refused = _save(folder, fitted) if execution.checkpoint else None
        # Last, as it repeats forecasts by the clock: what they change in a model is not kept.
        costs = cost.measure_forecast(fitted.forecaster, fitted.validation)
        record = RunRecord(**columns, **asdict(costs), peak_memory_mb=memory)
        write_record(folder, record)
    unfinished.remove()
    if refused:
        raise NotKept(refused, record)
    return record


def begin_anew(planned: Plan, execution: Execution) -> None:
    """Leave nothing for a run to go on with: its training begins with the first epoch."""
    remove(_state(planned, execution))


def _state(planned: Plan, execution: Execution) -> Path:
    """The folder of what is kept of a run's training until it is done."""
    return Store(execution.results).runs / f"{layout.UNFINISHED}{planned.run_id}"


def _save(folder: Path, fitted: FittedPlan) -> UserError | None:
    """Keep the weights; where they are no use, leave none, and return why: scores are not lost."""
    try:
        save_model(folder, fitted)
    except UserError as error:
        for name in (layout.WEIGHTS, layout.DATA):
            (folder / name).unlink(missing_ok=True)
        return error
    return None


def _check_writable(results: Path) -> None:
    with storage_faults(results):
        try_folder(Store(results).runs)


def record_failure(
    planned: Plan, execution: Execution, started: datetime, error: str, trace: str
) -> RunRecord:
    """Put a failed run into the store: a row with its error and no score."""
    record = RunRecord(**common_columns(planned, started, execution), status="failed", error=error)
    with Store(execution.results).writing(planned.run_id) as folder:
        write_run(folder, planned.spec)
        (folder / layout.TRACEBACK).write_text(trace, encoding="utf-8")
        write_record(folder, record)
    return record


def write_errors(folder: Path, errors: Errors, task: Task) -> None:
    """Keep errors per window, step and channel, in float32 to be small, and what they stand on."""
    known: dict[str, Any] = {} if errors.known is None else {"known": errors.known}
    np.savez_compressed(
        folder / layout.ERRORS,
        channels=np.array(task.series.channels),
        squared=errors.squared.astype(np.float32),
        absolute=errors.absolute.astype(np.float32),
        squared_by_step=errors.squared_by_step.astype(np.float32),
        absolute_by_step=errors.absolute_by_step.astype(np.float32),
        mean=task.scaler.mean,
        scale=errors.scale,
        **known,
        borders=np.array([(rows.start, rows.stop) for rows in task.borders.values()]),
    )


def write_training(folder: Path, epochs: Sequence[Epoch]) -> None:
    """Keep every epoch of a training; of none, that there was none."""
    text = json.dumps([asdict(epoch) for epoch in epochs], indent=1)
    (folder / layout.TRAINING).write_text(text + "\n", encoding="utf-8")
