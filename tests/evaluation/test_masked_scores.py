"""Metrics, calibration and quantile scores where targets are missing, against loops by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmark.data.task import Task
from benchmark.evaluation import metrics
from benchmark.evaluation.conformal import calibrate
from benchmark.evaluation.errors import Errors, gather_errors
from benchmark.evaluation.forecast import evaluate
from benchmark.evaluation.metrics import METRICS
from benchmark.evaluation.quantiles import QuantileSums
from benchmark.evaluation.samples import extreme_windows
from benchmark.forecasters.contract import LEVELS, SeriesShape
from benchmark.forecasters.naive import LastValue, SeasonalNaive

Array = NDArray[np.float64]
W, H, C = 13, 5, 3
MEAN = np.array([500.0, 0.0, -2.0])
SCALE = np.array([100.0, 1.0, 0.01])
SEASONAL = np.array([0.5, 0.0, 1.25])


def gathered(target: Array, forecast: Array, masked: bool = True, batch: int = 4) -> Errors:
    parts = [slice(first, first + batch) for first in range(0, len(target), batch)]
    pairs = [(torch.from_numpy(forecast[p]), torch.from_numpy(target[p])) for p in parts]
    return gather_errors(pairs, mean=MEAN, scale=SCALE, seasonal_error=SEASONAL, masked=masked)


def example(seed: int, missing: float) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(W, H, C)) * [1.0, 3.0, 0.2] + [0.0, 5.0, -1.0]
    forecast = whole + rng.normal(size=whole.shape)
    target = np.where(rng.random(whole.shape) < missing, np.nan, whole)
    target[3] = np.nan  # a window without any
    target[5, :, 1] = np.nan  # and one without those of a channel
    target[:, 0, 2] = np.nan  # and a step
    target[7] = whole[7]
    return target, forecast


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), missing=st.sampled_from([0.0, 0.1, 0.6]))
def test_every_metric_is_a_mean_over_the_targets_there_are(seed: int, missing: float) -> None:
    target, forecast = example(seed, missing)
    errors = gathered(target, forecast)
    error = forecast - target
    by_channel = {c: error[..., c][~np.isnan(error[..., c])] for c in range(C)}
    y, f = target * SCALE + MEAN, forecast * SCALE + MEAN
    variance = [np.nanvar(target[..., c]) for c in range(C)]
    expected = {
        "mse": np.nanmean(error**2),
        "mae": np.nanmean(abs(error)),
        "rmse": np.sqrt(np.nanmean(error**2)),
        "mase": np.mean([abs(by_channel[c]).mean() / SEASONAL[c] for c in (0, 2)]),
        "smape": np.nanmean(200 * abs(y - f) / (abs(y) + abs(f))),
        "r2": np.mean([1 - (by_channel[c] ** 2).mean() / variance[c] for c in range(C)]),
        "mae_original": np.mean([abs(by_channel[c]).mean() * SCALE[c] for c in range(C)]),
    }
    assert {name: metric(errors) for name, metric in METRICS.items()} == pytest.approx(expected)
    assert errors.variance == pytest.approx(np.array(variance))
    for h in range(H):
        for c in range(C):
            column = error[:, h, c][~np.isnan(error[:, h, c])]
            squared = (column**2).mean() if len(column) else np.nan
            assert errors.squared_by_step[h, c] == pytest.approx(squared, nan_ok=True)
    by_window = errors.by_window(errors.absolute)
    for w in range(W):
        known = error[w][~np.isnan(error[w])]
        expected_mean = abs(known).mean() if len(known) else np.nan
        assert by_window[w] == pytest.approx(expected_mean, nan_ok=True)


def test_a_window_of_a_single_target_has_that_ones_error() -> None:
    target, forecast = example(seed=0, missing=0.0)
    target[3, 4, 1] = 0.5
    errors = gathered(target, forecast)
    squared = (forecast[3, 4, 1] - 0.5) ** 2
    assert errors.by_window(errors.squared)[3] == pytest.approx(squared)


def test_the_mask_changes_nothing_where_nothing_is_missing() -> None:
    target, forecast = example(1, 0.0)
    whole = np.nan_to_num(target)
    plain, masked = gathered(whole, forecast, masked=False), gathered(whole, forecast)
    assert masked.known is not None
    assert metrics.mse(plain) == pytest.approx(metrics.mse(masked), rel=1e-12)
    for name in ("squared", "absolute", "percentage", "squared_by_step", "variance"):
        np.testing.assert_allclose(getattr(masked, name), getattr(plain, name), rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, 0.3, 2.7, 55.55])
def test_a_channel_that_never_changes_is_known_to_be_one_despite_gaps(value: float) -> None:
    target, forecast = example(2, 0.3)
    target[..., 0] = np.where(np.isnan(target[..., 0]), np.nan, value)
    target[:6, :, 0] = np.nan  # nothing in the first batch
    assert gathered(target, forecast).variance[0] == 0.0


def test_a_forecast_that_is_not_finite_is_no_missing_target() -> None:
    target, forecast = example(1, 0.2)
    forecast[0, 0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="not finite"):
        gathered(target, forecast)


def test_the_extremes_are_windows_that_have_targets() -> None:
    target, forecast = example(1, 0.1)
    losses = np.array([np.nanmean((f - t) ** 2) if w != 3 else 0.0
                       for w, (f, t) in enumerate(zip(forecast, target, strict=True))])  # fmt: skip
    order = [int(w) for w in np.argsort(losses) if w != 3]
    best, median, worst = extreme_windows(gathered(target, forecast))
    assert (best, median, worst) == (order[0], order[(len(order) - 1) // 2], order[-1])


def test_quantile_scores_leave_missing_targets_out() -> None:
    target, raw = (torch.from_numpy(part).float() for part in example(4, 0.3))
    offsets = torch.linspace(-1.5, 1.8, len(LEVELS))[:, None, None].expand(-1, H, C)
    masked = QuantileSums(offsets, masked=True)
    masked.add(raw[:, None], target)
    known = ~target.isnan()
    each = QuantileSums(offsets[:, :1, :1])
    each.add(raw[known][:, None, None, None], target[known][:, None, None])
    found, expected = masked.scores(), each.scores()
    assert found.crps == pytest.approx(expected.crps, rel=1e-5)
    assert found.coverage_80 == expected.coverage_80
    assert found.coverage_95 == expected.coverage_95
    assert found.width_80 == pytest.approx(expected.width_80, rel=1e-5)
    assert expected.coverage_80 is not None
    assert 0 < expected.coverage_80 < 1


@pytest.fixture
def gappy(make_task: Callable[..., Task], values: Array) -> Task:
    missing = np.random.default_rng(5).random(values.shape) < 0.2
    missing[400:549, 2] = True
    missing[549, 2] = False
    return make_task(values=np.where(missing, np.nan, values), missing="mask")


def test_each_step_is_calibrated_by_the_residuals_it_has(gappy: Task) -> None:
    calibration = calibrate(SeasonalNaive(SeriesShape(24, 12, 3, 24)), gappy.windows("val"))
    windows = gappy.windows("val")
    x, y = windows.gather(torch.arange(len(windows)))
    for h in (0, 11):
        for c in range(3):
            residual = (y[:, h, c] - x[:, h, c]).numpy()
            known = np.sort(residual[~np.isnan(residual)])
            for level, found in zip(LEVELS, calibration.offsets[:, h, c], strict=True):
                exact = round(1000 * level) * (len(known) + 1) / 1000
                rank = int(np.ceil(exact)) if level >= 0.5 else int(np.floor(exact))
                assert found == [-np.inf, *known, np.inf][rank]
    assert np.isinf(calibration.offsets[:, 0, 2]).all()  # one value is none to speak of


def test_an_evaluation_of_gaps_is_that_of_a_loop(gappy: Task, tmp_path: Path) -> None:
    evaluation = evaluate(LastValue(SeriesShape(24, 12, 3, 24)), gappy, "cpu")
    test = gappy.scaled[550:700]
    filled = gappy.scaled.copy()
    for row in range(1, 700):
        gaps = np.isnan(filled[row])
        filled[row, gaps] = filled[row - 1, gaps]
    errors = []
    for window in range(139):
        horizon = test[window : window + 12]
        errors += list((horizon - filled[549 + window])[~np.isnan(horizon)] ** 2)
    assert metrics.mse(evaluation.errors) == pytest.approx(np.mean(errors), rel=1e-5)
    assert np.isnan(evaluation.samples.target).any()
    assert np.isfinite(evaluation.samples.history).all()
