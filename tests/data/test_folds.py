"""Blocked cross-validation against a plain loop over windows and rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.data.folds import folds
from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.errors import UserError

ROWS = 550  # of train and validation


def rows_of(windows: Windows) -> list[tuple[int, int]]:
    """First row of each window's lookback and of its horizon; the values are row numbers."""
    x, y = windows.gather(torch.arange(len(windows)))
    return [(round(float(a)), round(float(b))) for a, b in zip(x[:, 0, 0], y[:, 0, 0], strict=True)]


@pytest.fixture(scope="module")
def numbered(make_task: Callable[..., Task]) -> Callable[[int, int], Task]:
    """A task whose scaled values are the numbers of their rows."""

    def make(lookback: int, horizon: int) -> Task:
        task = make_task(lookback, horizon)
        numbers = torch.arange(float(len(task.scaled)))[:, None].expand(-1, 3)
        task.scaled = numbers.contiguous().numpy()
        return task

    return make


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    lookback=st.integers(1, 40),
    horizon=st.integers(1, 20),
    count=st.integers(2, 6),
    more=st.integers(0, 30),
)
def test_each_window_is_held_out_at_most_once_and_never_trained_on_with_a_row_of_the_block(
    numbered: Callable[[int, int], Task], lookback: int, horizon: int, count: int, more: int
) -> None:
    longest = lookback + more
    every = [(s - lookback, s) for s in range(lookback, ROWS - horizon + 1)]
    found = list(folds(numbered(lookback, horizon), count, longest))
    assert len(found) == count
    for number, (train, held_out) in enumerate(found):
        block = range(number * ROWS // count, (number + 1) * ROWS // count)
        inside = [
            (first, start)
            for first, start in every
            if start >= longest and all(row in block for row in range(start, start + horizon))
        ]
        outside = [
            (first, start)
            for first, start in every
            if not any(row in block for row in range(first, start + horizon))
        ]
        assert rows_of(held_out) == inside
        assert rows_of(train) == outside


def test_what_is_held_out_is_the_same_for_every_lookback(
    numbered: Callable[[int, int], Task],
) -> None:
    def targets(lookback: int) -> list[Tensor]:
        parts = folds(numbered(lookback, 12), 4, 48)
        return [held_out.gather(torch.arange(len(held_out)))[1] for _, held_out in parts]

    for short, long in zip(targets(6), targets(48), strict=True):
        assert torch.equal(short, long)


def test_no_test_row_is_in_any_fold(numbered: Callable[[int, int], Task]) -> None:
    for train, held_out in folds(numbered(24, 12), 3, 24):
        for windows in (train, held_out):
            assert max(start for _, start in rows_of(windows)) + 12 <= ROWS


@pytest.mark.parametrize(
    ("lookback", "horizon", "count", "told"),
    [(24, 12, 50, "block 1 holds no whole window"), (300, 12, 2, "block 1 leaves none")],
)
def test_blocks_that_hold_or_leave_no_window_are_refused(
    numbered: Callable[[int, int], Task], lookback: int, horizon: int, count: int, told: str
) -> None:
    with pytest.raises(UserError, match=rf": {count} blocks of 550 rows .*{told}"):
        list(folds(numbered(lookback, horizon), count, lookback))
