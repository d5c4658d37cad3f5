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

DOUBTED = {False: (-100, -10), True: (-1, 0)}
"""By whether forecasts are said to be in original units: the R2 below which that is doubted, and
the one above which the other reading is believed.

Taken for scaled values, original units are far off. Taken for original units, scaled values are
near 0, hardly worse than poor forecasts; but other forecasts would not be good if they were scaled.
"""


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
    misread = _misread(array, str(file), task, evaluation, own_units)
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
        readings = ("as scaled values", "in original units")
        said, seems = reversed(readings) if own_units else readings
        what = f"is scored {said}, but makes sense only {seems}"
        again = f"score it {'without' if own_units else 'with'} --original-units"
        cure = f"remove {store.runs / record.run_id} and {again}"
        sys.stderr.write(f"warning: {file}: {what}; {cure}\n")
    return record


def _misread(
    array: NDArray[Any], where: str, task: Task, said: Evaluation, own_units: bool
) -> bool:
    """Whether forecasts make no sense in the units that they are said to be in, but in the other.

    Args:
        array: of the forecasts.
        where: it came from.
        task: that they are of.
        said: what they are worth in those units.
        own_units: whether these are each channel's own.
    """
    doubted, believed = DOUBTED[own_units]
    with suppress(UserError):  # read so, they may be too large
        if (r2(said.errors) or 0) < doubted:
            return (r2(evaluate_array(array, where, task, not own_units).errors) or 0) > believed
    return False


def _check_new(store: Store, record: RunRecord) -> None:
    for other in store.records():
        same = (other.config, other.seed) == (record.config, record.seed)
        if same and other.run_id != record.run_id:
            what = f"there are other forecasts of this name and seed: {store.runs / other.run_id}"
            cure = "choose another --name or --seed, or remove that folder"
            raise UserError(f"--name {record.model} --seed {record.seed}", what, cure)
