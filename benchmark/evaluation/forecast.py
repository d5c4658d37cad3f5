"""Score a forecaster on the test windows of a task, each once, and keep a few to be looked at.

A run makes its test windows here and nowhere else: after its forecaster has been fitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.evaluation.conformal import Calibration
from benchmark.evaluation.errors import Errors, gather_errors
from benchmark.evaluation.quantiles import QuantileScores, QuantileSums, middle, quantiles_of
from benchmark.evaluation.samples import Kept, Samples, common_windows, extreme_windows
from benchmark.forecasters.contract import Forecaster

BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """What came of forecasting every test window.

    Attributes:
        errors: see `Errors`.
        samples: windows that are the same for every forecaster.
        extremes: its best, median and worst window, by squared error.
        quantiles: scores of the calibrated quantiles; None where there is no calibration.
    """

    errors: Errors
    samples: Samples
    extremes: Samples
    quantiles: QuantileScores | None


def evaluate(
    forecaster: Forecaster,
    task: Task,
    device: torch.device | str,
    calibration: Calibration | None = None,
    batch_size: int = BATCH,
) -> Evaluation:
    """Score every test window once; the extremes, known only then, are forecast again to be shown.

    Args:
        forecaster: a fitted one.
        task: whose test windows are forecast.
        device: where.
        calibration: makes quantiles of the forecasts, which are scored as well.
        batch_size: windows forecast at once.

    Raises:
        FloatingPointError: a forecast is not finite.
        ForecastError: a forecast is of another shape than its target.
    """
    windows = task.windows("test", device)
    forecaster.eval()
    sums = (
        QuantileSums(torch.from_numpy(calibration.offsets).to(windows.device), windows.masked)
        if calibration
        else None
    )
    kept = Kept(common_windows(len(windows)))
    errors = gather_errors(
        _forecasts(forecaster, windows.in_order(batch_size), kept, sums),
        mean=task.scaler.mean,
        scale=task.scaler.scale,
        seasonal_error=task.seasonal_error(),
        masked=windows.masked,
    )
    return Evaluation(
        errors=errors,
        samples=kept.samples(windows.first, task, calibration),
        extremes=_extremes(forecaster, windows, errors, task, calibration),
        quantiles=sums.scores() if sums else None,
    )


@torch.no_grad()
def _forecasts(
    forecaster: Forecaster,
    batches: Iterable[tuple[Tensor, Tensor]],
    kept: Kept,
    sums: QuantileSums | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield point forecast and target; add the quantiles to `sums`, and what is shown to `kept`."""
    for x, y in batches:
        kept.see(x)
        quantiles = quantiles_of(forecaster, x)
        forecast = middle(quantiles, y)
        kept.add(quantiles, y)
        if sums is not None:
            sums.add(quantiles, y)
        yield forecast, y


@torch.no_grad()
def _extremes(
    forecaster: Forecaster,
    windows: Windows,
    errors: Errors,
    task: Task,
    calibration: Calibration | None,
) -> Samples:
    index = extreme_windows(errors)
    x, y = windows.gather(torch.from_numpy(index).to(windows.device))
    kept = Kept(np.arange(len(index)))
    kept.see(x)
    kept.add(quantiles_of(forecaster, x), y)
    return replace(kept.samples(0, task, calibration), first_row=index + windows.first)
