"""Blocked cross-validation: each of several stretches of the rows before test is held out once.

One validation split is one season of one year. On ETTh1 it is summer and the test rows are winter,
so what it prefers is not always what a winter would. Blocks in time order, each held out in turn,
have all seasons in them; a window is never cut, and windows that share a row with what is held out
are not trained on.

Reference: C. Bergmeir and J. Benitez, On the use of cross-validation for time series predictor
evaluation (2012), Section 2.3: blocked cross-validation, less the windows at a block's edges.

Shapes: L lookback, H horizon, W windows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.errors import UserError


def folds(
    task: Task, count: int, longest: int, device: str | torch.device = "cpu"
) -> Iterator[tuple[Windows, Windows]]:
    """Yield the windows to train on and those held out, for each block of the rows before test.

    Held out are the windows whose horizon lies in the block; their lookback may reach back before
    it, as that of validation windows does. Trained on are those none of whose rows lies in it.

    Args:
        task: the data, split and scaled.
        count: blocks, of equal length but for a row.
        longest: the longest lookback of all that are to be compared. Of the first block only
            windows are held out that have as many rows before them, so they are the same for all.
        device: where the windows lie.

    Raises:
        UserError: a block is too short to hold out a window, or too long to leave one.
    """
    windows = task.windows_before_test(device)
    rows = task.borders["val"].stop
    start = windows.starts
    for number in range(count):
        first, stop = number * rows // count, (number + 1) * rows // count
        held_out = (start >= max(first, longest)) & (start + task.horizon <= stop)
        apart = windows.avoiding(range(first, stop))
        if not bool(held_out.any()) or not len(apart):
            what = f"{count} blocks of {rows} rows at lookback {longest} and horizon {task.horizon}"
            fault = "holds no whole window" if len(apart) else "leaves none"
            cure = "choose another number, or a shorter lookback or horizon"
            raise UserError(task.series.name, f"{what}: block {number + 1} {fault}", cure)
        yield apart, windows.only(held_out.nonzero()[:, 0])
