"""Holt-Winters against statsmodels, step by step against its equations, and its gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from torch import Tensor

from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.holt_winters import START, HoltWinters

B, L, H, C, M = 2, 23, 11, 3, 4
SHAPE = SeriesShape(L, H, C, season=M)
RATES = {"alpha": [0.2, 0.5, 0.9], "beta": [0.1, 0.4, 0.2], "gamma": [0.3, 0.05, 0.6]}
RATES["phi"] = [0.95, 0.8, 0.5]


def build(**options: int) -> HoltWinters:
    model = HoltWinters(SHAPE, individual=True, **options).double()
    with torch.no_grad():
        model.rates.copy_(torch.tensor(list(RATES.values()), dtype=torch.float64).logit())
    return model


def windows() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    walk = torch.randn(B, L, C, generator=generator, dtype=torch.float64).cumsum(1)
    return walk + 3 * torch.sin(torch.arange(L) * 2 * math.pi / M)[:, None]


def test_a_forecast_is_that_of_statsmodels_with_the_same_rates_and_the_same_start() -> None:
    model, x = build(), windows()
    forecast = model(x).detach().numpy()
    for b in range(B):
        for c in range(C):
            series = x[b, :, c].numpy()
            alpha, beta, gamma, phi = (rates[c] for rates in RATES.values())
            reference = ETSModel(
                series[M:],
                trend="add",
                damped_trend=True,
                seasonal="add",
                seasonal_periods=M,
                initialization_method="known",
                initial_level=series[:M].mean(),
                initial_trend=0.0,
                initial_seasonal=series[:M] - series[:M].mean(),
            ).smooth([alpha, alpha * beta, gamma, phi])
            np.testing.assert_allclose(forecast[b, :, c], reference.forecast(H), rtol=1e-9)


@pytest.mark.parametrize("lookback", [M + 1, M + 2, 9, 16, L])
def test_products_that_double_are_the_recurrence_of_all_steps(lookback: int) -> None:
    model = HoltWinters(SeriesShape(lookback, H, C, season=M), individual=True).double()
    model.load_state_dict(build().state_dict())
    x = windows()[:, -lookback:]
    rates = (torch.tensor(each, dtype=torch.float64) for each in RATES.values())
    alpha, beta, gamma, phi = rates
    level, trend = x[:, :M].mean(1), torch.zeros(B, C, dtype=torch.float64)
    season = list((x[:, :M] - level[:, None]).unbind(1))
    for step in x[:, M:].unbind(1):
        expected = level + phi * trend
        error = step - (expected + season[-M])
        level = expected + alpha * error
        trend = phi * trend + alpha * beta * error
        season.append(season[-M] + gamma * error)
    for h, found in enumerate(model(x).unbind(1), start=1):
        faded = sum(phi**i for i in range(1, h + 1))
        expected = level + faded * trend + season[len(season) - M + (h - 1) % M]
        torch.testing.assert_close(found, expected)


def test_a_season_on_a_level_is_forecast_as_it_is() -> None:
    day = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    x = day.repeat(8)[None, :L, None].repeat(B, 1, C)
    expected = day.repeat(9)[None, L : L + H, None].repeat(B, 1, C)
    torch.testing.assert_close(build()(x), expected)


def test_level_and_spread_pass_through() -> None:
    model, x = build(), windows()
    torch.testing.assert_close(model(5 * x + 7), 5 * model(x) + 7)


def test_the_gradient_through_all_steps_is_right() -> None:
    model, x = build(), windows()[:1]
    rates = model.rates.detach().requires_grad_()

    def forecast(given: Tensor) -> Tensor:
        return torch.func.functional_call(model, {"rates": given}, (x,))

    assert torch.autograd.gradcheck(forecast, (rates,))


def test_rates_are_of_each_channel_or_of_all() -> None:
    x, order = windows(), torch.tensor([2, 0, 1])
    own, shared = HoltWinters(SHAPE, individual=True).double(), HoltWinters(SHAPE).double()
    assert (own.rates.shape, shared.rates.shape) == ((4, C), (4, 1))
    assert (own.channel_independent, shared.channel_independent) == (False, True)
    torch.testing.assert_close(own(x), shared(x))  # before training
    torch.testing.assert_close(shared(x[..., order]), shared(x)[..., order])
    assert torch.allclose(own.rates.sigmoid()[:, 0], torch.tensor(list(START.values())).double())


def test_the_period_is_the_datas_season_unless_it_is_named() -> None:
    assert (build().period, build(period=6).period) == (M, 6)
    with pytest.raises(ValueError, match="the lookback is 23 and the period 23"):
        build(period=23)


@pytest.mark.parametrize("horizon", [1, 5])
def test_without_a_season_it_is_an_exponential_average(horizon: int) -> None:
    model = HoltWinters(SeriesShape(L, horizon, C, season=1)).double()
    with torch.no_grad():
        model.rates.copy_(torch.tensor([[0.3], [1e-9], [1e-9], [0.5]]).double().logit())
    x = windows()
    level = x[:, 0]
    for step in x[:, 1:].unbind(1):
        level = 0.3 * step + 0.7 * level
    expected = level[:, None].expand(-1, horizon, -1)
    torch.testing.assert_close(model(x), expected, rtol=1e-6, atol=1e-6)
