from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from benchmark.statistics.bootstrap import can_resample
from benchmark.statistics.diebold_mariano import critical_value, diebold_mariano
from benchmark.statistics.long_run import bandwidth_of, long_run_covariance, memory


@pytest.mark.parametrize("bandwidth", [1, 2, 7, 29, 30, 45])
def test_the_long_run_covariance_is_the_bartlett_sum_of_autocovariances(bandwidth):
    losses = np.random.default_rng(1).standard_normal((3, 30)) + 5
    centred = losses - losses.mean(axis=1, keepdims=True)
    expected = centred @ centred.T / 30
    for lag in range(1, min(bandwidth, 30)):
        gamma = centred[:, lag:] @ centred[:, :-lag].T / 30
        expected += (1 - lag / bandwidth) * (gamma + gamma.T)
    found = long_run_covariance(losses, bandwidth)
    np.testing.assert_allclose(found, expected / 30, rtol=1e-9, atol=1e-12)


def test_the_memory_covers_the_overlap_and_never_exceeds_the_windows():
    assert memory(2545, 336) == 336 + 66
    assert memory(100, 336) == 100
    assert bandwidth_of(2545, 336) == 2 * 402
    assert bandwidth_of(500, 336) == 500
    assert can_resample(804, 336)
    assert not can_resample(500, 336)


def test_just_two_blocks_are_enough_to_draw_from():
    assert 2 * memory(70, 24) == 70
    assert can_resample(70, 24)
    assert not can_resample(69, 24)


@pytest.mark.parametrize(("horizon", "naive_calls"), [(336, 0.85), (24, 0.5)])
def test_equal_forecasters_are_called_different_five_times_in_a_hundred(
    overlapping, horizon, naive_calls
):
    differences = overlapping(600, 2545, horizon)
    zero = np.zeros(2545)
    called = np.mean([abs(d.mean()) > diebold_mariano(d, zero, horizon) for d in differences])
    assert 0.02 <= called <= 0.09
    # why there is a test of our own: what the t test and the usual correction say
    naive = stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05
    assert naive.mean() > naive_calls
    variances = long_run_covariance(differences[:, None], horizon)[:, 0, 0]
    n, h = 2545, horizon
    corrected = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    t = corrected * differences.mean(axis=1) / np.sqrt(variances)
    assert np.mean(2 * stats.t.sf(np.abs(t), n - 1) < 0.05) > 0.09


def test_without_overlap_critical_values_are_those_of_kiefer_and_vogelsang():
    """Fixed-b, Bartlett, 97.5%: 1.96 + 2.9694 b + 0.416 b^2 - 0.5324 b^3 (2005, table 1)."""
    for bandwidth in (51, 154, 512):
        b = bandwidth / 512
        expected = 1.96 + 2.9694 * b + 0.416 * b**2 - 0.5324 * b**3
        assert critical_value(512, 1, bandwidth) == pytest.approx(expected, rel=0.04)


def test_a_clearly_better_forecaster_is_found_whichever_of_the_two_it_is(overlapping):
    better, worse = overlapping(2, 2545, 24, seed=3) - [[0.2], [0]]
    reach = diebold_mariano(better, worse, 24)
    assert 0 < reach < (worse - better).mean()
    assert reach == diebold_mariano(worse, better, 24)


def test_several_seeds_are_averaged_first_and_equals_differ_by_nothing(overlapping):
    losses = overlapping(3, 500, 12)
    assert diebold_mariano(losses[:2], losses[2], 12) == diebold_mariano(
        losses[:2].mean(axis=0), losses[2], 12
    )
    assert diebold_mariano(losses[0], losses[0], 12) == 0
    assert diebold_mariano(losses[0] + 1, losses[0], 12) < 1
    with pytest.raises(ValueError, match="the same two or more windows"):
        diebold_mariano(losses[0], losses[1, :-1], 12)


def test_a_memory_longer_than_the_horizon_makes_equal_forecasters_differ():
    """As docs/protocol.md says: in 25 of 100 cases with errors of 0.98 a step, 100 windows, 24."""
    rng = np.random.default_rng(3)
    errors = lfilter([1], [1, -0.98], rng.standard_normal((600, 524)), axis=1)[:, 400:]
    sums = np.cumsum(errors, axis=1)
    zero = np.zeros(100)
    called = [abs(d.mean()) > diebold_mariano(d, zero, 24) for d in sums[:, 24:] - sums[:, :-24]]
    assert 0.19 < np.mean(called) < 0.31


def test_one_window_with_the_same_loss_does_not_make_forecasters_the_same():
    first, second = np.random.default_rng(5).standard_normal((2, 100))
    apart = diebold_mariano(first, second, 1)
    second[7] = first[7]
    assert diebold_mariano(first, second, 1) == pytest.approx(apart, rel=0.2)
