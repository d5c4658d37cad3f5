"""Forecasts that another program made, put into the store as a run: scored here, and only scored.

file -> test windows' forecasts -> evaluate -> record

What made them and what chose it is not known here. So the row has no costs, no validation score and
no calibrated interval, and where others name their device it says `ELSEWHERE`.
"""

from __future__ import annotations

import hashlib
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmark.config import Positive, Strict
from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.evaluation.elsewhere import check_targets, evaluate_array, read_forecasts
from benchmark.evaluation.forecast import Evaluation
from benchmark.evaluation.metrics import METRICS, definitions, r2
from benchmark.evaluation.samples import write_samples
from benchmark.harness.identity import identify
from benchmark.harness.run import write_errors, write_training
from benchmark.harness.software import software
from benchmark.harness.spec import Name, Seed
from benchmark.records import layout
from benchmark.records.record import ELSEWHERE, RunRecord
from benchmark.records.store import Store, write_record

ABSURD, SENSIBLE = -100, -10
"""R2 of forecasts that nobody makes, and of poor ones: about MSE in multiples of the mean's."""


class Forecasts(Strict):
    """Forecasts in a file, and what their row is to say of them.

    Attributes:
        file: an ``.npy`` of test windows ``(W, H, C)``, or a ``.csv`` or ``.parquet`` with a row
            for each value.
        name: what tables call the model.
        dataset: a card's name or path.
        lookback: steps that it saw before each forecast.
        horizon: steps forecast.
        seed: of its training.
        column: of a table, the one that holds them; None takes the only one.
        target: an ``.npy`` of the true values that were written beside them, to be held to ours.
        original_units: whether they are in each channel's own unit, instead of scaled.
    """

    file: Path
    name: Name
    dataset: str
    lookback: Positive
    horizon: Positive
    seed: Seed = 1
    column: str | None = None
    target: Path | None = None
    original_units: bool = False


def score_file(forecasts: Forecasts, results: Path) -> RunRecord:
    """Score forecasts on every test window and put them into the store.

    The same file makes the same run; another of the same name and seed is refused, as it would be
    one more run of what is one run. Forecasts that seem to be in other units than was said get a
    warning on stderr.

    Raises:
        UserError: the data set or the file cannot be had, the file does not hold each test window's
            forecast once, or there are others of this name and seed.
    """
    task = Task(load(load_card(forecasts.dataset)), forecasts.lookback, forecasts.horizon)
    file, own_units = forecasts.file, forecasts.original_units
    if forecasts.target is not None:
        check_targets(forecasts.target, task, own_units)
    array = read_forecasts(file, task, forecasts.column, original_units=own_units)
    evaluation = evaluate_array(array, str(file), task, own_units)
    misread = not own_units and _misread(array, str(file), task, evaluation)
    told = {"elsewhere": forecasts.name, "lookback": task.lookback, "horizon": task.horizon}
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    read = {"file": digest, "column": forecasts.column, "original_units": own_units}
    config, own = (identify("score", task, each) for each in (told, told | read))
    columns: dict[str, Any] = {name: metric(evaluation.errors) for name, metric in METRICS.items()}
    record = RunRecord(
        run_id=f"{forecasts.name}-{task.series.name}-{task.horizon}-seed{forecasts.seed}-{own}",
        status="done",
        dataset=task.series.name,
        lookback=task.lookback,
        horizon=task.horizon,
        model=forecasts.name,
        seed=forecasts.seed,
        config=config,
        fitted=ELSEWHERE,
        device=ELSEWHERE,
        data=task.series.digest[:16],
        fingerprint=task.fingerprint(definitions()),
        test_windows=evaluation.errors.num_windows,
        channels=task.channels,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        **columns,
        **software(),
    )
    store = Store(results)
    _check_new(store, record)
    with store.writing(record.run_id) as folder:
        write_errors(folder, evaluation.errors, task)
        write_samples(folder / layout.FORECASTS, evaluation.samples, evaluation.extremes, task)
        write_training(folder, ())
        write_record(folder, record)
    if misread:
        run = store.runs / record.run_id
        what = "is scored as scaled values, but makes sense only in original units"
        cure = f"remove {run} and score it with --original-units"
        sys.stderr.write(f"warning: {file}: {what}; {cure}\n")
    return record


def _misread(array: NDArray[Any], where: str, task: Task, scaled: Evaluation) -> bool:
    """Whether forecasts are absurd as scaled values, and would not be in original units."""
    with suppress(UserError):  # read so, they may be too large
        if (r2(scaled.errors) or 0) < ABSURD:
            return (r2(evaluate_array(array, where, task, True).errors) or 0) > SENSIBLE
    return False


def _check_new(store: Store, record: RunRecord) -> None:
    for other in store.records():
        same = (other.config, other.seed) == (record.config, record.seed)
        if same and other.run_id != record.run_id:
            what = f"there are other forecasts of this name and seed: {store.runs / other.run_id}"
            cure = "choose another --name or --seed, or remove that folder"
            raise UserError(f"--name {record.model} --seed {record.seed}", what, cure)
