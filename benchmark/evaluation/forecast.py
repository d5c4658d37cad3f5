"""Forecast the test windows of a task, once, and keep what a reader may want to see.

This is the only place where test windows are made. They come into being after a forecaster has
been fitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.evaluation.conformal import Calibration
from benchmark.evaluation.errors import Errors, gather_errors
from benchmark.evaluation.quantiles import QuantileScores, QuantileSums, middle, quantiles_of
from benchmark.forecasters.contract import Forecaster

BATCH = 256
NUM_SAMPLES = 5


@dataclass(frozen=True)
class Samples:
    """A few test windows with their forecasts, evenly spread and the same for every forecaster.

    Attributes:
        first_row: row of the series at which each horizon begins ``(N,)``.
        target: true values, original units ``(N, H, C)``.
        forecast: forecast values, original units ``(N, H, C)``.
    """

    first_row: NDArray[np.int64]
    target: NDArray[np.float32]
    forecast: NDArray[np.float32]


@dataclass(frozen=True)
class Evaluation:
    """What came of forecasting every test window.

    Attributes:
        errors: see `Errors`.
        samples: see `Samples`.
        quantiles: scores of the calibrated quantiles; None where there is no calibration.
        num_windows: W.
    """

    errors: Errors
    samples: Samples
    quantiles: QuantileScores | None
    num_windows: int


def evaluate(
    forecaster: Forecaster,
    task: Task,
    device: torch.device | str,
    calibration: Calibration | None = None,
    batch_size: int = BATCH,
) -> Evaluation:
    """Forecast every test window once.

    Args:
        forecaster: a fitted one.
        task: whose test windows are forecast.
        device: where.
        calibration: makes quantiles of the forecasts, which are scored as well.
        batch_size: windows forecast at once.

    Raises:
        FloatingPointError: a forecast is not finite.
        ValueError: a forecast has the wrong shape.
    """
    windows = task.windows("test", device)
    forecaster.eval()
    index = torch.linspace(0, len(windows) - 1, min(NUM_SAMPLES, len(windows))).long()
    kept: list[tuple[Tensor, Tensor]] = []
    sums = (
        QuantileSums(torch.from_numpy(calibration.offsets).to(windows.device))
        if calibration
        else None
    )
    errors = gather_errors(
        _keeping(index, kept, _forecasts(forecaster, windows, batch_size, sums)),
        mean=task.scaler.mean,
        scale=task.scaler.scale,
        seasonal_error=task.seasonal_error(),
    )
    return Evaluation(
        errors=errors,
        samples=_samples(index + windows.first, kept, task),
        quantiles=sums.scores() if sums else None,
        num_windows=len(windows),
    )


@torch.no_grad()
def _forecasts(
    forecaster: Forecaster,
    windows: Windows,
    batch_size: int,
    sums: QuantileSums | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield point forecast and target; add the quantiles to `sums`."""
    for x, y in windows.in_order(batch_size):
        quantiles = quantiles_of(forecaster, x)
        forecast = middle(quantiles, y)
        if sums is not None:
            sums.add(quantiles, y)
        yield forecast, y


def _keeping(
    index: Tensor, kept: list[tuple[Tensor, Tensor]], batches: Iterator[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pass batches on, keeping the windows numbered `index`: the test set is read once only."""
    start = 0
    for forecast, target in batches:
        inside = index[(index >= start) & (index < start + len(target))] - start
        if len(inside):
            inside = inside.to(target.device)
            kept.append((forecast[inside].cpu(), target[inside].cpu()))
        start += len(target)
        yield forecast, target


def _samples(first_row: Tensor, kept: list[tuple[Tensor, Tensor]], task: Task) -> Samples:
    def original(batches: list[Tensor]) -> NDArray[np.float32]:
        values = torch.cat(batches).double().numpy() * task.scaler.scale + task.scaler.mean
        return values.astype(np.float32)

    return Samples(
        first_row=first_row.numpy(),
        target=original([target for _, target in kept]),
        forecast=original([forecast for forecast, _ in kept]),
    )
