from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.noise import NoiseFloor, SeedMean, floor_of_mean, noise_floors


def test_the_floor_of_a_mean_of_equal_tasks_is_that_of_independent_scores() -> None:
    mean = floor_of_mean([NoiseFloor(0.02, 3, 6)] * 4)
    assert mean == NoiseFloor(pytest.approx(0.01), 12, 24)  # type: ignore[arg-type]


def test_a_task_without_noise_takes_nothing_from_the_others_freedom() -> None:
    mean = floor_of_mean([NoiseFloor(0.02, 3, 6), NoiseFloor(0.0, 1, 2)])
    assert (mean.std, mean.freedom) == (pytest.approx(0.01), 6)
    assert floor_of_mean([NoiseFloor(0.0, 1, 2)] * 2) == NoiseFloor(0.0, 2, 4)


def test_degrees_of_freedom_of_a_mean_are_not_rounded_down() -> None:
    for std in (0.1, 0.09840311219811274, 0.3):
        assert floor_of_mean([NoiseFloor(std, 2, 1)] * 3).freedom == pytest.approx(3)
    halves = floor_of_mean([NoiseFloor(0.1, 1, 1), NoiseFloor(0.1, 1, 2)])
    assert halves.freedom == pytest.approx(4 / 1.5)


def test_a_mean_over_tasks_has_the_freedom_it_is_given() -> None:
    floor, never = NoiseFloor(0.02, 3, 6), SeedMean(math.inf)
    reach = floor.smallest_difference(SeedMean(3, 0.1, 8), never)
    assert reach == pytest.approx(stats.t.ppf(0.975, 8) * 0.1 / 3**0.5)
    assert reach < floor.smallest_difference(SeedMean(3, 0.1), never)


def test_two_seeds_do_not_tell_a_spread_of_their_own() -> None:
    floor = NoiseFloor(0.02, 3, 6)
    assert [SeedMean(seeds, 0.1).counts for seeds in (2, 3)] == [False, True]
    pooled = floor.smallest_difference(SeedMean(2), SeedMean(math.inf))
    assert floor.smallest_difference(SeedMean(2, 0.1), SeedMean(math.inf)) == pooled


def test_means_over_horizons_of_equal_models_differ_beyond_the_floor_one_time_in_twenty() -> None:
    rng = np.random.default_rng(5)
    spread = np.array([0.01, 0.02, 0.05])  # of three horizons
    configuration = np.repeat([0, 1], 4)
    beyond = []
    for _ in range(4000):
        scores = rng.normal(0.4, spread[:, None], (3, 8))  # two configurations, four seeds each
        floors = [noise_floors(own, configuration, np.zeros(8, dtype=int))[0] for own in scores]
        first, second = scores.mean(axis=0)[:4].mean(), scores.mean(axis=0)[4:].mean()
        # as if of less than three seeds each: judged by what is pooled alone
        reach = floor_of_mean(floors).smallest_difference(
            SeedMean(4, math.nan), SeedMean(4, math.nan)
        )
        beyond.append(abs(first - second) > reach)
    assert 0.03 < np.mean(beyond) < 0.065
