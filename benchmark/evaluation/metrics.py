"""The metrics: each one function of `Errors`, in one table.

Headline MSE and MAE are on the scaled series, with equal weight for every window, step and
channel, as the field reports them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmark.evaluation.errors import Errors


def mse(e: Errors) -> float:
    """Mean squared error, scaled: mean (y - f)^2."""
    return e.mean(e.squared)


def mae(e: Errors) -> float:
    """Mean absolute error, scaled: mean |y - f|."""
    return e.mean(e.absolute)


def rmse(e: Errors) -> float:
    """Root mean squared error, scaled: sqrt(mean (y - f)^2)."""
    return float(np.sqrt(e.mean(e.squared)))


def mase(e: Errors) -> float | None:
    """Mean absolute scaled error: mean over channels of MAE / seasonal error of the train rows.

    1 equals a seasonal naive forecast one season ahead, in sample (Hyndman and Koehler 2006).
    A channel that repeats itself exactly on the train rows has no such scale and is left out, as is
    one without a target; where that is all of them there is no value (None).
    """
    absolute = e.by_channel(e.absolute)
    usable = (e.seasonal_error > 0) & ~np.isnan(absolute)
    if not usable.any():
        return None
    return float((absolute[usable] / e.seasonal_error[usable]).mean())


def smape(e: Errors) -> float:
    """Symmetric mean absolute percentage error, original units: mean 200 |y - f| / (|y| + |f|).

    A zero comes back from scaling as some 1e-8 of a deviation, in float32, and where the forecast
    is as near to zero that residue counts up to 200: no measure of a series that holds many zeros.
    """
    return e.mean(e.percentage)


def r2(e: Errors) -> float | None:
    """Coefficient of determination: mean over channels of 1 - MSE / variance of the target.

    A channel whose test values never change, but by the rounding of float32, has no variance to
    explain and is left out; where that is all of them there is no value (None).
    """
    usable = e.variance > np.finfo(np.float32).eps ** 2
    if not usable.any():
        return None
    return float((1 - e.by_channel(e.squared)[usable] / e.variance[usable]).mean())


def mae_original(e: Errors) -> float:
    """Mean absolute error in original units, averaged over channels (which may differ in unit).

    A channel without a target is left out.
    """
    return float(np.nanmean(e.by_channel(e.absolute) * e.scale))


METRICS: dict[str, Callable[[Errors], float | None]] = {
    metric.__name__: metric for metric in (mse, mae, rmse, mase, smape, r2, mae_original)
}


METRICS_VERSION = 1
"""Raised whenever a metric's value would change: part of the protocol fingerprint."""


def definitions() -> str:
    """Name the metrics and their version, for the protocol fingerprint."""
    return f"version {METRICS_VERSION}: {', '.join(METRICS)}"
