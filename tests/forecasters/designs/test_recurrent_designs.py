"""Published recurrent designs against their papers' equations, written out once more in loops.

Nothing of `benchmark.cells` is used by the oracles. Every parameter is drawn anew first, for much
starts at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from slstm_oracle import Weights, below, slstm_blocks
from torch import Tensor

from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.resolve import build_forecaster
from benchmark.harness.spec import find_config
from benchmark.plain_yaml import load_yaml

NAMES = ["segrnn", "p_slstm", "xlstm_time", "xlstm_mixer"]
B, L, H, C, P, D, K = 3, 12, 10, 4, 4, 8, 2
SHAPE = SeriesShape(L, H, C, season=4)
SMALL: dict[str, dict[str, Any]] = {
    "segrnn": {"hidden_size": D, "patch": P},
    "p_slstm": {
        "hidden_size": D,
        "patch": P,
        "cell_options": {"blocks": "ss", "num_heads": K, "taps": 3},
    },
    "xlstm_time": {"hidden_size": D, "num_heads": K, "kernel_size": 5, "blocks": "ss"},
    "xlstm_mixer": {"hidden_size": D, "num_heads": K, "layers": 2, "prompt": 2},
}


def build(name: str, shape: SeriesShape = SHAPE, **options: Any) -> Forecaster:
    """The design of a YAML of ours, small, every parameter drawn anew."""
    spec = load_yaml(find_config("models", f"designs/{name}"))["model"] | SMALL[name] | options
    torch.manual_seed(3)
    model = build_forecaster(spec, shape, name).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def windows() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    walk = torch.randn(B, L, C, generator=generator, dtype=torch.float64).cumsum(1)
    return 3 * walk + torch.arange(C) * 10


def weights(model: Forecaster, prefix: str = "") -> Weights:
    named = {name: tensor.detach() for name, tensor in model.named_parameters()}
    return below(named, prefix) if prefix else named


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


# --- the designs, for one window (L, C) -----------------------------------------------------------


def segrnn(model: Forecaster, x: Tensor) -> Tensor:
    w = weights(model)
    gru = below(w, "stack.ahead.0.kernel.")

    def step(e: Tensor, h: Tensor) -> Tensor:
        x_r, x_z, x_n = (gru["weight_ih_l0"] @ e + gru["bias_ih_l0"]).chunk(3)
        h_r, h_z, h_n = (gru["weight_hh_l0"] @ h + gru["bias_hh_l0"]).chunk(3)
        z = torch.sigmoid(x_z + h_z)
        return (1 - z) * torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) + z * h

    forecast = torch.empty(H, C, dtype=x.dtype)
    for c in range(C):
        h = x.new_zeros(D)
        for segment in (x[:, c] - x[-1, c]).split(P):
            h = step(torch.relu(linear(w, "embed.0", segment)), h)
        written = [
            linear(w, "decoder.head", step(torch.cat([place, w["decoder.channel"][c]]), h))
            for place in w["decoder.position"]
        ]
        forecast[:, c] = torch.cat(written)[:H] + x[-1, c]
    return forecast


def p_slstm(model: Forecaster, x: Tensor) -> Tensor:
    w = weights(model)
    forecast = torch.empty(H, C, dtype=x.dtype)
    for c in range(C):
        tokens = torch.stack([linear(w, "embed", patch) for patch in x[:, c].split(P)])
        h = slstm_blocks(below(w, "stack.ahead.0."), tokens, K)
        forecast[:, c] = linear(w, "decoder.head", h.reshape(-1))[:H]
    return forecast


def instance_norm(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean, spread = x.mean(0), (x.var(0, unbiased=False) + 1e-5).sqrt()
    return (x - mean) / spread, mean, spread


def xlstm_time(model: Forecaster, x: Tensor) -> Tensor:
    w = weights(model)
    z, mean, spread = instance_norm(x)
    held = torch.cat([z[:1], z[:1], z, z[-1:], z[-1:]])
    trend = torch.stack([held[t : t + 5].mean(0) for t in range(L)])
    first = w["first.seasonal.weight"][0] @ (z - trend) + w["first.seasonal.bias"].T
    first = first + w["first.trend.weight"][0] @ trend + w["first.trend.bias"].T
    h = slstm_blocks(below(w, "xlstm."), linear(w, "embed", first.T), K)
    return linear(w, "head", h).T * spread + mean


def xlstm_mixer(model: Forecaster, x: Tensor) -> Tensor:
    w = weights(model)
    z, mean, spread = instance_norm(x)
    first = w["first.map.weight"][0] @ (z - z[-1]) + w["first.map.bias"].T + z[-1]
    tokens = torch.cat([w["prompt"], linear(w, "embed", first.T)])
    turned = tokens[:, torch.arange(D - 1, -1, -1)]
    views = [slstm_blocks(below(w, "blocks."), view, K)[2:] for view in (tokens, turned)]
    return linear(w, "head", torch.cat(views, dim=1)).T * spread + mean


ORACLES: dict[str, Callable[[Forecaster, Tensor], Tensor]] = {
    "segrnn": segrnn,
    "p_slstm": p_slstm,
    "xlstm_time": xlstm_time,
    "xlstm_mixer": xlstm_mixer,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_forecast_is_what_the_papers_equations_give(name: str) -> None:
    model, x = build(name), windows()
    expected = torch.stack([ORACLES[name](model, window) for window in x])
    torch.testing.assert_close(model(x), expected, rtol=1e-8, atol=1e-8)


def test_without_a_convolution_the_gates_see_the_channels_themselves() -> None:
    model, x = build("xlstm_mixer", taps=1), windows()
    assert not [name for name in weights(model) if ".conv." in name]
    expected = torch.stack([xlstm_mixer(model, window) for window in x])
    torch.testing.assert_close(model(x), expected, rtol=1e-8, atol=1e-8)


# --- sizes ----------------------------------------------------------------------------------------


def slstm_blocks_size(width: int, heads: int, taps: int, blocks: int) -> int:
    """Of the official stack: conv, W and R of four gates, biases, three norms, feed-forward."""
    inner = 64 * math.ceil(1.3 * width / 64)
    conv = width * taps + width
    gates = 2 * 4 * width * width // heads + 4 * width
    return blocks * (conv + gates + 3 * width + 3 * width * inner) + width


def test_published_settings_have_the_authors_number_of_parameters() -> None:
    """Counted from the layers of the authors' models, at their settings for 336 steps of ETTh1."""
    horizon = 336
    counts = {
        "segrnn": (24 * 512 + 512)
        + (6 * 512 * 512 + 6 * 512)
        + (horizon // 24 * 256 + 7 * 256)
        + (512 * 24 + 24),
        "p_slstm": (6 * 100 + 100)
        + slstm_blocks_size(100, heads=4, taps=4, blocks=1)
        + (336 // 6 * 100 * horizon + horizon),
        "xlstm_time": 2 * (512 * horizon + horizon)
        + (horizon * 256 + 256)
        + slstm_blocks_size(256, heads=4, taps=4, blocks=3)
        + (256 * horizon + horizon),
        "xlstm_mixer": (512 * horizon + horizon)
        + (horizon * 128 + 128)
        + 3 * 128
        + slstm_blocks_size(128, heads=4, taps=4, blocks=4)
        + (2 * 128 * horizon + horizon),
    }
    for name, expected in counts.items():
        run = load_yaml(find_config("models", f"designs/{name}"))
        shape = SeriesShape(run.get("lookback", 336), horizon, channels=7, season=24)
        model = build_forecaster(run["model"], shape, name)
        assert sum(p.numel() for p in model.parameters()) == expected, name


# --- which channel sees which ---------------------------------------------------------------------


def who_sees_whom(model: Forecaster) -> Tensor:
    """``[c, d]``: whether channel c's forecast depends on channel d's lookback."""
    x = windows()[:1].requires_grad_()
    forecast = model(x)
    rows = []
    for c in range(C):
        (gradient,) = torch.autograd.grad(forecast[..., c].square().sum(), x, retain_graph=True)
        rows.append(gradient.abs().amax((0, 1)) > 0)
    return torch.stack(rows)


@pytest.mark.parametrize("name", ["segrnn", "p_slstm"])
def test_a_channel_is_forecast_from_itself_alone(name: str) -> None:
    assert torch.equal(who_sees_whom(build(name)), torch.eye(C, dtype=torch.bool))


@pytest.mark.parametrize("name", ["xlstm_time", "xlstm_mixer"])
def test_a_channel_is_forecast_from_itself_and_those_before_it(name: str) -> None:
    """In both views: what is reversed is the order within a token, not that of the channels."""
    assert torch.equal(who_sees_whom(build(name)), torch.ones(C, C, dtype=torch.bool).tril())


def test_segrnn_tells_channels_apart_by_their_embedding_alone() -> None:
    model, x = build("segrnn"), windows()
    order = torch.tensor([2, 0, 3, 1])
    forecast = model(x)[..., order]
    assert not torch.allclose(model(x[..., order]), forecast)
    with torch.no_grad():
        model.decoder.channel.copy_(model.decoder.channel[order])  # type: ignore[union-attr, operator]
    torch.testing.assert_close(model(x[..., order]), forecast)


def test_swapping_the_last_channels_leaves_the_forecast_of_those_before_them() -> None:
    x, order = windows(), torch.tensor([0, 1, 3, 2])
    for name in ("xlstm_time", "xlstm_mixer"):
        model = build(name)
        forecast, swapped = model(x), model(x[..., order])
        torch.testing.assert_close(swapped[..., :2], forecast[..., :2])
        assert not torch.allclose(swapped[..., 2:], forecast[..., [3, 2]])


# --- what is taken out of a window, and put back --------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shifts", "scales"),
    [
        ("segrnn", True, False),
        ("p_slstm", False, False),
        ("xlstm_time", True, True),
        ("xlstm_mixer", True, True),
    ],
)
def test_level_and_spread_pass_through_as_the_normalisation_says(
    name: str, shifts: bool, scales: bool
) -> None:
    model, x = build(name), windows()
    y = model(x)
    assert torch.allclose(model(x + 7), y + 7) == shifts
    assert torch.allclose(model(5 * x), 5 * y, rtol=1e-3, atol=1e-3) == scales


def test_a_learned_scale_is_the_papers_and_not_the_codes() -> None:
    assert len(weights(build("xlstm_mixer", normalise="revin"), "normaliser.")) == 2
    assert not weights(build("xlstm_mixer"), "normaliser.")


# --- starts, and training -------------------------------------------------------------------------


def test_xlstm_time_starts_from_the_mean_of_the_window() -> None:
    spec = load_yaml(find_config("models", "designs/xlstm_time"))["model"] | SMALL["xlstm_time"]
    model = build_forecaster(spec, SHAPE, "xlstm_time").double()
    x = windows()
    first = model.first  # type: ignore[attr-defined]
    bias = first.seasonal.bias + first.trend.bias  # (1, H)
    torch.testing.assert_close(first(x), x.mean(1, keepdim=True) + bias.T)


def test_the_prompt_starts_small_and_is_read_before_the_first_channel() -> None:
    spec = load_yaml(find_config("models", "designs/xlstm_mixer"))["model"]
    shape = SeriesShape(L, H, channels=1, season=4)
    torch.manual_seed(0)
    prompt = weights(build_forecaster(spec, shape, "xlstm_mixer"))["prompt"]
    assert float(prompt.std()) == pytest.approx(0.01, rel=0.1)
    model = build("xlstm_mixer", shape)
    x = windows()[..., :1]
    before = model(x)
    with torch.no_grad():
        model.prompt.neg_()  # type: ignore[attr-defined, operator]
    assert not torch.allclose(model(x), before)


def test_dropout_is_of_training_alone() -> None:
    x = windows()
    for name, dropout in {"segrnn": 0.5, "xlstm_mixer": 0.5}.items():
        model = build(name, dropout=dropout)
        assert torch.equal(model(x), model(x))
        model.train()
        assert not torch.equal(model(x), model(x)), name
