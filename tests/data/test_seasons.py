"""Seasons that were put in are found; the autocorrelation is that of a loop over pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.frequency import Frequency
from benchmark.data.seasons import autocorrelation, find_season, natural_seasons

STEPS = ("30s", "min", "5min", "15min", "h", "6h", "D")
HOUR = Frequency.parse("h")


def series(rows: int, season: int, seed: int, noise: float = 0.2) -> np.ndarray:
    """Two channels with a season of two waves on a drifting level."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows)[:, None]
    wave = np.sin(2 * np.pi * t / season + [0.0, 1.0]) + 0.4 * np.sin(4 * np.pi * t / season)
    return wave + 0.002 * t + noise * rng.normal(size=(rows, 2))


def test_autocorrelation_is_that_of_a_loop_over_pairs_of_known_values() -> None:
    values = series(60, 7, 1)
    values[np.random.default_rng(2).random(values.shape) < 0.2] = np.nan
    still, up = np.full(60, 3.0), 1e6 + 0.1 * np.arange(60)  # of which nothing is left to count
    values = np.column_stack([values, still, up])
    expected = np.zeros(21)
    for column in values[:, :2].T:
        halves = [min(5, t, 59 - t) for t in range(60)]
        windows = [column[t - half : t + half + 1] for t, half in enumerate(halves)]
        level = [np.nanmean(window) if np.isfinite(window).any() else 0.0 for window in windows]
        z = column - level
        for k in range(21):
            pairs = [z[t] * z[t + k] for t in range(60 - k) if not np.isnan(z[t] * z[t + k])]
            expected[k] += np.mean(pairs) / np.nanmean(z**2) / 2
    np.testing.assert_allclose(autocorrelation(values, 10), expected, atol=1e-9)


@pytest.mark.parametrize("frequency", STEPS)
def test_natural_seasons_are_whole_days_and_weeks(frequency: str) -> None:
    step = pd.Timedelta(pd.tseries.frequencies.to_offset(frequency)).total_seconds()
    for season in natural_seasons(Frequency.parse(frequency)):
        assert season * step in (3600, 86400, 604800, 365 * 86400)


@settings(max_examples=30)
@given(
    case=st.sampled_from([("h", 24), ("h", 168), ("15min", 96), ("D", 7), ("6h", 4), ("6h", 28)]),
    seed=st.integers(0, 10_000),
    missing=st.sampled_from([0.0, 0.2]),
)
def test_a_natural_season_is_found(case: tuple[str, int], seed: int, missing: float) -> None:
    frequency, season = case
    values = series(12 * season + 400, season, seed)
    values[np.random.default_rng(seed).random(values.shape) < missing] = np.nan
    found = find_season(values, Frequency.parse(frequency))
    assert (found.length, found.seen) == (season, True)
    assert found.correlations[season] > 0.6


@settings(max_examples=30)
@given(season=st.sampled_from([5, 9, 10, 25, 50, 100]), seed=st.integers(0, 10_000))
def test_another_season_is_found_where_no_natural_one_is_seen(season: int, seed: int) -> None:
    found = find_season(series(1200, season, seed, noise=0.1), HOUR)
    assert found.seen
    assert found.length == season


@pytest.mark.parametrize(
    ("step", "rows", "custom"),
    [("D", 6000, 7), ("D", 1100, 7), ("B", 800, 5), ("h", 510, 24), ("W", 160, 52), ("ME", 40, 12)],
)
def test_of_random_walks_nothing_is_said_but_the_custom(step: str, rows: int, custom: int) -> None:
    steps = [np.random.default_rng(seed).normal(size=(rows, 1)) for seed in range(60)]
    walks = [each.cumsum(axis=0) for each in steps]
    found = [find_season(walk, Frequency.parse(step)) for walk in walks]
    assert sum(season.seen for season in found) <= 3
    assert all(season.length == custom for season in found if not season.seen)


def test_a_slow_decay_is_no_season() -> None:
    """Neighbours of lag 24 are about as high as it is, but nothing before it is lower."""
    steps = np.random.default_rng(3).normal(size=(20_000, 4))
    for t in range(1, len(steps)):
        steps[t] += 0.995 * steps[t - 1]
    found = find_season(steps, HOUR)
    assert found.correlations[24] > 0.5
    assert (found.length, found.seen) == (24, False)


def test_a_day_is_seen_under_a_year_that_moves_far_more() -> None:
    t = np.arange(9000)[:, None]
    swing = 60 * np.sin(2 * np.pi * t / 8766)
    found = find_season(series(9000, 24, 1) + swing, HOUR)
    assert (found.length, found.seen) == (24, True)
    assert found.correlations[24] > 0.6


def test_noise_has_no_season() -> None:
    noise = np.random.default_rng(0).normal(size=(3000, 4))
    found = find_season(noise, HOUR)
    assert (found.length, found.seen) == (24, False)
    assert set(found.correlations) == {24, 168}


def test_a_season_that_is_given_is_taken() -> None:
    found = find_season(series(600, 24, 1), HOUR, length=12)
    assert (found.length, found.seen) == (12, True)
    assert found.correlations[12] < 0 < found.correlations[24]


def test_rows_too_few_for_a_custom_have_a_season_of_one() -> None:
    assert find_season(np.arange(10.0)[:, None] ** 2, HOUR).length == 1
