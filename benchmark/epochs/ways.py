"""Ways to choose an epoch of a training that went on to its last, by what was held out.

Shapes: E epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """What is known of a training without its test errors.

    Attributes:
        val_mse: mean squared error on validation after each epoch, ``(E,)``.
        val_mae: mean absolute error, likewise.
        blocks: mean squared error of trainings beside this one, each on the rows before test less
            a block and scored on that block; mean over blocks, ``(E,)``.
        monitor: of the two on validation, the one that a run would choose by.
        patience: epochs without a better one after which a run would stop.
    """

    val_mse: Array
    val_mae: Array
    blocks: Array
    monitor: Array
    patience: int


Choose = Callable[[Curves], tuple[int, ...]]
"""Epochs, from 0: the mean of their weights is what is chosen, mostly that of one."""


@dataclass(frozen=True)
class Way:
    """A way to choose.

    Attributes:
        name: short, heads a column.
        meaning: what it takes.
        choose: takes it.
    """

    name: str
    meaning: str
    choose: Choose


def as_a_run(curves: Curves) -> tuple[int, ...]:
    """Take the best by the monitor, among the epochs before patience ends."""
    best = 0
    for epoch, error in enumerate(curves.monitor):
        if error < curves.monitor[best]:
            best = epoch
        if epoch - best >= curves.patience:
            break
    return (best,)


def smoothed(curves: Curves) -> tuple[int, ...]:
    """Take the least validation MSE once each is the mean of itself and those beside it."""
    padded = np.pad(curves.val_mse, 1, constant_values=np.nan)
    near = np.lib.stride_tricks.sliding_window_view(padded, 3)
    return (int(np.argmin(np.nanmean(near, axis=1))),)


def three_best(curves: Curves) -> tuple[int, ...]:
    """Take the three epochs with the least validation MSE."""
    return tuple(int(epoch) for epoch in np.argsort(curves.val_mse, kind="stable")[:3])


def latter_half(curves: Curves) -> tuple[int, ...]:
    """Take the latter half of all epochs."""
    epochs = len(curves.val_mse)
    return tuple(range(epochs // 2, epochs))


WAYS = (
    Way("as a run", "the best on validation before patience ends, as every run has it", as_a_run),
    Way(
        "least MSE",
        "the least validation MSE of all epochs: patience never ends",
        lambda curves: (int(np.argmin(curves.val_mse)),),
    ),
    Way(
        "least MAE",
        "the least validation MAE of all epochs",
        lambda curves: (int(np.argmin(curves.val_mae)),),
    ),
    Way("smoothed", "the least validation MSE, each the mean of three epochs in a row", smoothed),
    Way(
        "blocks",
        "the least MSE on blocks of the rows before test, each held out in turn",
        lambda curves: (int(np.argmin(curves.blocks)),),
    ),
    Way(
        "last",
        "the last epoch: nothing is chosen",
        lambda curves: (len(curves.val_mse) - 1,),
    ),
    Way(
        "three best",
        "the mean of the weights of the three with the least validation MSE",
        three_best,
    ),
    Way("latter half", "the mean of the weights of the latter half of all epochs", latter_half),
)
"""In the order of the table; all are compared with the first."""
