"""The naive forecasts by hand."""

from __future__ import annotations

import pytest
import torch

from benchmark.errors import UserError
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.naive import LastValue, SeasonalNaive, WindowMean
from benchmark.forecasters.resolve import build_forecaster

X = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0], [5.0, 50.0]]])  # (1, 5, 2)


def shape(horizon: int, season: int = 2) -> SeriesShape:
    return SeriesShape(lookback=5, horizon=horizon, channels=2, season=season)


def test_last_value_is_held() -> None:
    forecast = LastValue(shape(3))(X)
    assert forecast.tolist() == [[[5, 50], [5, 50], [5, 50]]]


def test_the_window_mean_is_held() -> None:
    forecast = WindowMean(shape(2))(X)
    assert forecast.tolist() == [[[4, 40], [4, 40]]]


@pytest.mark.parametrize(
    ("season", "seasons", "horizon", "expected"),
    [
        (2, 1, 5, [8, 5, 8, 5, 8]),
        (2, 2, 5, [2, 4, 8, 5, 2]),
        (3, 1, 2, [4, 8]),
        (3, 1, 3, [4, 8, 5]),
        (3, 1, 7, [4, 8, 5, 4, 8, 5, 4]),
        (1, 1, 3, [5, 5, 5]),
        (5, 1, 6, [1, 2, 4, 8, 5, 1]),
        (1, 5, 6, [1, 2, 4, 8, 5, 1]),
    ],
)
def test_the_last_seasons_are_repeated(
    season: int, seasons: int, horizon: int, expected: list[float]
) -> None:
    forecast = SeasonalNaive(shape(horizon, season), seasons=seasons)(X)
    assert forecast[0, :, 0].tolist() == expected
    assert forecast[0, :, 1].tolist() == [10 * value for value in expected]


def test_a_lookback_shorter_than_the_seasons_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        build_forecaster({"class": "SeasonalNaive", "seasons": 3}, shape(4), "naive.yaml")
    assert str(caught.value) == (
        "naive.yaml: model: seasonal naive repeats the last 6 steps, but lookback is 5; "
        "raise it or lower seasons"
    )


@pytest.mark.parametrize("cls", [LastValue, SeasonalNaive, WindowMean])
def test_there_is_nothing_to_fit(cls: type[LastValue]) -> None:
    assert cls.fitted == "none"
    assert not list(cls(shape(3)).parameters())
