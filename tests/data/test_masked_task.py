"""Masked values in a task: what is filled for a forecaster to read, and what nothing counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmark.data.task import Task
from benchmark.data.windows import Windows, forward_filled
from benchmark.errors import UserError

Array = NDArray[np.float64]


@pytest.fixture
def gappy(values: Array) -> Array:
    """The toy data set with one value in five missing, in stretches, the very first as well."""
    rng = np.random.default_rng(4)
    missing = rng.random(values.shape) < 0.1
    missing |= np.roll(missing, 1, axis=0)
    missing[:2, 0] = True
    return np.where(missing, np.nan, values)


@given(st.lists(st.one_of(st.just(float("nan")), st.floats(-9, 9, width=32)), min_size=1))
def test_filling_holds_the_last_value_and_begins_at_0(cells: list[float]) -> None:
    expected, last = [], 0.0
    for cell in cells:
        last = last if np.isnan(cell) else cell
        expected.append(last)
    assert forward_filled(torch.tensor(cells)).tolist() == expected


def test_the_scaler_and_the_seasonal_error_are_means_over_what_is_there(
    make_task: Callable[..., Task], gappy: Array
) -> None:
    task = make_task(values=gappy, missing="mask")
    for channel in range(3):
        column = gappy[:400, channel]
        known = column[~np.isnan(column)]
        assert task.scaler.mean[channel] == pytest.approx(known.mean())
        assert task.scaler.scale[channel] == pytest.approx(known.std())
        scaled = (column - known.mean()) / known.std()
        pairs = [abs(scaled[t] - scaled[t - 24]) for t in range(24, 400)]
        pairs = [pair for pair in pairs if not np.isnan(pair)]
        assert task.seasonal_error()[channel] == pytest.approx(np.mean(pairs), rel=1e-5)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_lookbacks_are_filled_from_before_and_horizons_keep_their_gaps(
    make_task: Callable[..., Task], gappy: Array, split: str
) -> None:
    task = make_task(values=gappy, missing="mask")
    scaled = task.scaled
    filled = scaled.copy()
    for row in range(len(filled)):
        for channel in range(3):
            if np.isnan(filled[row, channel]):
                filled[row, channel] = filled[row - 1, channel] if row else 0.0
    windows = task.windows(split)
    assert windows.masked
    x, y = windows.gather(torch.arange(len(windows)))
    for number in range(len(windows)):
        row = windows.first + number
        np.testing.assert_array_equal(x[number], filled[row - 24 : row])
        np.testing.assert_array_equal(y[number], scaled[row : row + 12])
    assert torch.isnan(y).any()


def test_mask_without_a_missing_value_gives_the_very_same_windows(
    make_task: Callable[..., Task],
) -> None:
    plain, masked = make_task(), make_task(missing="mask")
    for split in ("train", "val", "test"):
        one, other = plain.windows(split), masked.windows(split)
        assert not other.masked
        for a, b in zip(one.in_order(50), other.in_order(50), strict=True):
            assert torch.equal(a[0], b[0])
            assert torch.equal(a[1], b[1])
    assert plain.seasonal_error().tobytes() == masked.seasonal_error().tobytes()


def test_targets_start_where_the_horizons_of_the_split_do() -> None:
    values = torch.arange(40.0).repeat(2, 1)
    windows = Windows(values, range(20, 40), 10, 5, targets=values + 100)
    x, y = windows.gather(torch.tensor([0, 15]))
    assert x[:, 0, 0].tolist() == [10.0, 25.0]
    assert y[:, 0, 1].tolist() == [120.0, 135.0]


def test_a_channel_without_a_value_in_a_split_is_named(
    make_task: Callable[..., Task], values: Array
) -> None:
    values = values.copy()
    values[400:550, 1] = np.nan
    with pytest.raises(UserError, match="toy: column 'heat': holds no value in the val split"):
        make_task(values=values, missing="mask")
