"""Fit a forecaster on train windows, choosing by validation windows. No test window comes here.

Which way is the forecaster's own declaration, `Forecaster.fitted`: by gradient under Lightning, in
closed form, or not at all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmark.data.windows import Windows
from benchmark.forecasters.contract import ClosedFormForecaster, Forecaster
from benchmark.training.energy import EnergyMeter
from benchmark.training.report import FitOptions, FitReport
from benchmark.training.score import score
from benchmark.training.spec import TrainingSpec


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and torch; call it before a forecaster is built."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def fit(
    forecaster: Forecaster,
    train: Windows,
    validation: Windows,
    spec: TrainingSpec,
    seed: int,
    options: FitOptions | None = None,
) -> FitReport:
    """Fit `forecaster` in place; its weights are those of the best validation epoch.

    Args:
        forecaster: any forecaster, on the windows' device.
        train: windows the weights are fitted on.
        validation: windows that choose the epoch (or a closed form's penalty).
        spec: how a gradient fit is done.
        seed: order of the batches.
        options: how it is shown.

    Raises:
        FloatingPointError: the validation score is not finite; names the epoch.
    """
    if forecaster.fitted == "gradient":
        options = options or FitOptions()
        with EnergyMeter(train.device, options.parallel.devices) as meter:
            report = _by_gradient(options)(forecaster, train, validation, spec, seed, options)
        return replace(report, energy_j=meter.joules)
    with EnergyMeter(train.device) as meter:
        started = time.perf_counter()
        if isinstance(forecaster, ClosedFormForecaster):
            forecaster.fit(train, validation)
        seconds = time.perf_counter() - started
    scores = score(forecaster, validation)
    return FitReport(
        val_mse=scores["mse"],
        val_mae=scores["mae"],
        seconds=seconds,
        energy_j=meter.joules,
    )


def _by_gradient(options: FitOptions) -> Callable[..., FitReport]:
    """Lightning takes seconds to import: only the process that trains by it waits for it."""
    if options.parallel.devices > 1:
        from benchmark.training.devices import fit_on_devices

        return fit_on_devices
    from benchmark.training.gradient import fit_by_gradient

    return fit_by_gradient
