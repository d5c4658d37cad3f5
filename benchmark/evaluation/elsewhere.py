"""Forecasts that were made elsewhere, read from a file: every test window's, as ours are.

An ``.npy`` holds them as an array ``(W, H, C)``: the test windows in time order, one from each row
on that has a whole horizon after it, and the channels in the data set's order. A table says itself
which they are: `benchmark.evaluation.forecast_table`.

Shapes: B batch, W test windows, H horizon, C channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.task import LARGEST, Task
from benchmark.errors import UserError
from benchmark.evaluation.forecast import BATCH, Evaluation, score_forecasts
from benchmark.evaluation.forecast_table import TRUTH, read_table

BATCHES = tuple(2**power for power in range(3, 12))
"""Sizes of a last, incomplete batch that a loader may have dropped."""

CLOSE = 1e-3
"""Standard deviations by which a target may miss ours: what half precision rounds to."""


def read_forecasts(
    path: Path, task: Task, column: str | None = None, *, original_units: bool = False
) -> NDArray[Any]:
    """Read a file of forecasts; an ``.npy`` only as far as it is looked at.

    True values in a table, beside the forecasts, are held to ours as `check_targets` does.

    Args:
        path: the file.
        task: whose test windows they are.
        column: of a table, the one that holds them; None takes the only one there is.
        original_units: whether they are in each channel's own unit, instead of scaled.

    Returns:
        ``(W, H, C)``, as they are in the file.

    Raises:
        UserError: the file cannot be read, does not hold every test window's forecast once, or
            holds another true value.
    """
    ending = path.suffix.lower()
    if ending in (".csv", ".parquet"):
        forecasts, targets = read_table(path, task, column)
        if targets is not None:
            _check(targets, f"{path}: column {TRUTH!r}", task, original_units)
        return forecasts
    if ending != ".npy":
        cure = "write an array with np.save, or a table"
        raise UserError(str(path), "does not end in .npy, .csv or .parquet", cure)
    if column is not None:
        raise UserError(f"--column {column}", f"{path} has no columns", "leave it out")
    return _array(path, task)


def evaluate_array(
    forecasts: NDArray[Any], where: str, task: Task, original_units: bool
) -> Evaluation:
    """Score an array of forecasts as `benchmark.evaluation.forecast.evaluate` does a forecaster's.

    Args:
        forecasts: ``(W, H, C)``.
        where: the file they are from, for errors.
        task: whose test windows they are of.
        original_units: whether they are in each channel's own unit, instead of scaled.

    Raises:
        UserError: a forecast is not finite, or as good as that.
    """

    def forecast(index: Tensor, _: Tensor) -> Tensor:
        numbers = index.numpy()
        values = np.asarray(forecasts[numbers], dtype=np.float64)
        scaled = task.scaler.transform(values) if original_units else values
        scored = np.abs(scaled) <= LARGEST  # NaN is not
        if not scored.all():
            window, step, channel = map(int, np.argwhere(~scored)[0])
            what = f"the forecast is {values[window, step, channel]}"
            place = _place(where, numbers[window], step, task.series.channels[channel])
            raise UserError(place, what, "every test window is scored: forecast it anew")
        return torch.from_numpy(scaled)[:, None]

    return score_forecasts(forecast, task)


def check_targets(path: Path, task: Task, original_units: bool) -> None:
    """Hold the true values that were written beside forecasts to ours.

    Where they differ, the windows, the borders or the scaling are others, and so are the scores.

    Args:
        path: an ``.npy`` as `read_forecasts` takes it.
        task: whose test windows they should be of.
        original_units: whether they are in each channel's own unit.

    Raises:
        UserError: the file cannot be read, or a value is another.
    """
    _check(_array(path, task), str(path), task, original_units)


def _check(targets: NDArray[Any], where: str, task: Task, original_units: bool) -> None:
    windows = task.windows("test")
    for index in torch.split(torch.arange(len(windows)), BATCH):
        ours = windows.gather(index)[1].double().numpy()  # (B, H, C)
        raw = np.asarray(targets[index.numpy()], dtype=np.float64)
        scaled = task.scaler.transform(raw)
        theirs, otherwise = (scaled, raw) if original_units else (raw, scaled)
        wrong = ~np.isnan(ours) & ~(np.abs(theirs - ours) <= CLOSE)
        if wrong.any():
            window, step, channel = map(int, np.argwhere(wrong)[0])
            found, wanted = theirs[window, step, channel], ours[window, step, channel]
            place = _place(where, int(index[window]), step, task.series.channels[channel])
            what = f"the target is {found:.6g}, in test, scaled, it is {wanted:.6g}"
            cure = "its windows begin at other rows, or its values are not scaled by the train rows"
            if abs(otherwise[window, step, channel] - wanted) <= CLOSE:
                cure = "it is in original units: add --original-units"
                if original_units:
                    cure = "it is scaled: leave out --original-units"
            raise UserError(place, what, cure)


def _place(where: str, window: int, step: int, channel: str) -> str:
    return f"{where}: window {window + 1}, step {step + 1}, channel {channel!r}"


def _array(path: Path, task: Task) -> NDArray[Any]:
    """Open an ``.npy`` of test windows ``(W, H, C)``; its values stay on disk until asked for."""
    try:
        array: NDArray[Any] = open_memmap(path, mode="r")  # np.load would take an .npz as well
    except OSError as error:
        raise UserError(str(path), f"cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, SyntaxError) as error:
        what = f"is no array of numbers ({' '.join(str(error).split()):.200})"
        raise UserError(str(path), what, "write it with np.save") from None
    wanted = (len(task.windows("test")), task.horizon, task.channels)
    what = f"is of shape {array.shape}, not {wanted}: windows, horizon, channels"
    if array.dtype.kind not in "fiu":
        raise UserError(str(path), f"is an array of {array.dtype}", "write one of floats")
    if array.ndim == 4 and array.shape[2:] == wanted[1:]:
        cure = "join its batches: a.reshape(-1, *a.shape[2:])"
        raise UserError(str(path), what, cure)
    if array.ndim != 3 or array.shape[1:] != wanted[1:]:
        cure = "name the horizon and the data set that were forecast, or transpose it"
        raise UserError(str(path), what, cure)
    if len(array) != wanted[0]:
        raise _count_fault(path, len(array), task)
    return array


def _count_fault(path: Path, found: int, task: Task) -> UserError:
    windows = task.windows("test")
    what = f"holds {found:,} windows, where test has {len(windows):,}"
    dropped = [str(size) for size in BATCHES if found == len(windows) - len(windows) % size]
    if dropped:
        sizes = ", ".join(dropped)
        what += f": as many as are left where an incomplete last batch (of {sizes}) is dropped"
        return UserError(str(path), what, "make them anew with drop_last=False")
    times = task.series.timestamps[[windows.first, windows.first + len(windows) - 1]]
    cure = f"a horizon begins at each row from {times[0]} to {times[1]}"
    return UserError(str(path), what, cure)
