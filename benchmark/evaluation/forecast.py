"""Score a forecaster on the test windows of a task, each once, and keep a few to be looked at.

A run makes its test windows here and nowhere else: after its forecaster has been fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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

Forecast = Callable[[Tensor, Tensor], Tensor]
"""From the numbers of some test windows ``(B,)`` and their lookbacks ``(B, L, C)`` to quantiles
before calibration, ``(B, Q, H, C)`` or ``(B, 1, H, C)``; all on the scaled series."""


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
    forecaster.eval()

    @torch.no_grad()
    def own(_: Tensor, x: Tensor) -> Tensor:
        return quantiles_of(forecaster, x).detach()  # one that adapts switches gradients on

    return score_forecasts(own, task, device, calibration, batch_size)


def score_forecasts(
    forecast: Forecast,
    task: Task,
    device: torch.device | str = "cpu",
    calibration: Calibration | None = None,
    batch_size: int = BATCH,
) -> Evaluation:
    """Score every test window once, whatever its forecasts come from.

    Args:
        forecast: is asked for every window in time order, then for the extremes once more.
        task: whose test windows are forecast.
        device: where they lie.
        calibration: makes quantiles of the forecasts, which are scored as well.
        batch_size: windows forecast at once.

    Raises:
        FloatingPointError: a forecast is not finite.
        ForecastError: a forecast is of another shape than its target.
    """
    windows = task.windows("test", device)
    sums = (
        QuantileSums(torch.from_numpy(calibration.offsets).to(windows.device), windows.masked)
        if calibration
        else None
    )
    common = common_windows(len(windows))
    kept = Kept(common)
    errors = gather_errors(
        _forecasts(forecast, windows, batch_size, kept, sums),
        mean=task.scaler.mean,
        scale=task.scaler.scale,
        seasonal_error=task.seasonal_error(),
        masked=windows.masked,
    )
    return Evaluation(
        errors=errors,
        samples=kept.samples(windows.first + common, task, calibration),
        extremes=_extremes(forecast, windows, errors, task, calibration),
        quantiles=sums.scores() if sums else None,
    )


def _forecasts(
    forecast: Forecast, windows: Windows, batch_size: int, kept: Kept, sums: QuantileSums | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield point forecast and target; add the quantiles to `sums`, and what is shown to `kept`."""
    numbers = torch.arange(len(windows), device=windows.device)
    for index in torch.split(numbers, batch_size):
        x, y = windows.gather(index)
        kept.see(x)
        quantiles = forecast(index, x)
        point = middle(quantiles, y)
        kept.add(quantiles, y)
        if sums is not None:
            sums.add(quantiles, y)
        yield point, y


def _extremes(
    forecast: Forecast,
    windows: Windows,
    errors: Errors,
    task: Task,
    calibration: Calibration | None,
) -> Samples:
    numbers = extreme_windows(errors)
    index = torch.from_numpy(numbers).to(windows.device)
    x, y = windows.gather(index)
    kept = Kept(np.arange(len(numbers)))
    kept.see(x)
    kept.add(forecast(index, x), y)
    return kept.samples(windows.first + numbers, task, calibration)
