from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.evaluation import conformal
from benchmark.evaluation.conformal import Calibration, calibrate, order_statistic
from benchmark.evaluation.original import OriginalUnits
from benchmark.forecasters.contract import LEVELS, Forecaster, QuantileForecaster, SeriesShape
from benchmark.forecasters.naive import SeasonalNaive

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)
FIRST_ROWS = range(400, 550 - 12 + 1)  # where the validation horizons begin


class Fan(QuantileForecaster):
    """Quantiles about the last value: those of a standard Laplace distribution."""

    fitted = "none"
    steps = torch.tensor([math.copysign(math.log(2 * min(t, 1 - t)), t - 0.5) for t in LEVELS])

    def quantiles(self, x: Tensor) -> Tensor:
        held = x[:, -1:].expand(-1, self.shape.horizon, -1)
        return held[:, None] + self.steps[:, None, None]


class Spoilt(Forecaster):
    """Forecasts what `change` makes of the last value held."""

    fitted = "none"

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__(SHAPE)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x[:, -1:].expand(-1, 12, -1).clone())


def brute_force(residuals: list[float], level: float) -> float:
    """The order statistic with both infinities as the ends of the list, counted from 0."""
    exact = Fraction(str(level)) * (len(residuals) + 1)
    rank = math.ceil(exact) if level >= 0.5 else math.floor(exact)
    return [-math.inf, *sorted(residuals), math.inf][rank]


def seasonal_residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The seasonal naive's on every validation window ``(W, H, C)``."""
    scaled = (values - values[:400].mean(axis=0)) / values[:400].std(axis=0)
    return np.stack([scaled[r : r + 12] - scaled[r - 24 : r - 12] for r in FIRST_ROWS])


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=150), st.sampled_from(LEVELS))
def test_an_offset_is_the_residual_of_the_exact_rank(residuals: list[float], level: float) -> None:
    found = order_statistic(np.sort(np.array(residuals, dtype=np.float32)), level)
    assert float(found) == brute_force(residuals, level)


@pytest.mark.parametrize("n", [9, 20, 45])
@pytest.mark.parametrize("level", LEVELS)
def test_of_exchangeable_residuals_each_end_is_passed_no_more_often_than_it_says(
    n: int, level: float
) -> None:
    trials = 40_000
    drawn = np.random.default_rng(n).exponential(size=(trials, n + 1)).astype(np.float32)
    new, seen = drawn[:, 0], np.sort(drawn[:, 1:], axis=1)
    offset = order_statistic(seen, level)
    passed = (new > offset).mean() if level >= 0.5 else (new < offset).mean()
    nominal = min(level, 1 - level)
    noise = 4 * np.sqrt(nominal * (1 - nominal) / trials)
    assert nominal - 1 / (n + 1) - noise < passed < nominal + noise


def test_offsets_are_those_of_each_steps_and_channels_own_residuals(
    task: Task, values: NDArray[np.float64]
) -> None:
    found = calibrate(SeasonalNaive(SHAPE), task.windows("val"))
    residuals = seasonal_residuals(values)
    assert found.num_windows == len(residuals) == 139
    assert found.offsets.shape == (len(LEVELS), 12, 3)
    for number, level in enumerate(LEVELS):
        for step, channel in np.ndindex(12, 3):
            expected = brute_force(residuals[:, step, channel].tolist(), level)
            assert found.offsets[number, step, channel] == pytest.approx(expected, abs=1e-5)


def test_each_quantile_of_a_quantile_forecaster_has_its_own_residuals(task: Task) -> None:
    found = calibrate(Fan(SHAPE), task.windows("val")).offsets
    held = calibrate(Spoilt(lambda y: y), task.windows("val")).offsets
    np.testing.assert_allclose(found + Fan.steps.numpy()[:, None, None], held, atol=1e-5)


def test_where_residuals_would_not_fit_every_kth_window_calibrates(
    task: Task, values: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformal, "MOST_RESIDUALS", 139 * 12 * 3 // 3)
    monkeypatch.setattr(conformal, "LEAST_WINDOWS", 40)
    found = calibrate(SeasonalNaive(SHAPE), task.windows("val"))
    residuals = seasonal_residuals(values)[::3]
    assert found.num_windows == len(residuals) == 47
    for number, level in enumerate(LEVELS):
        expected = brute_force(residuals[:, 5, 1].tolist(), level)
        assert found.offsets[number, 5, 1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("forecaster", [SeasonalNaive(SHAPE), Fan(SHAPE)], ids=["point", "fan"])
@pytest.mark.parametrize("most", [1, 139 * 5, 139 * 12 * 3 * len(LEVELS) - 1])
def test_where_windows_would_be_too_few_outputs_are_calibrated_in_parts(
    task: Task, monkeypatch: pytest.MonkeyPatch, forecaster: Forecaster, most: int
) -> None:
    whole = calibrate(forecaster, task.windows("val"))
    monkeypatch.setattr(conformal, "MOST_RESIDUALS", most)
    parts = calibrate(forecaster, task.windows("val"))  # 139 windows: all are needed
    assert parts.num_windows == whole.num_windows == 139
    np.testing.assert_array_equal(parts.offsets, whole.offsets)


def test_no_row_after_the_validation_border_reaches_calibration(
    make_task: Callable[..., Task], values: NDArray[np.float64]
) -> None:
    spoilt = values.copy()
    spoilt[550:] = np.nan
    one, other = (
        calibrate(SeasonalNaive(SHAPE), task.windows("val"))
        for task in (make_task(), make_task(values=spoilt))
    )
    np.testing.assert_array_equal(one.offsets, other.offsets)


def test_where_windows_are_too_few_the_outer_quantiles_are_endless(
    make_task: Callable[..., Task],
) -> None:
    task = make_task(horizon=131)  # 20 validation windows: enough for 1/10, not for 1/40
    shape = SeriesShape(lookback=24, horizon=131, channels=3, season=24)
    found = calibrate(SeasonalNaive(shape), task.windows("val"))
    assert found.num_windows == 20
    assert (found.offsets[0] == -np.inf).all()
    assert (found.offsets[-1] == np.inf).all()
    assert np.isfinite(found.offsets[1:-1]).all()


def test_a_channels_interval_is_told_only_where_all_of_its_ends_are(task: Task) -> None:
    offsets = np.zeros((len(LEVELS), 12, 3), dtype=np.float32)
    offsets[LEVELS.index(0.9), 11, 2] = np.inf  # too few targets of one step and channel
    parts = SeasonalNaive(SHAPE), task.scaler, Calibration(offsets, 8)
    model = OriginalUnits(*parts, level=80)
    assert model.told.tolist() == [True, True, False]
    ends = model.after(task.series.values[:24])
    for name in model.ends:
        assert np.isfinite(ends[name]).all(axis=0).tolist() == [True, True, False]
    offsets[LEVELS.index(0.1), 0] = -np.inf
    assert OriginalUnits(*parts, level=80).ends == ()
    assert OriginalUnits(*parts, level=95).ends == ("lo95", "hi95")
    assert OriginalUnits(*parts).calibration is parts[2]
    assert OriginalUnits(*parts[:2], None).calibration is None
    with pytest.raises(UserError, match=r"^level: no intervals of 90% are calibrated; choose 80"):
        OriginalUnits(*parts, level=90)


def test_calibration_is_in_eval_mode_without_gradient(task: Task) -> None:
    seen = set()

    class Watching(SeasonalNaive):
        def forward(self, x: Tensor) -> Tensor:
            seen.add((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    calibrate(Watching(SHAPE).train(), task.windows("val"))
    assert seen == {(False, False)}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda y: y.mean(dim=2, keepdim=True), ValueError, r"but has \(139, 12, 1\)"),
        (
            lambda y: y.index_fill(1, torch.tensor(11), math.nan),
            FloatingPointError,
            "validation window is not finite",
        ),
    ],
)
def test_what_is_no_forecast_is_refused(
    task: Task, change: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        calibrate(Spoilt(change), task.windows("val"))
