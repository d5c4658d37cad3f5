from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.task import Task
from benchmark.evaluation.conformal import Calibration, calibrate
from benchmark.evaluation.forecast import Evaluation, evaluate
from benchmark.evaluation.samples import MOST_CHANNELS, common_windows, write_samples
from benchmark.forecasters.contract import LEVELS, QuantileForecaster, SeriesShape
from benchmark.forecasters.naive import SeasonalNaive

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)
EVEN = [550, 584, 619, 653, 688]


class Fan(QuantileForecaster):
    """Quantiles that lie further apart at later steps, and cross: the last level is the lowest."""

    fitted = "none"

    def quantiles(self, x: Tensor) -> Tensor:
        levels = torch.tensor(LEVELS).flip(0)[None, :, None, None]
        steps = torch.arange(1, 13)[None, None, :, None]
        return x[:, None, -1:] + (levels - 0.5) * steps


@pytest.fixture
def naive(task: Task) -> Evaluation:
    forecaster = SeasonalNaive(SHAPE)
    return evaluate(forecaster, task, "cpu", calibrate(forecaster, task.windows("val")))


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Evaluation, Task], dict[str, NDArray[np.float32]]]:
    def write_and_read(evaluation: Evaluation, task: Task) -> dict[str, NDArray[np.float32]]:
        path = tmp_path / "forecasts.npz"
        write_samples(path, evaluation.samples, evaluation.extremes, task)
        with np.load(path) as arrays:
            return dict(arrays)

    return write_and_read


class Careless(SeasonalNaive):
    """Writes into its input."""

    def forward(self, x: Tensor) -> Tensor:
        forecast = super().forward(x)
        x.zero_()
        return forecast


def test_what_a_forecaster_does_to_its_input_is_no_history(naive: Evaluation, task: Task) -> None:
    careless = evaluate(Careless(SHAPE), task, "cpu")
    assert np.array_equal(careless.samples.history, naive.samples.history)
    assert np.array_equal(careless.extremes.history, naive.extremes.history)
    assert np.array_equal(careless.samples.forecast, naive.samples.forecast)


def test_common_windows_are_the_raw_rows_in_original_units(
    naive: Evaluation, values: NDArray[np.float64]
) -> None:
    samples = naive.samples
    assert samples.first_row.tolist() == EVEN
    for number, row in enumerate(EVEN):
        for kept, start, stop in (
            (samples.history, row - 24, row),
            (samples.target, row, row + 12),
            (samples.forecast, row - 24, row - 12),
        ):
            np.testing.assert_allclose(kept[number], values[start:stop], rtol=1e-5, atol=1e-5)


def test_few_windows_are_each_shown_once() -> None:
    assert common_windows(2).tolist() == [0, 1]
    assert common_windows(1).tolist() == [0]


def test_extremes_are_the_best_the_median_and_the_worst_window(
    naive: Evaluation, task: Task
) -> None:
    extremes = naive.extremes
    error = (extremes.target - extremes.forecast) / task.scaler.scale
    losses = naive.errors.squared.mean(axis=1)
    np.testing.assert_allclose(
        (error**2).mean(axis=(1, 2)),
        [losses.min(), np.quantile(losses, 0.5, method="lower"), losses.max()],
        rtol=1e-4,
    )


def test_the_extremes_are_the_raw_rows_that_they_name(
    naive: Evaluation, values: NDArray[np.float64]
) -> None:
    for row, target in zip(naive.extremes.first_row, naive.extremes.target, strict=True):
        np.testing.assert_allclose(target, values[row : row + 12], rtol=1e-5, atol=1e-5)


def test_the_interval_of_a_point_forecast_is_its_offsets_in_original_units(task: Task) -> None:
    skewed = np.array(LEVELS)[:, None, None]  # all above 0: the sign shows
    offsets = np.broadcast_to(skewed, (len(LEVELS), 12, 3))
    calibration = Calibration(offsets.astype(np.float32), 9)
    samples = evaluate(SeasonalNaive(SHAPE), task, "cpu", calibration).samples
    assert samples.interval is not None
    for level, end in zip((0.1, 0.9), samples.interval, strict=True):
        reach = np.broadcast_to(level * task.scaler.scale, end.shape)
        np.testing.assert_allclose(end - samples.forecast, reach, rtol=1e-2)


def test_the_interval_of_quantile_heads_is_their_own_and_in_order(task: Task) -> None:
    calibration = Calibration(np.zeros((len(LEVELS), 12, 3), dtype=np.float32), 9)
    samples = evaluate(Fan(SHAPE), task, "cpu", calibration).samples
    assert samples.interval is not None
    width = (samples.interval[1] - samples.interval[0]) / task.scaler.scale
    expected = np.broadcast_to(0.8 * np.arange(1, 13)[:, None], width.shape)
    np.testing.assert_allclose(width, expected, rtol=1e-3)


def test_the_file_holds_common_windows_then_extremes_finer_than_can_be_seen(
    naive: Evaluation, task: Task, read: Callable[..., dict[str, NDArray[np.float32]]]
) -> None:
    kept = read(naive, task)
    assert kept["kind"].tolist() == ["common"] * 5 + ["best", "median", "worst"]
    assert kept["first_row"].tolist() == [*EVEN, *naive.extremes.first_row]
    assert str(kept["time"][1]) == "2020-01-25T08:00:00"  # hour 584
    assert kept["channel"].tolist() == [0, 1, 2]
    assert naive.extremes.interval is not None
    for name, exact in (
        ("history", naive.extremes.history),
        ("target", naive.extremes.target),
        ("forecast", naive.extremes.forecast),
        ("low", naive.extremes.interval[0]),
        ("high", naive.extremes.interval[1]),
    ):
        difference = np.abs(kept[name][5:] - exact) / task.scaler.scale
        assert 0 < difference.max() <= 1 / 256, name


def test_a_wide_data_sets_file_keeps_channels_spread_over_all(
    make_task: Callable[..., Task], read: Callable[..., dict[str, NDArray[np.float32]]]
) -> None:
    task = make_task()
    wide = 100
    task.scaled = np.tile(task.scaled, (1, 34))[:, :wide]
    task.series = type(task.series)(
        task.series.card, "wide", task.series.values, task.series.timestamps,
        tuple(f"c{number}" for number in range(wide)), "d1" * 32,
    )  # fmt: skip
    task.scaler = type(task.scaler)(np.zeros(wide), np.ones(wide))
    shape = SeriesShape(lookback=24, horizon=12, channels=wide, season=24)
    kept = read(evaluate(SeasonalNaive(shape), task, "cpu"), task)
    assert len(kept["channel"]) == kept["target"].shape[2] == MOST_CHANNELS
    assert kept["channel"][[0, -1]].tolist() == [0, 99]
    assert np.diff(kept["channel"]).min() >= 6
    assert "low" not in kept  # nothing was calibrated
