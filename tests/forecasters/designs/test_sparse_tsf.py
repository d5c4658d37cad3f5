"""SparseTSF against its equations, phase by phase and step by step."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.designs.sparse_tsf import SparseTSF
from benchmark.forecasters.resolve import build_forecaster
from benchmark.harness.spec import find_config
from benchmark.plain_yaml import load_yaml

B, C = 2, 3


def build(lookback: int, horizon: int, period: int, hidden_size: int = 0) -> SparseTSF:
    torch.manual_seed(3)
    shape = SeriesShape(lookback, horizon, C, season=4)
    return SparseTSF(shape, period=period, hidden_size=hidden_size).double()


def windows(lookback: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(B, lookback, C, generator=generator, dtype=torch.float64).cumsum(1) + 10


def by_hand(model: SparseTSF, series: list[float], horizon: int) -> list[float]:
    """One channel of one window, in loops."""
    period, steps = model.period, len(series)
    weights = {key: value.tolist() for key, value in model.state_dict().items()}
    (((taps,),),) = (weights["neighbours.weight"],)
    mean = sum(series) / steps
    z = [value - mean for value in series]
    reach = period // 2
    seen = []
    for t in range(steps):
        around = range(max(0, t - reach), min(steps, t + reach + 1))
        seen.append(z[t] + sum(taps[s - t + reach] * z[s] for s in around))
    whole = seen[steps % period :]

    def mapped(phase: list[float]) -> list[float]:
        if "map.weight" in weights:
            return [
                sum(w * b for w, b in zip(row, phase, strict=True)) for row in weights["map.weight"]
            ]
        first, second = zip(weights["map.0.weight"], weights["map.0.bias"], strict=True), weights
        hidden = [
            max(0.0, c + sum(w * b for w, b in zip(row, phase, strict=True))) for row, c in first
        ]
        return [
            c + sum(w * h for w, h in zip(row, hidden, strict=True))
            for row, c in zip(second["map.2.weight"], second["map.2.bias"], strict=True)
        ]

    ahead = [mapped(whole[phase::period]) for phase in range(period)]
    return [mean + ahead[step % period][step // period] for step in range(horizon)]


@settings(max_examples=30, deadline=None)
@given(
    lookback=st.integers(4, 30),
    horizon=st.integers(1, 20),
    period=st.integers(1, 9),
    hidden_size=st.sampled_from([0, 5]),
)
def test_every_phase_is_forecast_by_the_same_map_from_itself_and_its_neighbours(
    lookback: int, horizon: int, period: int, hidden_size: int
) -> None:
    period = min(period, lookback)
    model, x = build(lookback, horizon, period, hidden_size), windows(lookback)
    forecast = model(x)
    for b in range(B):
        for c in range(C):
            expected = by_hand(model, x[b, :, c].tolist(), horizon)
            torch.testing.assert_close(forecast[b, :, c], torch.tensor(expected).double())


def test_its_sizes_are_the_published_ones() -> None:
    def size(name: str) -> int:
        document = load_yaml(find_config("models", name))
        shape = SeriesShape(document["lookback"], 336, channels=7, season=24)
        model = build_forecaster(document["model"], shape, name)
        return sum(p.numel() for p in model.parameters())

    days, ahead = 720 // 24, 336 // 24
    assert size("designs/sparse_tsf") == days * ahead + 25
    assert size("reproduction/sparse_tsf_mlp") == days * 128 + 128 + 128 * ahead + ahead + 25


def test_a_day_that_comes_again_is_forecast_where_the_map_copies_the_last_one() -> None:
    model = build(40, 12, period=4)
    with torch.no_grad():
        model.neighbours.weight.zero_()
        model.map.weight.zero_()  # type: ignore[operator, union-attr]
        model.map.weight[:, -1] = 1  # type: ignore[index]
    day = torch.randn(B, 4, C, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(model(day.repeat(1, 10, 1)), day.repeat(1, 3, 1))


def test_channels_are_forecast_alike_and_apart() -> None:
    model, x = build(24, 8, period=4, hidden_size=3), windows(24)
    assert model.channel_independent
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(model(x[..., order]), model(x)[..., order])
    moved = x.clone()
    moved[..., 1] += torch.arange(24)
    torch.testing.assert_close(model(moved)[..., [0, 2]], model(x)[..., [0, 2]])


def test_the_period_is_the_datas_season_unless_it_is_named() -> None:
    shape = SeriesShape(24, 8, C, season=4)
    assert SparseTSF(shape).period == 4
    assert SparseTSF(shape, period=6).period == 6
    with pytest.raises(ValueError, match="the period is 25 and the lookback 24"):
        SparseTSF(shape, period=25)
