"""Every metric against scikit-learn or a loop, from arrays of windows, steps and channels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch import Tensor

from benchmark.evaluation import metrics
from benchmark.evaluation.errors import Errors, gather_errors
from benchmark.evaluation.metrics import METRICS, METRICS_VERSION, definitions

Array = NDArray[np.float64]
W, H, C = 13, 5, 3
MEAN = np.array([500.0, 0.0, -2.0])
SCALE = np.array([100.0, 1.0, 0.01])
SEASONAL = np.array([0.5, 2.0, 1.25])


def made(target: Array, forecast: Array, batch: int = 4, seasonal: Array = SEASONAL) -> Errors:
    """Gather the errors of scaled ``(W, H, C)`` arrays, in batches."""

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for first in range(0, len(target), batch):
            part = slice(first, first + batch)
            yield torch.from_numpy(forecast[part]), torch.from_numpy(target[part])

    return gather_errors(batches(), mean=MEAN, scale=SCALE, seasonal_error=seasonal)


def example(seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=(W, H, C)) * [1.0, 3.0, 0.2] + [0.0, 5.0, -1.0]
    return target, target + rng.normal(size=target.shape)


def flat(values: Array) -> Array:
    return values.reshape(-1, C)


def test_mse_mae_rmse_and_r2_equal_scikit_learn() -> None:
    target, forecast = example()
    errors = made(target, forecast)
    mse = mean_squared_error(flat(target), flat(forecast))
    assert metrics.mse(errors) == pytest.approx(mse, rel=1e-12)
    assert metrics.rmse(errors) == pytest.approx(np.sqrt(mse), rel=1e-12)
    mae = mean_absolute_error(flat(target), flat(forecast))
    assert metrics.mae(errors) == pytest.approx(mae, rel=1e-12)
    r2 = r2_score(flat(target), flat(forecast), multioutput="uniform_average")
    assert metrics.r2(errors) == pytest.approx(r2, rel=1e-9)
    assert errors.variance == pytest.approx(flat(target).var(axis=0), rel=1e-9)


def test_mase_smape_and_original_mae_equal_a_loop_over_every_value() -> None:
    target, forecast = example()
    percentages, in_units, scaled = [], [[] for _ in range(C)], [[] for _ in range(C)]
    for w in range(W):
        for h in range(H):
            for c in range(C):
                y = target[w, h, c] * SCALE[c] + MEAN[c]
                f = forecast[w, h, c] * SCALE[c] + MEAN[c]
                percentages.append(200 * abs(y - f) / (abs(y) + abs(f)))
                in_units[c].append(abs(y - f))
                scaled[c].append(abs(target[w, h, c] - forecast[w, h, c]) / SEASONAL[c])
    errors = made(target, forecast)
    assert metrics.smape(errors) == pytest.approx(np.mean(percentages), rel=1e-12)
    expected = np.mean([np.mean(channel) for channel in in_units])
    assert metrics.mae_original(errors) == pytest.approx(expected, rel=1e-12)
    expected = np.mean([np.mean(channel) for channel in scaled])
    assert metrics.mase(errors) == pytest.approx(expected, rel=1e-12)


def test_errors_by_window_and_by_step_are_the_means_they_say() -> None:
    target, forecast = example()
    errors = made(target, forecast)
    assert errors.squared == pytest.approx(np.square(target - forecast).mean(axis=1))
    assert errors.absolute == pytest.approx(np.abs(target - forecast).mean(axis=1))
    assert errors.squared_by_step == pytest.approx(np.square(target - forecast).mean(axis=0))
    assert errors.absolute_by_step == pytest.approx(np.abs(target - forecast).mean(axis=0))
    assert errors.percentage.shape == errors.squared.shape == (W, C)


@pytest.mark.parametrize("batch", [1, 7, 512])
def test_no_metric_depends_on_the_batch_size(batch: int) -> None:
    together = made(*example(), batch=W)
    apart = made(*example(), batch=batch)
    for name, metric in METRICS.items():
        assert metric(apart) == pytest.approx(metric(together), rel=1e-12), name


def test_no_metric_depends_on_how_many_windows_are_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = made(*example())
    monkeypatch.setattr("benchmark.evaluation.errors.PIECE", H * C - 1)  # less than one window
    pieces = made(*example())
    for name, metric in METRICS.items():
        assert metric(pieces) == pytest.approx(metric(whole), rel=1e-12), name


def test_smape_of_tiny_values_is_that_of_large_ones() -> None:
    target, forecast = (np.full((W, H, C), value) for value in (3e-6, 1e-6))
    errors = made(target, forecast)  # of which the second channel is in original units too
    assert errors.percentage[:, 1] == pytest.approx(np.full(W, 100.0), rel=1e-6)


def test_smape_of_zero_against_zero_is_zero_and_of_zero_against_a_value_is_200() -> None:
    zero = np.broadcast_to(-MEAN / SCALE, (W, H, C)).copy()  # 0 in original units
    assert metrics.smape(made(zero, zero)) == 0.0
    other = zero.copy()
    other[:, :, 1] += 3.0
    assert metrics.smape(made(zero, other)) == pytest.approx(200 / 3)
    assert metrics.smape(made(other, zero)) == pytest.approx(200 / 3)
    assert np.isfinite(made(zero, other).percentage).all()


@pytest.mark.parametrize("constant", [0.1, -7.3, 1e6])
def test_r2_leaves_out_a_channel_whose_target_never_changes(constant: float) -> None:
    target, forecast = example()
    target[:, :, 1] = constant
    expected = r2_score(flat(target)[:, [0, 2]], flat(forecast)[:, [0, 2]])
    errors = made(target, forecast)
    assert errors.variance[1] == 0
    assert metrics.r2(errors) == pytest.approx(expected, rel=1e-9)


def test_r2_keeps_its_digits_far_from_zero() -> None:
    target, forecast = example()
    expected = r2_score(flat(target), flat(forecast))
    assert metrics.r2(made(target + 1e6, forecast + 1e6)) == pytest.approx(expected, rel=1e-6)


def test_mase_leaves_out_a_channel_that_repeats_itself_exactly_on_the_train_rows() -> None:
    target, forecast = example()
    errors = made(target, forecast, seasonal=np.array([0.5, 0.0, 1.25]))
    mae = np.abs(target - forecast).mean(axis=(0, 1))
    assert metrics.mase(errors) == pytest.approx((mae[0] / 0.5 + mae[2] / 1.25) / 2)


def test_a_metric_that_no_channel_has_is_absent_and_not_a_number() -> None:
    target, forecast = example()
    assert metrics.mase(made(target, forecast, seasonal=np.zeros(C))) is None
    target[:] = 0.1
    assert metrics.r2(made(target, forecast)) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_forecast_that_is_not_finite_has_no_score(value: float) -> None:
    target, forecast = example()
    forecast[W - 1, H - 1, C - 1] = value
    with pytest.raises(FloatingPointError, match="not finite"):
        made(target, forecast)


@settings(max_examples=50)
@given(st.data(), st.integers(1, 6), st.integers(1, 4), st.integers(1, 8))
def test_the_metrics_keep_their_bounds(data: st.DataObject, w: int, h: int, batch: int) -> None:
    values = st.floats(-1e4, 1e4, width=32)
    target, forecast = (data.draw(arrays(np.float64, (w, h, C), elements=values)) for _ in "tf")
    errors = made(target, forecast, batch)
    mse, mae = metrics.mse(errors), metrics.mae(errors)
    assert mae >= 0
    assert mse >= mae**2 * (1 - 1e-9)
    assert 0 <= metrics.smape(errors) <= 200 * (1 + 1e-12)
    r2 = metrics.r2(errors)
    assert r2 is None or r2 <= 1
    assert (errors.variance >= 0).all()


def test_the_definitions_name_every_metric_and_a_version() -> None:
    assert str(METRICS_VERSION) in definitions()
    assert all(name in definitions() for name in METRICS)
    assert set(METRICS) == {"mse", "mae", "rmse", "mase", "smape", "r2", "mae_original"}
