"""FITS against sums of waves, written out once more in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.designs.fits import FITS

B, C = 3, 2


def build(lookback: int, horizon: int, **options: int) -> FITS:
    torch.manual_seed(3)
    return FITS(SeriesShape(lookback, horizon, C, season=4), **options)


@pytest.mark.parametrize(
    ("lookback", "horizon", "low"),
    [
        (48, 12, 16),  # (48 // 24 + 1) * 2 + 10
        (48, 7, 16),
        (49, 20, 16),
        (24, 12, 13),  # no more frequencies than there are
    ],
)
def test_a_forecast_goes_on_with_the_waves_that_the_map_makes_of_the_lowest(
    lookback: int, horizon: int, low: int
) -> None:
    model = build(lookback, horizon, harmonics=2)
    walk = np.random.default_rng(5).standard_normal((B, lookback, C)).cumsum(1) + 10
    with torch.no_grad():
        found = model(torch.tensor(walk, dtype=torch.float32)).numpy()

    length = lookback + horizon
    mean, std = walk.mean(1, keepdims=True), np.sqrt(walk.var(1, keepdims=True) + 1e-5)
    z = (walk - mean) / std
    steps = np.arange(lookback)
    waves = np.exp(-2j * np.pi * np.arange(low)[:, None] * steps / lookback)  # (K, L)
    spectrum = np.einsum("kl,blc->bck", waves, z)
    weight, bias = (p.detach().numpy() for p in (model.map.weight, model.map.bias))
    count = int(low * length / lookback)
    assert weight.shape == (count, low)
    mapped = spectrum @ weight.T + bias
    ahead = np.arange(lookback, length)
    forecast = np.zeros((B, C, horizon))
    for k in range(count):
        real = (mapped[..., k, None] * np.exp(2j * np.pi * k * ahead / length)).real
        alone = k == 0 or 2 * k == length  # frequencies without a mirror image
        forecast += (1 if alone else 2) * real / length
    forecast *= length / lookback
    expected = forecast.transpose(0, 2, 1) * std + mean
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_what_the_map_copies_comes_back_without_its_short_waves() -> None:
    model = build(96, 96, harmonics=1)  # K = 15 of 49 frequencies, twice as many in two lookbacks
    with torch.no_grad():
        model.map.weight.zero_()
        model.map.bias.zero_()
        for k in range(model.low):  # a wave of k turns in L makes 2 k in 2 L
            model.map.weight[2 * k, k] = 1
    steps = torch.arange(192.0)
    long, short = (torch.sin(2 * torch.pi * steps * turns / 96) for turns in (4, 40))
    x = (long + short)[None, :96, None].repeat(1, 1, C)
    torch.testing.assert_close(model(x)[0, :, 0], long[96:], atol=1e-3, rtol=0)


def test_its_size_follows_from_where_it_cuts() -> None:
    model = FITS(SeriesShape(360, 336, 7, season=24))
    assert (model.low, model.map.out_features) == (106, 204)
    assert sum(p.numel() for p in model.parameters()) == 204 * 107


def test_every_weight_is_read_where_the_horizon_is_longer_than_the_lookback() -> None:
    model = build(24, 72)
    model(torch.randn(B, 24, C)).square().sum().backward()
    unread = (model.map.weight.grad == 0).all(dim=1)
    assert len(unread) == 96 // 2 + 1
    assert not unread.any()
