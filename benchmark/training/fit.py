"""Fit a forecaster on train windows, choosing by validation windows. No test window comes here.

Which way is the forecaster's own declaration, `Forecaster.fitted`: by gradient under Lightning, in
closed form, or not at all.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from benchmark.data.windows import Windows
from benchmark.errors import text_by_line
from benchmark.forecasters.contract import (
    DROP_MISSING,
    ClosedFormForecaster,
    Forecaster,
    ForecastError,
)
from benchmark.forecasters.ensemble import Ensemble
from benchmark.training.energy import EnergyMeter
from benchmark.training.report import FitOptions, FitReport
from benchmark.training.score import score
from benchmark.training.spec import TrainingSpec

PLAIN = FitOptions()
"""A fit that nobody watches, on one device, of which no state is kept."""


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
    options: FitOptions = PLAIN,
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
        ForecastError: a closed form is not fitted where targets are missing.
    """
    report = _fitted(forecaster, train, validation, spec, seed, options)
    if forecaster.fitted == "gradient" and not isinstance(forecaster, Ensemble):
        return report  # scored after each epoch
    scores = score(forecaster, validation)
    return replace(report, val_mse=scores["mse"], val_mae=scores["mae"])


def _fitted(
    forecaster: Forecaster,
    train: Windows,
    validation: Windows,
    spec: TrainingSpec,
    seed: int,
    options: FitOptions,
) -> FitReport:
    """Fit, and leave it to the caller to score what validation windows have not scored yet.

    Of an ensemble nobody asks for its members' scores, and a memory takes milliseconds a window.
    """
    if isinstance(forecaster, Ensemble):
        return _fit_members(forecaster, train, validation, spec, seed, options)
    if forecaster.fitted == "gradient":
        return _trained(forecaster, train, validation, spec, seed, options)
    return _solved(forecaster, train, lambda closed: closed.fit(train, validation))


def _fit_members(
    ensemble: Ensemble,
    train: Windows,
    validation: Windows,
    spec: TrainingSpec,
    seed: int,
    options: FitOptions,
) -> FitReport:
    """Fit each by itself, on the part of the lookbacks that it sees, with a seed of its own."""
    reports = []
    for number, member in enumerate(ensemble):
        seen = member.shape.lookback
        windows = train.with_lookback(seen), validation.latest(seen)
        own = options.part(str(number))
        reports.append(_fitted(member, *windows, spec, seed + number, own))
    return _of_members(reports)


def refit(
    fitted: Forecaster,
    fresh: Forecaster,
    windows: Windows,
    validation: Windows,
    spec: TrainingSpec,
    seed: int,
    chosen: FitReport,
    options: FitOptions = PLAIN,
) -> tuple[Forecaster, FitReport]:
    """Fit once more, on train and validation rows together, by what validation has chosen.

    What is trained by gradient begins anew and is trained for as many epochs as were best.

    Args:
        fitted: what `fit` fitted; a closed form is solved again in place.
        fresh: the same, as it was before that; for what is trained by gradient.
        windows: all before the test rows.
        validation: windows whose scores are shown; they are among `windows` and choose nothing.
        spec: how a gradient fit is done.
        seed: order of the batches.
        chosen: the report of `fit`.
        options: how it is shown.

    Returns:
        The one of the two that was fitted, and what that took.

    Raises:
        FloatingPointError: the validation score is not finite; names the epoch.
        UserError: a closed form does not say how it is fitted once more.
    """
    if isinstance(fitted, Ensemble):
        assert isinstance(fresh, Ensemble)
        return _refit_members(fitted, fresh, windows, validation, spec, seed, chosen, options)
    if fitted.fitted == "gradient":
        epoch = chosen.best_epoch
        return fresh, _trained(fresh, windows, validation, spec, seed, options, epoch)
    return fitted, _solved(fitted, windows, lambda closed: closed.refit(windows))


def _refit_members(
    fitted: Ensemble,
    fresh: Ensemble,
    windows: Windows,
    validation: Windows,
    spec: TrainingSpec,
    seed: int,
    chosen: FitReport,
    options: FitOptions,
) -> tuple[Forecaster, FitReport]:
    reports = []
    for number, (old, new) in enumerate(zip(fitted, fresh, strict=True)):
        seen = new.shape.lookback
        rows = windows.with_lookback(seen), validation.latest(seen)
        own, choice = options.part(str(number)), chosen.members[number]
        member, report = refit(old, new, *rows, spec, seed + number, choice, own)
        fresh.members[number] = member
        reports.append(report)
    return fresh, _of_members(reports)


def _of_members(reports: Sequence[FitReport]) -> FitReport:
    return FitReport(
        seconds=sum(report.seconds for report in reports),
        epochs=tuple(epoch for report in reports for epoch in report.epochs),
        energy_j=total_energy(reports),
        members=tuple(reports),
    )


def total_energy(reports: Sequence[FitReport]) -> float | None:
    """Joules of several fits; None where one of them was not counted."""
    joules = [report.energy_j for report in reports if report.energy_j is not None]
    return sum(joules) if len(joules) == len(reports) else None


def _trained(
    forecaster: Forecaster,
    train: Windows,
    validation: Windows,
    spec: TrainingSpec,
    seed: int,
    options: FitOptions,
    epoch: int | None = None,
) -> FitReport:
    """Fit by gradient and count the joules; with an `epoch` that is known, to its weights."""
    with EnergyMeter(train.device, options.parallel.devices) as meter:
        by_gradient = _gradient_fit(options)
        report = by_gradient(forecaster, train, validation, spec, seed, options, epoch)
    return replace(report, energy_j=None if report.gone_on else meter.joules)


def _gradient_fit(options: FitOptions) -> Callable[..., FitReport]:
    """Import the fit by gradient: Lightning takes seconds, and only who trains by it waits for it.

    To import it draws from Python's generator, which the process's first fit must not notice.
    """
    drawn = random.getstate()
    try:
        if options.parallel.devices > 1:
            from benchmark.training.devices import fit_on_devices

            return fit_on_devices
        from benchmark.training.gradient import fit_by_gradient

        return fit_by_gradient
    finally:
        random.setstate(drawn)


def _solved(
    forecaster: Forecaster, windows: Windows, solve: Callable[[ClosedFormForecaster], None]
) -> FitReport:
    """Solve for what has a closed form, and count seconds and joules; else there is nothing to."""
    with EnergyMeter(windows.device) as meter:
        started = time.perf_counter()
        if isinstance(forecaster, ClosedFormForecaster):
            with _gaps_told(forecaster, windows.masked):
                solve(forecaster)
        seconds = time.perf_counter() - started
    return FitReport(seconds=seconds, energy_j=meter.joules)


@contextmanager
def _gaps_told(forecaster: Forecaster, masked: bool) -> Iterator[None]:
    """Fit a closed form in the block; say what missing targets have to do with it, if it fails.

    Raises:
        ForecastError: they are in what it found, or in the words of what was raised.
    """
    try:
        yield
    except Exception as error:
        if not masked or "nan" not in str(error).lower():
            raise
        raise ForecastError(f"{text_by_line(error)}; {DROP_MISSING}") from error
    tensors = [each for each in forecaster.state_dict().values() if isinstance(each, Tensor)]
    if masked and any(bool(tensor.isnan().any()) for tensor in tensors):
        raise ForecastError(
            f"weights that are fitted must be numbers, but some are NaN; {DROP_MISSING}"
        )
