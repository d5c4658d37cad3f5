"""A model run through the suite's own line on a short series, as often as rows of it change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmark.data.load import Series
from benchmark.data.splits import SplitName, Splits
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.harness.plan import Plan, plan
from benchmark.harness.run import run
from benchmark.harness.spec import Execution, RunSpec
from benchmark.records import layout
from benchmark.records.record import RunRecord
from benchmark.records.store import Store
from benchmark.training.heads import build_for_training

TRAIN_WINDOWS = 48
HELD_OUT_WINDOWS = 24
BATCH_SIZE = 16
NOISE_WIDTH = 10  # standard deviations of a channel
SHADE = 1e-6  # relative: moves what is fitted on a row, and not what a row chooses among a few


@dataclass(frozen=True)
class Outcome:
    """What a run left behind, as far as a leak could show in it."""

    record: RunRecord
    weights: dict[str, Any]


class Line:
    """Runs one model through the suite's line, on changed rows and for so many epochs."""

    def __init__(self, spec: RunSpec, where: str, series: Series) -> None:
        self.spec = spec
        self.where = where
        self.series = series

    def run(self, series: Series, epochs: int) -> Outcome:
        """Run it, and keep nothing but what is returned."""
        planned = self._plan(series, epochs)
        with TemporaryDirectory() as folder:
            execution = Execution(Path(folder), device="cpu", checkpoint=True, strict=False)
            record = run(planned, execution)
            weights = Store(execution.results).runs / planned.run_id / layout.WEIGHTS
            return Outcome(record, torch.load(weights, weights_only=True))

    def task(self, series: Series) -> Task:
        """What the model is to forecast on a series."""
        return self._plan(series, epochs=1).task

    def noise_after(self, split: SplitName) -> Series:
        """The series with all rows after a split's end replaced by noise."""
        return with_noise_from(self.series, self.task(self.series).borders[split].stop)

    def shaded(self, split: SplitName) -> Series:
        """The series with the rows of a split a shade larger."""
        rows = self.task(self.series).borders[split]
        values = self.series.values.copy()
        values[rows.start : rows.stop] *= 1 + SHADE
        return replace(self.series, values=values)

    def unfitted(self, task: Task) -> Forecaster:
        """The model before it is fitted."""
        shape = SeriesShape(task.lookback, task.horizon, task.channels, task.season)
        return build_for_training(self.spec.model, shape, self.spec.training, self.where)

    def forecaster(self, weights: Mapping[str, Any], task: Task) -> Forecaster:
        """The model as its saved weights make it again."""
        forecaster = self.unfitted(task)
        forecaster.load_state_dict(weights)
        return forecaster

    def _plan(self, series: Series, epochs: int) -> Plan:
        """The run of the model on a series, in small batches."""
        changes = {"epochs": epochs, "patience": epochs, "batch_size": BATCH_SIZE}
        training = self.spec.training.model_copy(update=changes)
        return plan(self.spec.model_copy(update={"training": training}), self.where, series)


def short(series: Series, spec: RunSpec) -> Series:
    """Cut a series to its first rows, split anew: enough for a few windows of each split."""
    season = series.card.season
    splits = Splits(
        train=max(spec.lookback + spec.horizon + TRAIN_WINDOWS - 1, season + 1),
        val=spec.horizon + HELD_OUT_WINDOWS - 1,
        test=spec.horizon + HELD_OUT_WINDOWS - 1,
    )
    rows = int(splits.train + splits.val + splits.test)
    if rows > len(series.values):
        what = f"holds {len(series.values)} rows; an audit at lookback {spec.lookback} and horizon "
        cure = "choose a shorter horizon or another data set"
        raise UserError(f"dataset {series.name}", f"{what}{spec.horizon} needs {rows}", cure)
    return replace(
        series,
        card=series.card.model_copy(update={"splits": splits}),
        values=series.values[:rows],
        timestamps=series.timestamps[:rows],
    )


def with_noise_from(series: Series, row: int) -> Series:
    """Replace all rows from `row` on by wide noise."""
    spread = np.nanstd(series.values, axis=0)
    width = NOISE_WIDTH * np.where(spread > 0, spread, 1.0)
    values = series.values.copy()
    noise = np.random.default_rng(row).normal(size=values[row:].shape)
    noise = np.nanmean(series.values, axis=0) + width * noise
    values[row:] = np.where(np.isnan(values[row:]), np.nan, noise)  # what is missing stays so
    return replace(series, values=values)
