"""A finished run, kept with its weights and ready for use where its data set need not be.

Beside ``run.yaml`` and ``quantiles.npz``, which every run leaves, ``--checkpoint`` keeps

    checkpoint.pt   the weights; what a closed form found is among them, a naive model has none
    data.json       `SavedData`: which columns the model reads, at which time step, in which units

``run.yaml`` names a class to import, so using a run runs its code, as ``benchmark run`` does.
Weights are read as numbers alone.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.config import Strict, nearest, validate
from benchmark.data.card import DatasetCard
from benchmark.data.frames import as_csv, frame_as_csv
from benchmark.data.missing import unseen
from benchmark.data.rows import Rows, read_rows, time_column
from benchmark.data.task import Scaler, Task
from benchmark.errors import UserError, check_type, told_by_line
from benchmark.evaluation.conformal import Calibration
from benchmark.evaluation.original import FORECAST, OriginalUnits
from benchmark.files import private_name, remove, storage_faults, sync_tree
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.resolve import source_digest
from benchmark.harness.fitted import FittedPlan
from benchmark.harness.spec import RunSpec, load_kept_run, write_run
from benchmark.harness.weights import check_kept, write_weights
from benchmark.records.checksums import check_file, open_checked, write_sums
from benchmark.records.forecast import Forecast
from benchmark.records.layout import CONFIG, DATA, QUANTILES, RECORD, WEIGHTS
from benchmark.records.record import ELSEWHERE
from benchmark.records.store import Store, read_record
from benchmark.training.heads import build_for_training
from benchmark.words import listed

if TYPE_CHECKING:
    import pandas as pd

MAX_DATA = 100_000_000
"""Bytes of what weights need to know of the data: a channel takes about a hundred."""

CHANGED = (
    "the model's own code has changed since the run was made; its weights and intervals are of the "
    "code as it was. For a run of the code as it is"
)


class SavedData(Strict):
    """What a fitted model must know of the data it was fitted on.

    Attributes:
        card: the data set's.
        digest: of the series, `Series.digest`.
        channels: their names, C.
        mean: of the train rows, in each channel's own unit, C.
        scale: their standard deviation, C.
        seasonal_error: MASE's divisor, scaled, C.
        source: of the code that it was fitted with, `source_digest`; empty where all of it is ours,
            or nothing is known of it.
    """

    card: DatasetCard
    digest: str
    channels: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    seasonal_error: tuple[float, ...]
    source: str = ""

    @classmethod
    def of(cls, task: Task, source: str = "") -> SavedData:
        """Take it from the task that a model was fitted on."""
        return cls(
            card=task.series.card,
            digest=task.series.digest,
            channels=task.series.channels,
            mean=tuple(task.scaler.mean.tolist()),
            scale=tuple(task.scaler.scale.tolist()),
            seasonal_error=tuple(task.seasonal_error().tolist()),
            source=source,
        )

    @property
    def scaler(self) -> Scaler:
        """As it was fitted on the train rows."""
        return Scaler(np.array(self.mean), np.array(self.scale))


@dataclass(frozen=True)
class SavedRun:
    """A run that can forecast.

    Attributes:
        run_id: its name.
        spec: what was run.
        data: what the model knows of its data set.
        model: in original units, on the CPU.
    """

    run_id: str
    spec: RunSpec
    data: SavedData
    model: OriginalUnits

    def read(self, source: Path | pd.DataFrame, *, whole: bool = False) -> Rows:
        """Read the last rows of a CSV or a Parquet file, as many as the model looks back; or all.

        A DataFrame has its times in the data set's time column, or in its index.

        More than it looks back are read where its data set's card masks or fills missing values.

        Raises:
            UserError: it is neither; else as `as_csv` and `read_rows`.
        """
        import pandas as pd

        check_type(
            "forecast", source, (Path, pd.DataFrame), "give a file, or a DataFrame with times"
        )
        needed = self.spec.lookback + (self.spec.horizon if whole else 0)
        card = self.data.card
        file = as_csv(source) if isinstance(source, Path) else frame_as_csv(source, card)
        with file as csv:
            return read_rows(card, self.data.channels, csv, needed, whole=whole)

    def without(self) -> str:
        """Say which channels have no interval, and why; nothing where all have one."""
        calibration, level = self.model.calibration, self.model.level
        if calibration is None:
            return f"no {level}% interval: the run was kept without {QUANTILES}; run it again"
        return calibration.untold(level, self.data.channels)

    def forecast(self, rows: Rows | pd.DataFrame | str | Path) -> Forecast:
        """Forecast the steps after the last of some rows: those of `read`, a file's or a frame's.

        What is missing among them is read as in training: as the last value before, or without one
        as the mean of the train rows. A channel of which a file or a frame has no value in the
        whole lookback is warned of, and one without an interval.

        Raises:
            UserError: the file or the frame is not what `read` takes.
            FloatingPointError: the forecast is not finite.
        """
        if not isinstance(rows, Rows):
            rows = self.read(Path(rows) if isinstance(rows, str) else rows)
            lookback, times = self.spec.lookback, rows.timestamps
            notes = unseen(self.data.channels, rows.values, lookback, times)
            for note in filter(None, [*notes, self.without()]):
                warnings.warn(note, stacklevel=2)
        past = self.data.scaler.filled(rows.values)[-self.spec.lookback :]
        found = self.model.after(past)
        low, high = (found[end] for end in self.model.ends) if self.model.ends else (None, None)
        ahead = np.arange(1, self.spec.horizon + 1)
        return Forecast(
            time_column=time_column(self.data.card),
            channels=self.data.channels,
            past_times=rows.timestamps[-self.spec.lookback :],
            past=past,
            times=self.data.card.step.after(rows.timestamps[-1], ahead),
            values=found[FORECAST],
            low=low,
            high=high,
            level=self.model.level,
        )


def save_model(folder: Path, fitted: FittedPlan) -> None:
    """Keep in a run's folder what `load_saved` needs besides what every run leaves.

    Raises:
        UserError: as `write_weights`; or a model made again from it would forecast otherwise.
    """
    write_weights(folder / WEIGHTS, fitted.forecaster, fitted.planned.where)
    if fitted.execution.strict:
        check_kept(folder / WEIGHTS, fitted.planned, fitted.forecaster, fitted.validation)
    data = SavedData.of(fitted.task, fitted.planned.source).model_dump(mode="json")
    if not data["source"]:  # there is nothing to tell, and versions before it was told can read it
        del data["source"]
    (folder / DATA).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def keep(fitted: FittedPlan, folder: Path) -> None:
    """Keep a fitted model in a new folder, as ``benchmark run --checkpoint`` would, but unscored.

    Raises:
        UserError: there is something already, or the folder cannot be written; as `save_model`.
    """
    if folder.exists():
        raise UserError(str(folder), "is there already", "name a new folder")
    temporary = folder.parent / private_name("writing", folder.name)
    with storage_faults(folder):
        temporary.mkdir(parents=True)
        try:
            write_run(temporary, fitted.planned.spec)
            fitted.calibration.write(temporary / QUANTILES)
            save_model(temporary, fitted)
            write_sums(temporary)
            sync_tree(temporary)
            temporary.rename(folder)
        except BaseException:
            remove(temporary)
            raise


def find_run(name: str, results: Path) -> Path:
    """Return the folder of a run, given as that folder, or as a run's id or how only it begins.

    Raises:
        UserError: there is none, or several; or its forecasts were made elsewhere, or it lacks one.
    """
    folder = _folder_of(name, results)
    if not (folder / CONFIG).is_file():
        if read_record(folder).fitted != ELSEWHERE:
            again = "give the command that made that run again, with --force"
            raise UserError(str(folder), f"has lost its {CONFIG}", again)
        what = "its forecasts were made elsewhere: only their scores are here"
        raise UserError(f"run {name}", what, "name a run that was made by benchmark run")
    return folder


def _folder_of(name: str, results: Path) -> Path:
    marks = (CONFIG, RECORD)
    if any(os.path.isfile(os.path.join(name, mark)) for mark in marks):
        return Path(name)
    runs = Store(results).runs
    ids = sorted({path.parent.name for mark in marks for path in runs.glob(f"[!.]*/{mark}")})
    found = [run_id for run_id in ids if name and run_id.startswith(name)]
    if not found:
        raise UserError(f"run {name}", f"no such run in {runs}", nearest(name, ids))
    if len(found) > 1 and name not in found:
        cure = f"name one: {listed(found, most=10)}"
        raise UserError(f"run {name}", f"{len(found)} runs begin so", cure)
    return runs / (name if name in found else found[0])


def load_saved(name: str, results: Path, level: int = 80) -> SavedRun:
    """Load a finished run; nothing of its data set is read.

    Where code of the user's that it was fitted with has changed since, stderr gets a note.

    Args:
        name: see `find_run`.
        results: the results folder.
        level: of the intervals around its forecasts, in percent.

    Raises:
        UserError: there is no such run, it was not kept with its weights, or a file of it is
            damaged or does not fit; as `OriginalUnits`.
    """
    folder = find_run(name, results)
    spec = load_kept_run(folder / CONFIG)
    words = ["benchmark", "run", str(folder / CONFIG), "--checkpoint", "--force"]
    again = shlex.join([*words, "--results", str(folder.absolute().parent.parent)])
    for file in (WEIGHTS, DATA):
        if not (folder / file).is_file():
            raise UserError(str(folder), f"was kept without {file}", again)
    check_file(folder / WEIGHTS)
    data = _read_data(folder / DATA)
    shape = SeriesShape(spec.lookback, spec.horizon, len(data.channels), data.card.season)
    with told_by_line(f"{folder / CONFIG}: model", own=bool(data.source)):
        forecaster = build_for_training(spec.model, shape, spec.training, str(folder / CONFIG))
    _load_weights(forecaster, folder / WEIGHTS, again)
    quantiles = folder / QUANTILES
    calibration = Calibration.read(quantiles) if quantiles.is_file() else None
    model = OriginalUnits(forecaster.requires_grad_(False), data.scaler, calibration, level)
    if data.source and data.source != source_digest(spec.model, str(folder / CONFIG)):
        sys.stderr.write(f"Note: {folder}: {CHANGED}: {again}\n")
    return SavedRun(folder.absolute().name, spec, data, model)


def _read_data(path: Path) -> SavedData:
    try:
        with open_checked(path, MAX_DATA) as stream:
            values = json.load(stream)
    except (ValueError, RecursionError):
        raise UserError(str(path), "is not JSON", "run the model again") from None
    return validate(SavedData, values, str(path))


def _load_weights(forecaster: Forecaster, path: Path, again: str) -> None:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        forecaster.load_state_dict(weights)
    except Exception as error:  # whatever a damaged file makes of itself
        reason = " ".join(str(error).split())
        what = f"holds no weights of the model that run.yaml describes ({reason:.200})"
        raise UserError(str(path), what, again) from None
