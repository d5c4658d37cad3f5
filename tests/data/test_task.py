"""Split and scaling against scikit-learn and plain loops; nothing of the future leaks back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from benchmark.data.card import DatasetCard
from benchmark.data.load import Series
from benchmark.data.table import Table
from benchmark.data.task import Scaler, Task
from benchmark.errors import UserError

Array = NDArray[np.float64]
SeriesMaker = Callable[..., Series]

SPLITS = {"train": 60, "val": 20, "test": 25}
ROWS = 120  # the last 15 belong to no split


@pytest.fixture
def make_series(make_card: Callable[..., DatasetCard]) -> SeriesMaker:
    """Wrap values ``(T, C)`` as a checked series."""

    def make(values: Array, **changes: Any) -> Series:
        channels = tuple(f"c{number}" for number in range(values.shape[1]))
        fields = {"channels": list(channels), "splits": SPLITS, "season": 7} | changes
        times = np.datetime64("2020-01-01", "s") + np.arange(len(values)) * np.timedelta64(1, "h")
        digest = Table(times, values, channels).digest
        return Series(make_card(**fields), "toy", values, times, channels, digest)

    return make


@pytest.fixture
def values() -> Array:
    """Three channels of very different level and spread, with a drift."""
    noise = np.random.default_rng(3).normal(size=(ROWS, 3))
    drift = np.linspace(0, 2, ROWS)[:, None]
    return (noise + drift) * [1.0, 250.0, 1e-3] + [0.0, -1e4, 5.0]


# --- scaling -------------------------------------------------------------------------------------


def test_the_scaler_is_scikit_learns_on_train_rows(make_series: SeriesMaker, values: Array) -> None:
    task = Task(make_series(values), lookback=10, horizon=5)
    theirs = StandardScaler().fit(values[:60])
    np.testing.assert_array_equal(task.scaler.mean, theirs.mean_)
    np.testing.assert_array_equal(task.scaler.scale, theirs.scale_)
    np.testing.assert_allclose(task.scaled, theirs.transform(values[:105]), rtol=1e-5, atol=1e-6)


def test_the_scaler_is_a_loop_over_train_rows(make_series: SeriesMaker, values: Array) -> None:
    scaler = Task(make_series(values), lookback=10, horizon=5).scaler
    for channel in range(3):
        column = [float(values[row, channel]) for row in range(60)]
        mean = math.fsum(column) / 60
        variance = math.fsum((value - mean) ** 2 for value in column) / 60  # population, not 59
        assert scaler.mean[channel] == pytest.approx(mean, rel=1e-12, abs=1e-12)
        assert scaler.scale[channel] == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_scaled_train_rows_have_zero_mean_and_unit_variance(
    make_series: SeriesMaker, values: Array
) -> None:
    train = Task(make_series(values), lookback=10, horizon=5).scaled[:60].astype(np.float64)
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=0), 1, rtol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.1, -1e6, 1e-300])
def test_a_channel_that_never_changes_is_centred_and_not_divided(
    make_series: SeriesMaker, values: Array, level: float
) -> None:
    values[:, 1] = level  # 0.1 sixty times has a mean that is not quite 0.1
    task = Task(make_series(values), lookback=10, horizon=5)
    assert task.scaler.scale[1] == 1.0
    np.testing.assert_allclose(task.scaled[:, 1], 0, atol=1e-6)


def test_a_channel_that_changes_by_rounding_alone_is_not_divided_either(
    make_series: SeriesMaker, values: Array
) -> None:
    values[:, 0] = np.where(np.arange(ROWS) % 2, 0.1 + 0.2, 0.3)
    values[:, 1] = 1e6 + values[:, 1] * 1e-6  # small beside its level, and yet a measurement
    task = Task(make_series(values), lookback=10, horizon=5)
    theirs = StandardScaler().fit(values[:60])
    assert task.scaler.scale[0] == 1.0
    np.testing.assert_allclose(task.scaler.scale, theirs.scale_, rtol=1e-9)
    assert task.seasonal_error()[0] == 0.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("row", [10, 70, 100])  # of train, validation, test
@pytest.mark.parametrize("value", [1e308, -1e200, 1e155])
def test_a_value_that_overflows_is_told_by_its_channel_and_time(
    make_series: SeriesMaker, values: Array, row: int, value: float
) -> None:
    values[row, 1] = value
    series = make_series(values)
    time = str(series.timestamps[row]).replace("T", " ")
    with pytest.raises(UserError) as told:
        Task(series, 8, 4)
    assert str(told.value) == (
        f"toy: channel 'c1': {value} at {time} is too large to be scaled with the others; mend "
        "that value, or leave the channel out"
    )


def test_scaling_can_be_undone(values: Array) -> None:
    scaler = Scaler.fit(values)
    np.testing.assert_allclose(scaler.transform(values) * scaler.scale + scaler.mean, values)


# --- no leak -------------------------------------------------------------------------------------


def batches(task: Task, split: Any) -> tuple[torch.Tensor, torch.Tensor]:
    windows = task.windows(split)
    return windows.gather(torch.arange(len(windows)))


def test_later_rows_change_neither_the_scaler_nor_a_train_window(
    make_series: SeriesMaker, values: Array
) -> None:
    disturbed = values.copy()
    disturbed[60:] = disturbed[60:] * 1e3 + 7
    before, after = (Task(make_series(v), lookback=10, horizon=5) for v in (values, disturbed))
    np.testing.assert_array_equal(before.scaler.mean, after.scaler.mean)
    np.testing.assert_array_equal(before.scaler.scale, after.scaler.scale)
    for a, b in zip(batches(before, "train"), batches(after, "train"), strict=True):
        assert torch.equal(a, b)
    np.testing.assert_array_equal(before.seasonal_error(), after.seasonal_error())
    assert not torch.equal(batches(before, "val")[1], batches(after, "val")[1])


def test_test_rows_change_no_train_and_no_validation_window(
    make_series: SeriesMaker, values: Array
) -> None:
    disturbed = values.copy()
    disturbed[80:] += 1e4
    before, after = (Task(make_series(v), lookback=10, horizon=5) for v in (values, disturbed))
    for split in ("train", "val"):
        for a, b in zip(batches(before, split), batches(after, split), strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(batches(before, "test")[1], batches(after, "test")[1])


def test_rows_beyond_the_splits_change_nothing(make_series: SeriesMaker, values: Array) -> None:
    cut = Task(make_series(values[:105]), lookback=10, horizon=5)
    whole = Task(make_series(values), lookback=10, horizon=5)
    np.testing.assert_array_equal(cut.scaled, whole.scaled)
    for split in ("train", "val", "test"):
        for a, b in zip(batches(cut, split), batches(whole, split), strict=True):
            assert torch.equal(a, b)


def test_windows_are_of_the_scaled_series_as_it_is_now(
    make_series: SeriesMaker, values: Array
) -> None:
    task = Task(make_series(values), lookback=10, horizon=5)
    before = batches(task, "train")
    task.scaled = 2 * task.scaled
    for then, now in zip(before, batches(task, "train"), strict=True):
        assert torch.equal(now, 2 * then)


def test_each_split_holds_the_scaled_rows_of_its_windows(
    make_series: SeriesMaker, values: Array
) -> None:
    task = Task(make_series(values), lookback=10, horizon=5)
    assert task.channels == 3
    for split, first, last in (("train", 10, 60), ("val", 60, 80), ("test", 80, 105)):
        x, y = batches(task, split)
        assert len(x) == last - first - 5 + 1
        for number in (0, 3, len(x) - 1):
            start = first + number
            np.testing.assert_array_equal(x[number].numpy(), task.scaled[start - 10 : start])
            np.testing.assert_array_equal(y[number].numpy(), task.scaled[start : start + 5])


def test_the_callers_values_are_not_written_to(make_series: SeriesMaker, values: Array) -> None:
    before = values.copy()
    values.setflags(write=False)  # as the loader's memory map
    Task(make_series(values), lookback=10, horizon=5).windows("test")
    np.testing.assert_array_equal(values, before)


def test_fractions_split_by_rows(make_series: SeriesMaker, values: Array) -> None:
    series = make_series(values, splits={"train": 0.7, "val": 0.1, "test": 0.2})
    task = Task(series, lookback=10, horizon=5)
    counts = {split: len(task.windows(split)) for split in ("train", "val", "test")}
    assert counts == {"train": 84 - 10 - 5 + 1, "val": 12 - 5 + 1, "test": 24 - 5 + 1}


# --- seasonal error ------------------------------------------------------------------------------


def test_seasonal_error_is_a_loop_over_scaled_train_rows(
    make_series: SeriesMaker, values: Array
) -> None:
    task = Task(make_series(values), lookback=10, horizon=5)
    assert task.season == 7
    for channel in range(3):
        differences = [
            abs(float(task.scaled[row, channel]) - float(task.scaled[row - 7, channel]))
            for row in range(7, 60)
        ]
        expected = math.fsum(differences) / len(differences)
        assert task.seasonal_error()[channel] == pytest.approx(expected, rel=1e-12)


# --- the fingerprint -----------------------------------------------------------------------------


def fingerprint(series: Series, lookback: int = 10, horizon: int = 5, metrics: str = "v1") -> str:
    return Task(series, lookback, horizon).fingerprint(metrics)


def test_the_fingerprint_is_the_same_for_every_lookback(
    make_series: SeriesMaker, values: Array
) -> None:
    series = make_series(values)
    assert fingerprint(series, lookback=10) == fingerprint(series, lookback=40)
    assert fingerprint(series) == fingerprint(make_series(values.copy()))
    assert len(fingerprint(series)) == 16


def test_the_fingerprint_changes_with_what_decides_a_score(
    make_series: SeriesMaker, values: Array
) -> None:
    series = make_series(values)
    one_test_value = values.copy()
    one_test_value[100, 2] += 1e-6
    prints = [
        fingerprint(series),
        fingerprint(series, horizon=6),
        fingerprint(series, metrics="v2"),
        fingerprint(make_series(one_test_value)),
        fingerprint(
            replace(series, values=2 * values)
        ),  # scaled otherwise, for all its digest says
        fingerprint(make_series(values[:, ::-1].copy())),
        fingerprint(make_series(values, splits=SPLITS | {"train": 59, "val": 21})),
        fingerprint(make_series(values, splits=SPLITS | {"val": 19, "test": 26})),
        fingerprint(make_series(values, splits=SPLITS | {"test": 26})),
    ]
    assert len(set(prints)) == len(prints)


# --- errors --------------------------------------------------------------------------------------


def refusal(series: Series, lookback: int, horizon: int) -> list[str]:
    with pytest.raises(UserError) as caught:
        Task(series, lookback, horizon)
    return str(caught.value).split("\n")


def test_a_horizon_that_is_too_long_is_told_the_longest_that_fits(
    make_series: SeriesMaker, values: Array
) -> None:
    series = make_series(values)  # 60, 20 and 25 rows
    for horizon in (21, 26, 61, 9000):
        assert refusal(series, 10, horizon) == [
            f"toy: horizon: {horizon} steps do not fit into the 20 val rows; "
            "choose a horizon of at most 20"
        ]
    assert len(Task(series, 10, 20).windows("val")) == 1
    assert refusal(series, 45, 21)[0].endswith("choose a horizon of at most 15")
    assert len(Task(series, 45, 15).windows("train")) == 1


def test_a_train_split_of_one_horizon_has_no_room_for_a_lookback(
    make_series: SeriesMaker, values: Array
) -> None:
    series = make_series(values, splits={"train": 10, "val": 20, "test": 20}, season=2)
    assert refusal(series, 3, 10) == [
        "toy: horizon: 10 steps do not fit into the 10 train rows; choose a horizon of at most 7"
    ]
    assert len(Task(series, 3, 7).windows("train")) == 1


def test_a_lookback_that_leaves_no_train_window_is_refused(
    make_series: SeriesMaker, values: Array
) -> None:
    series = make_series(values)
    assert refusal(series, 56, 5) == [
        "toy: lookback: 56 + horizon 5 do not fit into the train split of 60 rows; choose a "
        "lookback of at most 55"
    ]
    assert len(Task(series, 55, 5).windows("train")) == 1


def test_a_season_longer_than_the_train_split_is_refused(
    make_series: SeriesMaker, values: Array
) -> None:
    (line,) = refusal(make_series(values, season=60), 10, 5)
    assert line.startswith("toy: season: 60 steps do not fit into the train split of 60 rows; ")
    assert Task(make_series(values, season=59), 10, 5).seasonal_error().shape == (3,)
