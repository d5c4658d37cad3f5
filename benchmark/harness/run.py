"""One run, from a specification to a folder in the store: the suite's straight line.

card -> series -> task -> forecaster -> fit (train, validation) -> calibrate (validation)
     -> evaluate (test, once) -> record
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import torch
import yaml

from benchmark import __version__
from benchmark.data.card import load_card
from benchmark.data.load import Series, load
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.evaluation import cost
from benchmark.evaluation.conformal import calibrate
from benchmark.evaluation.errors import Errors
from benchmark.evaluation.forecast import evaluate
from benchmark.evaluation.metrics import METRICS, definitions
from benchmark.evaluation.samples import write_samples
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.resolve import resolve_model, source_digest
from benchmark.harness.machine import hardware
from benchmark.harness.saved import save_model
from benchmark.harness.spec import Execution, RunSpec
from benchmark.records.files import storage_faults
from benchmark.records.record import RunRecord
from benchmark.records.store import Store, write_record
from benchmark.training.fit import fit, seed_all
from benchmark.training.heads import build_for_training
from benchmark.training.report import Epoch, FitOptions, FitReport

LONGEST_RUN_ID = 128  # characters: what a record's id, and any file system, allows


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start: all that can be known before training.

    Attributes:
        spec: what is run.
        where: the file it came from, for errors.
        series: its data.
        run_id: names its folder; a hash of all that decides its numbers.
        config: hash of the same without the seed: rows that share it differ by chance alone.
    """

    spec: RunSpec
    where: str
    series: Series
    run_id: str
    config: str

    @property
    def task(self) -> Task:
        """The data, split and scaled."""
        return _task(self.series, self.spec.lookback, self.spec.horizon)


# The plans of a suite share what they can and keep no scaled copy each: a wide data set's copies
# for every model, horizon and seed would not fit into memory together.
_task = lru_cache(maxsize=4)(Task)


def plan(spec: RunSpec, where: str, series: Series | None = None) -> Plan:
    """Load the data, check the model's options and name the run.

    Args:
        spec: what is run.
        where: the file it came from, for errors.
        series: the spec's data set, where it is loaded already.

    Raises:
        UserError: anything wrong with the data, the model or its options.
    """
    series = series or load(load_card(spec.dataset))
    task = _task(series, spec.lookback, spec.horizon)
    model, options = resolve_model(spec.model, where)
    identity = {
        "benchmark": __version__,
        "name": spec.name,
        "data": series.digest,
        "splits": {name: [rows.start, rows.stop] for name, rows in task.borders.items()},
        "lookback": spec.lookback,
        "horizon": spec.horizon,
        "model": {"class": spec.model["class"], **options},
        "source": source_digest(model),
        "training": spec.training.model_dump() if model.fitted == "gradient" else None,
    }
    config = _digest(identity)
    run_id = f"{spec.name}-{series.name}-{spec.horizon}-seed{spec.seed}-{config}"
    if len(run_id) > LONGEST_RUN_ID:
        what = f"makes the run's folder {run_id!r} longer than {LONGEST_RUN_ID} characters"
        raise UserError(f"{where}: name", what, "shorten it, or the data set's name")
    return Plan(spec=spec, where=where, series=series, run_id=run_id, config=config)


def run(
    planned: Plan, execution: Execution, on_epoch: Callable[[Epoch], None] | None = None
) -> RunRecord:
    """Fit and evaluate one planned run and put its folder into the store.

    Raises:
        UserError: the results folder cannot be written, or options do not go together.
        FloatingPointError: training diverged or a forecast is not finite.
    """
    _check_writable(execution.results)  # now, not after hours of training
    spec, task = planned.spec, planned.task
    started = datetime.now(UTC)
    device = resolve_device(execution)
    cost.reset_peak_memory(device)
    shape = SeriesShape(spec.lookback, spec.horizon, task.channels, task.season)
    seed_all(spec.seed)
    forecaster = build_for_training(spec.model, shape, spec.training, planned.where).to(device)
    train, validation = task.windows("train", device), task.windows("val", device)
    report = fit(
        forecaster,
        train,
        validation,
        spec.training,
        spec.seed,
        FitOptions(
            on_epoch=on_epoch,
            verbose=execution.verbose,
            tensorboard=(
                execution.results / "tensorboard" / planned.run_id
                if execution.tensorboard
                else None
            ),
            trainer=execution.trainer,
        ),
    )
    calibration = calibrate(forecaster, validation)
    evaluation = evaluate(forecaster, task, device, calibration)
    assert evaluation.quantiles is not None
    scores: dict[str, Any] = {name: m(evaluation.errors) for name, m in METRICS.items()}
    scores |= asdict(evaluation.quantiles)
    memory = cost.peak_memory_mb(device)  # measuring a forecast's cost has a peak of its own
    record = RunRecord(
        **common_columns(planned, started, execution),
        status="done",
        **scores,
        val_mse=report.val_mse,
        val_mae=report.val_mae,
        params=cost.num_weights(forecaster),
        epochs=len(report.epochs) or None,
        best_epoch=report.best_epoch or None,
        train_seconds=report.seconds,
        energy_j=report.energy_j,
        **asdict(cost.measure_forecast(forecaster, validation)),
        peak_memory_mb=memory,
        test_windows=evaluation.num_windows,
    )
    with Store(execution.results).writing(planned.run_id) as folder:
        _write_spec(folder, planned)
        _write_errors(folder, evaluation.errors, task)
        write_samples(folder / "forecasts.npz", evaluation.samples, evaluation.extremes, task)
        calibration.write(folder / "quantiles.npz")
        _write_training(folder, report)
        if execution.checkpoint:
            save_model(folder, forecaster, task)
        write_record(folder, record)
    return record


def _check_writable(results: Path) -> None:
    with storage_faults(results):
        runs = Store(results).runs
        runs.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=runs):
            pass


def record_failure(
    planned: Plan, execution: Execution, started: datetime, error: str, trace: str
) -> RunRecord:
    """Put a failed run into the store: a row with its error and no score."""
    record = RunRecord(**common_columns(planned, started, execution), status="failed", error=error)
    with Store(execution.results).writing(planned.run_id) as folder:
        _write_spec(folder, planned)
        (folder / "traceback.txt").write_text(trace, encoding="utf-8")
        write_record(folder, record)
    return record


def common_columns(planned: Plan, started: datetime, execution: Execution) -> dict[str, Any]:
    """Columns that a run has whether or not it succeeds."""
    spec, task = planned.spec, planned.task
    model, _ = resolve_model(spec.model, planned.where)
    return {
        "run_id": planned.run_id,
        "dataset": task.series.name,
        "lookback": spec.lookback,
        "horizon": spec.horizon,
        "model": spec.name,
        "seed": spec.seed,
        "config": planned.config,
        "tuned": spec.tuned.trials if spec.tuned else None,
        "fitted": model.fitted,
        "device": device_name(execution),
        "threads": torch.get_num_threads(),
        "hardware": hardware(resolve_device(execution)),
        "data": task.series.digest[:16],
        "fingerprint": task.fingerprint(definitions()),
        "channels": task.channels,
        "started": started.isoformat(timespec="seconds"),
        "benchmark_version": __version__,
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "lightning_version": version("lightning"),
        "git_revision": git_revision(),
    }


def resolve_device(execution: Execution) -> torch.device:
    """The torch device that an execution asks for.

    Raises:
        UserError: CUDA is asked for and not there.
    """
    if execution.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda", "torch sees no NVIDIA GPU", "use --device cpu")
    if execution.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(execution.device)


def device_name(execution: Execution) -> str:
    """Name of the device as a reader knows it, e.g. ``cpu`` or ``NVIDIA H100``."""
    device = resolve_device(execution)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device.type)


@cache
def git_revision() -> str | None:
    """Short revision of the working copy this package runs from; ``+`` where it is changed."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def _digest(identity: Any) -> str:
    text = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _write_spec(folder: Path, planned: Plan) -> None:
    document = planned.spec.model_dump(mode="json", exclude={"search"})  # what could have been
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    (folder / "run.yaml").write_text(text, encoding="utf-8")


def _write_errors(folder: Path, errors: Errors, task: Task) -> None:
    """Errors per window, step and channel, in float32 to keep them small; what they stand on."""
    known: dict[str, Any] = {} if errors.known is None else {"known": errors.known}
    np.savez_compressed(
        folder / "errors.npz",
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


def _write_training(folder: Path, report: FitReport) -> None:
    text = json.dumps([asdict(epoch) for epoch in report.epochs], indent=1)
    (folder / "training.json").write_text(text + "\n", encoding="utf-8")
