"""The linear models against torch's pooling, loops over channels and torch's linear layers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.errors import UserError
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.linear import DLinear, Linear, TimeLinear, moving_average
from benchmark.forecasters.resolve import build_forecaster

B, L, H, C = 5, 12, 7, 3
SHAPE = SeriesShape(L, H, C, season=4)


def windows() -> Tensor:
    return torch.randn(B, L, C, generator=torch.Generator().manual_seed(0))


def smooth_by_loop(window: list[float], kernel_size: int) -> list[float]:
    """Centred moving average; beyond the window its first or last value is held."""
    reach, steps = kernel_size // 2, len(window)
    return [
        sum(window[min(max(t + k, 0), steps - 1)] for k in range(-reach, reach + 1)) / kernel_size
        for t in range(steps)
    ]


# --- the map along time --------------------------------------------------------------------------


def test_a_shared_map_is_one_linear_layer_for_every_channel() -> None:
    ours, x = TimeLinear(SHAPE), windows()
    theirs = nn.Linear(L, H)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight[0])
        theirs.bias.copy_(ours.bias[0])
    forecast = ours(x)
    assert forecast.shape == (B, H, C)
    for c in range(C):
        torch.testing.assert_close(forecast[..., c], theirs(x[..., c]))


def test_individual_maps_are_a_loop_of_linear_layers() -> None:
    ours, x = TimeLinear(SHAPE, individual=True), windows()
    forecast = ours(x)
    assert ours.weight.shape == (C, H, L)
    assert forecast.shape == (B, H, C)
    for c in range(C):
        expected = F.linear(x[..., c], ours.weight[c], ours.bias[c])
        torch.testing.assert_close(forecast[..., c], expected)
    assert not torch.equal(ours.weight[0], ours.weight[1])


def test_individual_with_one_channel_is_shared() -> None:
    shape = SeriesShape(L, H, channels=1, season=4)
    assert TimeLinear(shape, individual=True)(windows()[..., :1]).shape == (B, H, 1)


def test_weights_start_in_the_bounds_of_torchs_linear_layer() -> None:
    shape = SeriesShape(400, 100, channels=1, season=4)
    ours, theirs = TimeLinear(shape), nn.Linear(400, 100)
    for name in ("weight", "bias"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert float(a.detach().abs().max()) <= 400**-0.5
        assert float(a.detach().std()) == pytest.approx(float(b.detach().std()), rel=0.3)


# --- NLinear and RLinear -------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", ["last", "mean", "standard", "revin"])
def test_a_level_added_to_the_lookback_is_added_to_the_forecast(normalise: str) -> None:
    model, x = Linear(SHAPE, normalise=normalise), windows()  # type: ignore[arg-type]
    level = torch.tensor([5.0, -3.0, 100.0])
    torch.testing.assert_close(model(x + level), model(x) + level, rtol=1e-4, atol=1e-4)
    plain = Linear(SHAPE)
    assert not torch.allclose(plain(x + level), plain(x) + level, atol=0.1)


@pytest.mark.parametrize("normalise", ["standard", "revin"])
def test_a_spread_multiplied_into_the_lookback_is_multiplied_into_the_forecast(
    normalise: str,
) -> None:
    model, x = Linear(SHAPE, normalise=normalise), 100 * windows()  # type: ignore[arg-type]
    torch.testing.assert_close(model(10 * x), 10 * model(x), rtol=1e-4, atol=1e-3)


def test_nlinear_is_its_equation() -> None:
    model, x = Linear(SHAPE, normalise="last"), windows()
    last = x[:, -1:]
    torch.testing.assert_close(model(x), model.map(x - last) + last)


@pytest.mark.parametrize(
    ("options", "independent"),
    [
        ({}, True),
        ({"normalise": "last"}, True),
        ({"normalise": "standard"}, True),
        ({"normalise": "revin"}, False),
        ({"individual": True}, False),
    ],
)
def test_channels_are_called_independent_only_where_all_share_the_weights(
    options: dict[str, object], independent: bool
) -> None:
    assert Linear(SHAPE, **options).channel_independent is independent  # type: ignore[arg-type]


# --- DLinear -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 11, 25, 101])
def test_the_moving_average_is_torchs_pooling_and_a_loop(kernel_size: int) -> None:
    x = windows()
    ours = moving_average(x, kernel_size).transpose(1, 2)  # (B, C, L)
    reach = kernel_size // 2
    held = F.pad(x.transpose(1, 2), (reach, reach), mode="replicate")
    pooled = F.avg_pool1d(held, kernel_size, stride=1)
    torch.testing.assert_close(ours, pooled, rtol=1e-4, atol=1e-5)
    for b in range(B):
        for c in range(C):
            expected = torch.tensor(smooth_by_loop(x[b, :, c].tolist(), kernel_size))
            torch.testing.assert_close(ours[b, c], expected, rtol=1e-4, atol=1e-5)


def test_dlinear_is_one_map_of_the_trend_and_one_of_the_rest() -> None:
    model, x = DLinear(SHAPE, kernel_size=5), windows()
    trend = torch.stack(
        [
            torch.stack([torch.tensor(smooth_by_loop(x[b, :, c].tolist(), 5)) for c in range(C)])
            for b in range(B)
        ]
    ).transpose(1, 2)
    expected = model.trend(trend) + model.seasonal(x - trend)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(model.trend.weight, model.seasonal.weight)


def test_the_moving_average_is_no_weight() -> None:
    model = DLinear(SHAPE, kernel_size=5)
    assert sorted(model.state_dict()) == sorted(name for name, _ in model.named_parameters())
    assert sum(p.numel() for p in model.parameters()) == 2 * (L * H + H)


def test_an_even_kernel_has_no_centre_and_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel_size must be odd, but is 24"):
        DLinear(SHAPE, kernel_size=24)
    with pytest.raises(UserError, match=r"d\.yaml: model: kernel_size must be odd"):
        build_forecaster({"class": "DLinear", "kernel_size": 24}, SHAPE, "d.yaml")
