from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import MCS
from scipy.signal import lfilter

from benchmark.statistics.bootstrap import (
    Resampled,
    _blocks,
    dataset_interval,
    difference_intervals,
    resample,
)
from benchmark.statistics.confidence_set import confidence_set
from benchmark.statistics.diebold_mariano import diebold_mariano
from benchmark.statistics.long_run import bandwidth_of, long_run_covariance


def test_intervals_cover_the_true_difference_where_percentiles_do_not(overlapping):
    covered = percentile = 0.0
    rounds, true = 60, np.array([0.0, 0.3, 1.0, -0.5])
    for seed in range(rounds):
        losses = overlapping(4, 2545, 336, seed) + true[:, None]
        resampled = resample(losses, 336, draws=200)
        _, low, high = difference_intervals(resampled, reference=0)
        covered += ((low <= true) & (true <= high))[1:].mean() / rounds
        means = resampled.mean_drawn + resampled.mean
        ends = np.quantile(means - means[:, :1], [0.025, 0.975], axis=0)
        percentile += ((ends[0] <= true) & (true <= ends[1]))[1:].mean() / rounds
    assert 0.88 <= covered <= 0.98
    assert percentile < covered - 0.08


def test_of_twenty_equal_rows_a_few_lie_beyond_the_best_ones_interval(overlapping):
    """As the note under a leaderboard says: the interval allows for one row, not for twenty."""
    rounds, beyond = 40, 0.0
    for seed in range(rounds):
        losses = overlapping(20, 800, 96, seed)
        losses = losses[losses.mean(axis=1).argsort()]
        _, low, _ = difference_intervals(resample(losses, 96, draws=200), reference=0)
        beyond += (low > 0).sum() / rounds
    assert 2.5 < beyond < 5


def test_the_difference_is_that_of_the_means_and_the_draws_do_not_vary(overlapping):
    losses = overlapping(5, 1003, 96)
    first, again = (difference_intervals(resample(losses, 96, draws=50), 2) for _ in range(2))
    means = losses.mean(axis=1)
    np.testing.assert_allclose(first[0], means - means[2], atol=1e-12)
    np.testing.assert_array_equal(first, again)
    assert [ends[2] for ends in first] == [0, 0, 0]
    with pytest.raises(ValueError, match="fewer than two blocks"):
        resample(losses[:, :200], 96)


def test_an_interval_reaches_as_far_as_95_in_100_draws_in_standard_errors_of_the_data():
    t_drawn = np.arange(1, 1001) / 1000
    mean_drawn = np.stack([np.zeros(1000), t_drawn], axis=1)
    ones = np.ones((1000, 2, 2))  # the draws' variance, a quarter of the data's
    resampled = Resampled(np.zeros(2), np.full((2, 2), 4.0), mean_drawn, ones)
    _, low, high = difference_intervals(resampled, reference=0)
    assert high[1] == pytest.approx(2 * 0.95, abs=0.01)
    assert low[1] == -high[1]


def test_every_window_is_drawn_as_often_as_any_other():
    rng = np.random.default_rng(0)
    drawn = np.concatenate([_blocks(30, 7, rng) for _ in range(4000)])
    np.testing.assert_allclose(np.bincount(drawn, minlength=30), 4000, rtol=0.1)


def test_models_that_hardly_differ_have_the_variance_of_their_own_difference():
    first, other, noise = np.random.default_rng(2).standard_normal((3, 100))
    resampled = resample(np.stack([first, first + 1e-4 * noise, other]), 1, draws=1)
    own = long_run_covariance(1e-4 * noise[None], bandwidth_of(100, 1)).item()
    assert resampled.variance[0, 1] == pytest.approx(own, rel=1e-6)


def test_equal_models_stay_in_the_confidence_set_where_the_original_drops_some(overlapping):
    dropped, original, rounds = 0.0, 0, 40
    for seed in range(rounds):
        losses = overlapping(5, 2545, 336, seed)
        dropped += (confidence_set(resample(losses, 336, draws=200)).min() < 0.1) / rounds
        if seed < 8:
            usual = MCS(losses.T, 0.1, reps=100, block_size=336, bootstrap="circular", seed=seed)
            usual.compute()
            original += len(usual.excluded) > 0
    assert dropped <= 0.25
    assert original >= 3


def test_a_clearly_worse_model_leaves_the_confidence_set_and_the_best_has_one(overlapping):
    losses = overlapping(4, 2545, 24)
    losses[1] += 1
    losses[3] += 0.5
    p_values = confidence_set(resample(losses, 24, draws=300))
    assert p_values[1] <= p_values[3] < 0.05
    assert p_values[0] > 0.1
    assert p_values[2] > 0.1
    assert p_values.max() == 1


def test_without_correlation_the_confidence_set_is_that_of_the_arch_package():
    losses = np.random.default_rng(0).standard_normal((6, 2000)) + np.arange(6)[:, None] * 0.03
    usual = MCS(losses.T, 0.1, reps=1000, block_size=68, bootstrap="circular", seed=1)
    usual.compute()
    expected = usual.pvalues["Pvalue"].sort_index().to_numpy()
    found = confidence_set(resample(losses, 1))
    np.testing.assert_allclose(found, expected, atol=0.08)
    assert 0 < (expected < 0.1).sum() < 6


def test_no_model_is_surer_to_be_out_than_one_that_was_dropped_before_it():
    mean_drawn = np.random.default_rng(0).standard_normal((400, 4))
    ones = np.ones((4, 4))
    mean = np.array([0.0, 2.0, 2.1, 2.2])  # the last pair stands out more than all four do
    resampled = Resampled(mean, ones, mean_drawn, np.broadcast_to(ones, (400, 4, 4)))
    expected, highest = [], 0.0
    for left in (4, 3, 2):  # with one variance for all, the worst mean goes first
        drawn = np.ptp(mean_drawn[:, :left], axis=1)
        highest = max(highest, np.mean(drawn >= mean[left - 1]))
        expected.insert(0, highest)
    assert confidence_set(resampled).tolist() == [1.0, *expected]
    assert expected[0] == expected[2], "the first p-value must be the one that is kept"


def test_the_same_model_twice_is_a_tie_and_a_constant_more_is_certainly_worse(overlapping):
    losses = overlapping(1, 600, 24)[0]
    p_values = confidence_set(resample(np.stack([losses, losses, losses + 0.01]), 24, draws=50))
    assert p_values.tolist() == [1, 1, 0]


def test_models_that_differ_in_few_windows_bring_no_others_back(overlapping):
    """Most draws hold none of these windows: they say nothing of how sure that difference is."""
    losses = overlapping(4, 2545, 96) + 5
    losses[1:] += [[2], [3], [4]]
    twin = losses[0].copy()
    twin[100:150] += 0.5
    alone, beside = (resample(np.stack(rows), 96) for rows in (losses, [*losses, twin]))
    p_values = confidence_set(beside)
    np.testing.assert_array_equal(p_values[:4], confidence_set(alone))
    assert p_values[1:4].max() < 0.01 < 0.1 < p_values[4]
    difference, low, high = difference_intervals(beside, 0)
    assert 0 < difference[4] == pytest.approx(50 * 0.5 / 2545)
    assert -0.05 < low[4] < 0 < high[4] < 0.05


def test_data_sets_are_drawn_as_wholes():
    values = np.random.default_rng(0).standard_normal((40, 2)) * [1, 3] + [5, 0]
    low, high = dataset_interval(values)
    half = 1.96 * values.std(axis=0) / np.sqrt(40)
    np.testing.assert_allclose((high - low) / 2, half, rtol=0.12)
    np.testing.assert_allclose((high + low) / 2, values.mean(axis=0), atol=0.1)
    assert np.ptp(dataset_interval(np.full((3, 1), 2.0))) == 0


@pytest.mark.parametrize(
    ("windows", "horizon", "low", "high"), [(300, 6, 0.7, 0.88), (100, 1, 0.6, 0.77)]
)
def test_errors_with_a_memory_longer_than_the_horizon_are_covered_less(windows, horizon, low, high):
    """As a leaderboard says below its tables: 80 and 68 of 100, with 0.98 a step."""
    rng, rounds, covered = np.random.default_rng(8), 100, 0.0
    for _ in range(rounds):
        steps = rng.standard_normal((4, windows + horizon + 400))
        errors = lfilter([1], [1, -0.98], steps, axis=1)[:, 400:]
        sums = np.cumsum(errors, axis=1)
        losses = sums[:, horizon:] - sums[:, :-horizon]
        _, least, most = difference_intervals(resample(losses, horizon, draws=200), reference=0)
        covered += ((least <= 0) & (most >= 0))[1:].mean() / rounds
    assert low < covered < high


@pytest.mark.parametrize(("count", "low", "high"), [(10, 0.76, 0.92), (29, 0.85, 0.95)])
def test_intervals_over_few_data_sets_hold_less_than_they_say(count, low, high):
    """As a leaderboard says below 30 of them: 80 to 93 of 100."""
    rng = np.random.default_rng(0)
    for values, true in (
        (rng.standard_normal((count, 2000)), 0.0),
        (rng.lognormal(size=(count, 2000)), np.exp(0.5)),
    ):
        ends = dataset_interval(values)
        assert low < ((ends[0] <= true) & (true <= ends[1])).mean() < high


def test_what_differs_by_rounding_alone_is_equal():
    losses = np.random.default_rng(7).gamma(2, size=(1, 600))
    rounded = losses.astype(np.float32).astype(float)
    other = np.nextafter(rounded.astype(np.float32), np.float32(9)).astype(float)  # every one up
    found = resample(np.concatenate([rounded, other]), 24)
    assert (confidence_set(found) == 1).all()
    assert diebold_mariano(rounded[0], other[0], 24) > (other - rounded).mean()
