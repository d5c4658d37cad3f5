from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.noise import NoiseFloor, SeedMean, noise_floors
from benchmark.statistics.ranks import (
    average_ranks,
    critical_difference,
    equal_groups,
    friedman,
    skill_score,
    win_rate,
)

DEMSAR = np.array(
    [
        [4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1], [1, 2.5, 4, 2.5],
        [3, 2, 4, 1], [2.5, 2.5, 4, 1], [4, 3, 2, 1], [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5],
        [3, 2, 4, 1], [4, 1, 2, 3], [3, 1, 4, 2],
    ]
)  # fmt: skip
"""Ranks of four variants of C4.5 on 14 data sets: table 6 of the paper."""


def test_average_ranks_are_those_of_the_published_example():
    assert average_ranks(DEMSAR) == pytest.approx([3.143, 2.0, 2.893, 1.964], abs=5e-4)


def test_friedmans_statistic_is_the_published_one_but_for_its_correction_for_ties():
    statistic, p_value = friedman(DEMSAR)
    tied = 6 + 6 + 60 + 6  # sum of t^3 - t over groups of t equal ranks
    assert statistic * (1 - tied / (14 * 4 * 15)) == pytest.approx(9.28, abs=0.005)
    assert p_value == pytest.approx(stats.chi2.sf(statistic, 3))


def test_models_that_never_differ_are_equal_by_friedmans_test_and_nothing_is_divided_by_0():
    assert friedman(np.ones((4, 3))) == (0, 1)
    statistic, p_value = friedman(np.array([[1.0, 1, 1], [1, 2, 3], [1, 2, 3]]))
    assert (statistic, p_value) == pytest.approx((4, math.exp(-2)))


def test_nemenyis_critical_differences_are_the_published_ones():
    assert critical_difference(4, 14, alpha=0.05) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, alpha=0.10) == pytest.approx(1.12, abs=0.005)
    q = critical_difference(10, 1) / math.sqrt(10 * 11 / 6)
    assert q == pytest.approx(3.164, abs=5e-4)  # table 5 (a)


def test_groups_are_the_longest_runs_of_models_that_do_not_differ():
    ranks = np.array([3.0, 1.0, 2.0, 4.0, 7.0])
    assert equal_groups(ranks, 1.5) == [[1, 2], [2, 0], [0, 3]]
    assert equal_groups(ranks, 2.0) == [[1, 2, 0], [2, 0, 3]]
    assert equal_groups(ranks, 0.5) == []
    assert equal_groups(ranks, 9) == [[1, 2, 0, 3, 4]]


def test_win_rate_counts_ties_as_a_half():
    scores = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 0.5]])
    rate = win_rate(scores)
    assert rate.value == pytest.approx([(1 + 0.25) / 2, (0.5 + 0.25) / 2, (0 + 1) / 2])
    assert (rate.low <= rate.value).all()
    assert (rate.value <= rate.high).all()


def test_skill_is_one_less_the_geometric_mean_of_ratios():
    scores = np.array([[1.0, 2.0], [1.0, 8.0], [3.0, 3.0]])
    skill = skill_score(scores, baseline=1)
    assert skill.value == pytest.approx([1 - (1 / 2 * 1 / 8 * 1) ** (1 / 3), 0])
    assert skill.low[0] < skill.value[0] < skill.high[0]
    assert (skill.low[1], skill.high[1]) == (0, 0)
    two = skill_score(scores[[0, 2]], baseline=1)  # a quarter of the draws are of one alone
    assert (two.low[0], two.high[0]) == pytest.approx((0, 0.5))


def noise_floor(scores, configuration) -> NoiseFloor | None:
    return noise_floors(scores, configuration, np.zeros_like(configuration)).get(0)


def test_the_noise_floor_pools_variances_by_their_degrees_of_freedom():
    scores = np.array([1.0, 7.0, 2.0, 5.0, 3.0, 7.0])
    found = noise_floor(scores, np.array([0, 2, 0, 1, 0, 2]))
    assert found is not None
    assert (found.configurations, found.freedom) == (2, 3)
    assert found.std == pytest.approx(math.sqrt(2 / 3))
    assert noise_floor(np.array([1.0, 2.0]), np.array([0, 2])) is None


def test_equal_configurations_differ_beyond_the_noise_floor_five_times_in_a_hundred():
    rng = np.random.default_rng(0)
    beyond = 0
    for _ in range(1500):
        first, second = rng.standard_normal(3), rng.standard_normal(2)
        floor = noise_floor(np.append(first, second), np.array([0, 0, 0, 1, 1]))
        assert floor is not None
        beyond += abs(first.mean() - second.mean()) > floor.smallest_difference(
            SeedMean(3), SeedMean(2)
        )
    assert 0.035 < beyond / 1500 < 0.065


def test_what_hangs_on_no_seed_adds_no_noise():
    never = SeedMean(math.inf)
    floor = noise_floor(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 0]))
    assert floor is not None
    alone = floor.smallest_difference(SeedMean(3), never)
    assert alone == pytest.approx(stats.t.ppf(0.975, 2) * 1.0 * math.sqrt(1 / 3))
    assert alone == floor.smallest_difference(never, SeedMean(3))
    assert floor.smallest_difference(never, never) == 0


def test_a_difference_between_own_spreads_is_welchs():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0, 1, 3), rng.normal(0, 5, 4)
    floor = noise_floor(np.concatenate([first, second]), np.repeat([0, 1], [3, 4]))
    assert floor is not None
    means = [SeedMean(len(own), own.std(ddof=1)) for own in (first, second)]
    reach = floor.smallest_difference(*means)
    shift = first.mean() - second.mean()
    for side in (-1, 1):  # a difference as large as the reach has a p-value of 5%
        result = stats.ttest_ind(first - shift + side * reach, second, equal_var=False)
        assert result.pvalue == pytest.approx(0.05)


def test_a_steady_configuration_is_not_drowned_by_a_restless_one_and_makes_it_no_steadier():
    """Three seeds each: of equal pairs five in a hundred are called different, whatever else is."""
    rng = np.random.default_rng(2)
    called = {"steady": 0, "restless": 0, "pooled": 0}
    for _ in range(2000):
        spreads = np.repeat([0.001, 0.001, 0.02, 0.02], 3)
        scores = rng.normal(0, spreads)
        floor = noise_floor(scores, np.repeat(range(4), 3))
        assert floor is not None
        own = scores.reshape(4, 3)
        means = [SeedMean(3, each.std(ddof=1)) for each in own]
        gaps = abs(own[0].mean() - own[1].mean()), abs(own[2].mean() - own[3].mean())
        called["steady"] += gaps[0] > floor.smallest_difference(*means[:2])
        called["restless"] += gaps[1] > floor.smallest_difference(*means[2:])
        called["pooled"] += gaps[1] > floor.smallest_difference(SeedMean(3), SeedMean(3))
    shares = {name: count / 2000 for name, count in called.items()}
    assert 0.02 < shares["steady"] < 0.065
    assert 0.02 < shares["restless"] < 0.065
    assert shares["pooled"] > 0.1  # what pooling made of the restless pair


def test_one_seed_beside_three_borrows_the_pooled_spread():
    floor = noise_floor(np.array([1.0, 2.0, 3.0, 4.0, 9.0]), np.array([0, 0, 0, 1, 1]))
    assert floor is not None
    parts = np.array([1.0 / 3, floor.std**2])
    freedom = parts.sum() ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 3)
    expected = stats.t.ppf(0.975, freedom) * math.sqrt(parts.sum())
    reach = floor.smallest_difference(SeedMean(3, 1.0), SeedMean(1))
    assert reach == pytest.approx(expected)
    assert floor.smallest_difference(SeedMean(3, 0.0), SeedMean(3, 0.0)) == 0


def test_one_seed_beside_the_only_spread_there_is_has_no_more_freedom_than_that() -> None:
    """Three seeds of one configuration, and one of another that is as good."""
    rng = np.random.default_rng(4)
    called = 0
    for _ in range(4000):
        first, second = rng.standard_normal(3), rng.standard_normal()
        floor = noise_floor(first, np.zeros(3, dtype=int))
        assert floor is not None
        reach = floor.smallest_difference(SeedMean(3, first.std(ddof=1)), SeedMean(1))
        called += abs(first.mean() - second) > reach
    assert 0.04 < called / 4000 < 0.06  # 0.09 where the same spread counts as two


def test_groups_have_a_noise_floor_each_as_if_they_were_alone():
    rng = np.random.default_rng(3)
    configuration = np.sort(rng.integers(0, 12, 40))
    group = np.array([0, 1, 1, 3])[configuration % 4]
    scores = rng.standard_normal(40)
    found = noise_floors(scores, configuration, group)
    assert set(found) == {0, 1, 3}
    for number, floor in found.items():
        alone = noise_floor(scores[group == number], configuration[group == number])
        assert alone is not None
        assert (floor.configurations, floor.freedom) == (alone.configurations, alone.freedom)
        assert floor.std == pytest.approx(alone.std)
