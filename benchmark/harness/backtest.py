"""A rolling evaluation of a finished run: a forecast from every origin, each scored by itself.

Shapes: W origins, B batch, L lookback, H horizon, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.evaluation.errors import gather_errors
from benchmark.evaluation.metrics import mae, mase, mse
from benchmark.evaluation.quantiles import INTERVAL_80, holds, middle, quantiles_of, residuals
from benchmark.files import write_atomically
from benchmark.harness.saved import SavedRun
from benchmark.words import time_text

Scores = NDArray[np.float64]

BATCH = 64  # changes memory, not the result


@dataclass(frozen=True, eq=False)
class Backtest:
    """Scores of the forecasts of one run, each from another origin.

    Attributes:
        origin: time of the last row seen ``(W,)``, datetime64[s].
        mse: mean squared error, scaled by the train rows ``(W,)``.
        mae: mean absolute error, likewise ``(W,)``.
        rmse_original: root of the mean squared error of each channel in its own unit, averaged over
            channels ``(W,)``.
        mase: mean absolute scaled error ``(W,)``; NaN where no channel has a seasonal error.
        coverage_80: share of the truth in the 80% interval ``(W,)``, of the channels that have one;
            NaN where there is none.
        mean: of each score; as a run's own are made: every target value counts alike, and so an
            origin with few of them counts little. That of `rmse_original` is over origins.
    """

    origin: NDArray[np.datetime64]
    mse: Scores
    mae: Scores
    rmse_original: Scores
    mase: Scores
    coverage_80: Scores
    mean: dict[str, float]

    @property
    def scores(self) -> dict[str, Scores]:
        """Those of each origin, by name."""
        return {name: getattr(self, name) for name in self.mean}


def backtest(run: SavedRun, path: Path | None, stride: int) -> Backtest:
    """Forecast from every `stride`-th origin that has a full lookback and a full horizon of truth.

    Args:
        run: whose model is used, as it was fitted.
        path: a file as `SavedRun.read` reads it; None takes the run's own test split.
        stride: steps from one origin to the next.

    Raises:
        UserError: anything wrong with the data.
        FloatingPointError: a forecast is not finite.
    """
    times, windows = _own_test(run) if path is None else _file(run, path)
    index = torch.arange(0, len(windows), min(stride, len(windows)))
    inside: list[Tensor] = []
    errors = gather_errors(
        _forecasts(run, windows, index, inside),
        mean=run.data.scaler.mean,
        scale=run.data.scaler.scale,
        seasonal_error=np.array(run.data.seasonal_error),
        masked=windows.masked,
    )
    if errors.known is not None and not errors.known.any():
        what = "holds no value after any of the origins, so there is nothing to score"
        raise UserError(str(path or run.run_id), what, "name a file with later rows: --input")
    seasonal = np.where(errors.seasonal_error > 0, errors.seasonal_error, np.nan)
    rmse_original = _over_channels(np.sqrt(errors.squared) * errors.scale)
    scaled = mase(errors)
    told = run.model.told
    values = np.full(len(index), windows.horizon * told.sum())
    known = values if errors.known is None else errors.known[:, told].sum(axis=1)
    within = torch.cat(inside).double().numpy() if inside else np.full(len(index), np.nan)
    return Backtest(
        origin=times[index.numpy() + windows.first - 1],
        mse=errors.by_window(errors.squared),
        mae=errors.by_window(errors.absolute),
        rmse_original=rmse_original,
        mase=_over_channels(errors.absolute / seasonal),
        coverage_80=np.divide(within, known, out=np.full(len(index), np.nan), where=known > 0),
        mean={
            "mse": mse(errors),
            "mae": mae(errors),
            "rmse_original": float(_over_channels(rmse_original[None])[0]),
            "mase": np.nan if scaled is None else scaled,
            "coverage_80": float(within.sum() / known.sum()) if known.any() else np.nan,
        },
    )


def write_backtest(path: Path, result: Backtest) -> None:
    """Write the scores as CSV, a row an origin; empty where there is no value.

    Raises:
        UserError: the file cannot be written.
    """
    lines = [",".join(["origin", *result.scores])]
    for time, *row in zip(result.origin, *result.scores.values(), strict=True):
        cells = ("" if np.isnan(value) else repr(float(value)) for value in row)
        lines.append(",".join([time_text(time), *cells]))
    write_atomically(path, "\n".join(lines) + "\n")


@torch.no_grad()
def _forecasts(
    run: SavedRun, windows: Windows, index: Tensor, inside: list[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield point forecast and target, scaled; add how many targets each interval holds."""
    for part in torch.split(index, BATCH):
        x, y = windows.gather(part)
        # one that adapts switches gradients on
        quantiles = quantiles_of(run.model.forecaster, x).detach()
        if run.model.offsets is not None:  # where y is missing or no end told, nothing is held
            residual = residuals(quantiles, y, run.model.offsets)
            inside.append(holds(residual, *INTERVAL_80).sum(dim=(1, 2)))
        yield middle(quantiles, y), y


def _over_channels(part: Scores) -> Scores:
    """Average ``(W, C)`` over the channels that have a value ``(W,)``; NaN where none has."""
    there = ~np.isnan(part)
    count = there.sum(axis=1)
    total = np.where(there, part, 0.0).sum(axis=1)
    mean: Scores = np.divide(total, count, out=np.full(len(part), np.nan), where=count > 0)
    return mean


def _own_test(run: SavedRun) -> tuple[NDArray[np.datetime64], Windows]:
    series = load(load_card(run.spec.dataset))
    if series.digest != run.data.digest:
        what = f"is not the data that {run.run_id} was fitted on"
        raise UserError(f"dataset {series.name}", what, "name a file: --input FILE.csv")
    series = replace(series, card=run.data.card)  # the one in the folder may split otherwise now
    task = Task(series, run.spec.lookback, run.spec.horizon)
    return series.timestamps, task.windows("test")


def _file(run: SavedRun, path: Path) -> tuple[NDArray[np.datetime64], Windows]:
    rows = run.read(path, whole=True)
    scaled = run.data.scaler.transform(rows.values).astype(np.float32)
    values = torch.from_numpy(np.ascontiguousarray(scaled.T))
    lookback, horizon = run.spec.lookback, run.spec.horizon
    windows = Windows.held if values.isnan().any() else Windows  # as in a task whose card masks
    return rows.timestamps, windows(values, range(lookback, len(scaled)), lookback, horizon)
