"""The middle of a run: fit a planned model, calibrate it, score it on test, once.

`benchmark.harness.run` puts what comes of it into the store; `benchmark.api` hands it to Python.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch

from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.evaluation.conformal import Calibration, calibrate
from benchmark.evaluation.cost import num_weights
from benchmark.evaluation.forecast import BATCH, Evaluation, evaluate
from benchmark.evaluation.metrics import METRICS, definitions
from benchmark.forecasters.contract import Forecaster
from benchmark.forecasters.sameness import check_alone
from benchmark.harness.build import unfitted
from benchmark.harness.machine import device_name, hardware
from benchmark.harness.plan import Plan
from benchmark.harness.software import software
from benchmark.harness.spec import Execution, RunSpec
from benchmark.harness.weights import check_state
from benchmark.records.record import TRAIN, TRAIN_AND_VAL
from benchmark.training.devices import check_devices
from benchmark.training.fit import fit, refit, total_energy
from benchmark.training.report import FitOptions, FitReport

LEAST_BATCH = 32
"""Windows at least that a model is shown at once, to see whether it mixes them."""


@dataclass(frozen=True, eq=False)
class FittedPlan:
    """A planned model that is fitted, and what its row will say of that.

    Attributes:
        planned: its configuration, and the id of the run that this is.
        task: what it was fitted on.
        execution: how.
        forecaster: the module, on its device: scaled lookbacks ``(B, L, C)`` to scaled forecasts.
        validation: the windows that chose its weights.
        report: every epoch, the validation scores, the seconds.
        calibration: what makes quantiles of its forecasts.
        started: when, in UTC.
    """

    planned: Plan
    task: Task
    execution: Execution
    forecaster: Forecaster
    validation: Windows
    report: FitReport
    calibration: Calibration
    started: datetime

    @property
    def device(self) -> torch.device:
        """Where it was fitted."""
        return resolve_device(self.execution)


def fit_plan(planned: Plan, task: Task, execution: Execution, options: FitOptions) -> FittedPlan:
    """Fit on train windows, choosing by validation windows, and calibrate on the latter.

    Args:
        planned: what is fitted.
        task: its data, split and scaled.
        execution: how.
        options: how the fit is shown.

    Raises:
        UserError: options do not go together, or there is no such device, or not so many; or the
            weights are to be kept and cannot be, as `check_state`.
        FloatingPointError: training diverged.
        ForecastError: forecasts of a user's model depend on more than their windows.
    """
    spec, started, device = planned.spec, datetime.now(UTC), resolve_device(execution)
    forecaster = unfitted(spec, task, planned.where).to(device)
    if execution.checkpoint:  # now, not after hours of training
        check_state(forecaster, planned.where)
    if planned.devices > 1:
        _check_devices(planned, forecaster, device)
    train, validation = task.windows("train", device), task.windows("val", device)
    report = fit(forecaster, train, validation, spec.training, spec.seed, options)
    if planned.source and execution.strict:  # ours are held to it by the tests
        enough = validation if len(validation) >= LEAST_BATCH else train
        check_alone(forecaster, next(enough.in_order(BATCH))[0])
    calibration = calibrate(forecaster, validation)
    if spec.refit:
        fresh = unfitted(spec, task, planned.where).to(device)
        rows, training = task.windows_before_test(device), spec.training
        own, seed = options.part("refit"), spec.seed
        forecaster, again = refit(forecaster, fresh, rows, validation, training, seed, report, own)
        seconds, joules = report.seconds + again.seconds, total_energy([report, again])
        report = replace(report, seconds=seconds, energy_j=joules)
    return FittedPlan(
        planned, task, execution, forecaster, validation, report, calibration, started
    )


def _check_devices(planned: Plan, forecaster: Forecaster, device: torch.device) -> None:
    try:
        check_devices(planned.spec.parallel, forecaster, device)
    except UserError as error:
        raise error.inside(planned.where) from None


def score(fitted: FittedPlan) -> tuple[Evaluation, dict[str, Any]]:
    """Score on every test window; the columns are those of its row but for costs of forecasting.

    Raises:
        FloatingPointError: a forecast is not finite.
    """
    evaluation = evaluate(fitted.forecaster, fitted.task, fitted.device, fitted.calibration)
    assert evaluation.quantiles is not None
    report = fitted.report
    columns = common_columns(fitted.planned, fitted.started, fitted.execution)
    columns |= {name: metric(evaluation.errors) for name, metric in METRICS.items()}
    columns |= asdict(evaluation.quantiles)
    columns |= {
        "status": "done",
        "val_mse": report.val_mse,
        "val_mae": report.val_mae,
        "params": num_weights(fitted.forecaster),
        "epochs": len(report.epochs) or None,
        "best_epoch": report.best_epoch or None,
        "train_seconds": report.seconds,
        "energy_j": report.energy_j,
        "test_windows": evaluation.errors.num_windows,
    }
    return evaluation, columns


def common_columns(planned: Plan, started: datetime, execution: Execution) -> dict[str, Any]:
    """Columns that a run has whether or not it succeeds."""
    spec, task, device = planned.spec, planned.task, resolve_device(execution)
    return {
        "run_id": planned.run_id,
        "dataset": task.series.name,
        "lookback": spec.lookback,
        "horizon": spec.horizon,
        "model": spec.name,
        "seed": spec.seed,
        "config": planned.config,
        "tuned": spec.tuned.trials if spec.tuned else None,
        "fitted": planned.fitted,
        "fit_rows": TRAIN_AND_VAL if spec.refit else TRAIN,
        "device": device_name(device, planned.devices),
        "threads": torch.get_num_threads(),
        "hardware": hardware(device, planned.devices),
        "data": task.series.digest[:16],
        "fingerprint": task.fingerprint(protocol(spec)),
        "channels": task.channels,
        "started": started.isoformat(timespec="seconds"),
        **software(),
    }


def protocol(spec: RunSpec) -> str:
    """What but the data decides which scores may be ranked together, for `Task.fingerprint`."""
    return f"{definitions()}; fitted on {TRAIN_AND_VAL}" if spec.refit else definitions()


def resolve_device(execution: Execution) -> torch.device:
    """The torch device that an execution asks for.

    Raises:
        UserError: CUDA is asked for and not there, or a device that there is none of.
    """
    if execution.device not in ("auto", "cpu", "cuda"):
        raise UserError(f"device {execution.device!r}", "is none", "take auto, cpu or cuda")
    if execution.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda", "torch sees no NVIDIA GPU", "use --device cpu")
    if execution.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(execution.device)
