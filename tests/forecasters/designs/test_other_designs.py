"""Published designs against their papers' equations, written out once more in plain loops.

The oracles take one window ``(L, C)`` and use no part of `benchmark`. Every parameter and every
running statistic is drawn anew first, for much starts at zero or one. A dropout is replaced by a
factor, so that an oracle can tell where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.config import load_yaml
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.resolve import build_forecaster
from benchmark.harness.spec import find_config

NAMES = ["patchtst", "itransformer", "tsmixer", "s_mamba", "time_machine"]
B, L, H, C, D, K, F = 3, 13, 10, 4, 8, 2, 5
SHAPE = SeriesShape(L, H, C, season=4)
MAMBA: dict[str, Any] = {"state_size": 3, "conv_width": 3}
SMALL: dict[str, dict[str, Any]] = {
    "patchtst": {"num_heads": K, "feed_forward_size": F, "patch": 4, "stride": 2},
    "itransformer": {"num_heads": K, "feed_forward_size": F},
    "tsmixer": {"layers": 2},
    "s_mamba": {"feed_forward_size": F} | MAMBA,
    "time_machine": {"inner_size": 6} | MAMBA,
}
Weights = dict[str, Tensor]


class Factor(nn.Module):
    """What stands in for a dropout."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def build(name: str, shape: SeriesShape = SHAPE, factor: float = 1, **options: Any) -> Forecaster:
    """The design of a YAML of ours, small, drawn anew, its dropouts replaced by a factor."""
    spec = load_yaml(find_config("models", f"designs/{name}"))["model"] | {"hidden_size": D}
    torch.manual_seed(3)
    model = build_forecaster(spec | SMALL[name] | options, shape, name).double().eval()
    for key, tensor in model.state_dict().items():
        if key.endswith("running_var"):
            nn.init.uniform_(tensor, 0.5, 2)
        elif tensor.is_floating_point():
            nn.init.normal_(tensor, std=0.4)
    for module in list(model.modules()):
        for child, part in module.named_children():
            if isinstance(part, nn.Dropout):
                setattr(module, child, Factor(factor))
    return model


def windows(channels: int = C) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    walk = torch.randn(B, L, channels, generator=generator, dtype=torch.float64).cumsum(1)
    return 3 * walk + torch.arange(channels) * 10


def weights(model: nn.Module, prefix: str = "") -> Weights:
    named = {key: tensor.detach() for key, tensor in model.state_dict().items()}
    return {key[len(prefix) :]: named[key] for key in named if key.startswith(prefix)}


def below(w: Weights, prefix: str) -> Weights:
    return {key[len(prefix) :]: tensor for key, tensor in w.items() if key.startswith(prefix)}


# --- what the oracles share -----------------------------------------------------------------------


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def layer_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    z = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    return z * w[f"{name}.weight"] + w[f"{name}.bias"]


def batch_norm(w: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    """In evaluation, features last."""
    z = (x - w[f"{name}.running_mean"]) / (w[f"{name}.running_var"] + eps).sqrt()
    return z * w[f"{name}.weight"] + w[f"{name}.bias"]


def feed_forward(w: Weights, first: str, second: str, x: Tensor, drop: float) -> Tensor:
    return drop * linear(w, second, drop * gelu(linear(w, first, x)))


def attention(q: Tensor, k: Tensor, v: Tensor, scores: list[Tensor]) -> Tensor:
    """Heads one by one, queries one by one; `scores` are added, and replaced by what was used."""
    heads = []
    for head in range(K):
        mine = slice(head * D // K, (head + 1) * D // K)
        used = q[:, mine] @ k[:, mine].T / math.sqrt(D / K) + scores[head]
        scores[head] = used
        rows = [torch.exp(row) / torch.exp(row).sum() @ v[:, mine] for row in used]
        heads.append(torch.stack(rows))
    return torch.cat(heads, dim=-1)


def mamba(w: Weights, u: Tensor) -> Tensor:
    """arXiv:2312.00752, for one sequence ``(S, I)``."""
    x, z = (u @ w["in_proj.weight"].T).chunk(2, dim=-1)
    taps = w["conv.weight"][:, 0]
    width, states = taps.shape[1], w["A_log"].shape[1]
    padded = torch.cat([x.new_zeros(width - 1, x.shape[1]), x])
    h, outputs = x.new_zeros(x.shape[1], states), []
    for t in range(len(u)):
        seen = w["conv.bias"] + sum(taps[:, k] * padded[t + k] for k in range(width))
        seen = silu(seen)
        selected = w["x_proj.weight"] @ seen
        r, into, out = selected[: -2 * states], selected[-2 * states : -states], selected[-states:]
        dt = torch.log(1 + torch.exp(w["dt_proj.weight"] @ r + w["dt_proj.bias"]))
        for n in range(states):
            h[:, n] = torch.exp(-dt * torch.exp(w["A_log"][:, n])) * h[:, n] + dt * seen * into[n]
        outputs.append(w["out_proj.weight"] @ ((h @ out + w["D"] * seen) * silu(z[t])))
    return torch.stack(outputs)


def standard(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    mean, sd = x.mean(0), (x.var(0, correction=0) + 1e-5).sqrt()
    return (x - mean) / sd, lambda y: y * sd + mean


def revin(w: Weights, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    z, back = standard(x)
    gain, shift = w["normaliser.gain"], w["normaliser.shift"]
    return z * gain + shift, lambda y: back((y - shift) / (gain + 1e-10))


# --- the designs, for one window (L, C) -----------------------------------------------------------


def patchtst(model: Forecaster, x: Tensor, drop: float) -> Tensor:
    w = weights(model)
    z, back = standard(x)
    forecast = []
    for c in range(x.shape[1]):
        series = [*z[:, c].tolist(), float(z[-1, c]), float(z[-1, c])]
        cut = [series[s : s + 4] for s in range(0, len(series) - 3, 2)]
        u = drop * (linear(w, "embed", x.new_tensor(cut)) + w["position"])
        scores = [x.new_zeros(len(cut), len(cut))] * K
        for layer in range(3):
            v = below(w, f"layers.{layer}.")
            read = attention(*linear(v, "attention.in_proj", u).chunk(3, dim=-1), scores)
            u = u + drop * drop * linear(v, "attention.out_proj", read)
            u = batch_norm(v, "attention_norm", u, 1e-5)
            u = u + feed_forward(v, "feed_forward.0", "feed_forward.3", u, drop)
            u = batch_norm(v, "feed_forward_norm", u, 1e-5)
        forecast.append(linear(w, "head", u.reshape(-1)))
    return back(torch.stack(forecast, dim=1))


def itransformer(model: Forecaster, x: Tensor, drop: float) -> Tensor:
    w = weights(model)
    z, back = standard(x)
    h = drop * linear(w, "embed.0", z.T)
    for layer in range(2):
        v = below(w, f"encoder.{layer}.")
        packed = h @ v["self_attn.in_proj_weight"].T + v["self_attn.in_proj_bias"]
        read = attention(*packed.chunk(3, dim=-1), [x.new_zeros(len(h), len(h))] * K)
        h = layer_norm(v, "norm1", h + drop * linear(v, "self_attn.out_proj", read))
        h = layer_norm(v, "norm2", h + feed_forward(v, "linear1", "linear2", h, drop))
    return back(linear(w, "head", layer_norm(w, "encoder.2", h)).T)


def s_mamba(model: Forecaster, x: Tensor, drop: float) -> Tensor:
    w = weights(model)
    z, back = standard(x)
    h = drop * linear(w, "embed.0", z.T)
    for layer in range(2):
        v = below(w, f"encoder.{layer}.")
        mixed = mamba(below(v, "ahead."), h) + mamba(below(v, "back."), h.flip(0)).flip(0)
        h = layer_norm(v, "mixing_norm", h + mixed)
        h = h + feed_forward(v, "feed_forward.0", "feed_forward.3", h, drop)
        h = layer_norm(v, "feed_forward_norm", h)
    return back(linear(w, "head", layer_norm(w, "encoder.2", h)).T)


def tsmixer(model: Forecaster, x: Tensor, drop: float) -> Tensor:
    w = weights(model)
    z, back = revin(w, x)
    for block in range(2):
        v = below(w, f"blocks.{block}.")
        normed = batch_norm(v, "time_norm", z.reshape(-1), 1e-3).view_as(z)
        z = z + drop * linear(v, "time.0", normed.T).clamp(min=0).T
        normed = batch_norm(v, "feature_norm", z.reshape(-1), 1e-3).view_as(z)
        hidden = drop * linear(v, "feature.0", normed).clamp(min=0)
        z = z + drop * linear(v, "feature.3", hidden)
    return back(linear(w, "head", z.T).T)


def time_machine(model: Forecaster, x: Tensor, drop: float) -> Tensor:
    w = weights(model)
    z, back = revin(w, x)

    def pair(which: str, u: Tensor) -> Tensor:
        first, second = (below(w, f"{which}.{name}.") for name in ("first", "second"))
        if second["in_proj.weight"].shape[1] > 1:  # channels are the steps of both
            return mamba(first, u) + mamba(second, u)
        rows = [mamba(first, row[None])[0] + mamba(second, row[:, None])[:, 0] for row in u]
        return torch.stack(rows)

    u = linear(w, "embed", z.T)
    v = linear(w, "narrow", drop * u)
    q = v + pair("inner", drop * v)
    p = pair("outer", drop * u)
    return back(linear(w, "head", torch.cat([u + linear(w, "widen", q), p], dim=-1)).T)


ORACLES: dict[str, Callable[[Forecaster, Tensor, float], Tensor]] = {
    name: globals()[name] for name in NAMES
}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("time_machine", {"channels": "mixing", "expand": 2}),
    ("s_mamba", {"expand": 2}),
]


@pytest.mark.parametrize("factor", [1, 0.5])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_a_design_computes_its_papers_equations(
    name: str, options: dict[str, Any], factor: float
) -> None:
    model, x = build(name, factor=factor, **options), windows()
    expected = torch.stack([ORACLES[name](model, window, factor) for window in x])
    torch.testing.assert_close(model(x), expected, rtol=1e-9, atol=1e-9)
    with torch.no_grad():  # torch's encoder layer has a shorter way then, past its dropouts
        if name != "itransformer" or factor == 1:
            torch.testing.assert_close(model(x), expected, rtol=1e-9, atol=1e-9)


# --- sizes ----------------------------------------------------------------------------------------


def attention_size(d: int, f: int) -> int:
    return 4 * d * d + 4 * d + 2 * d * f + f + d + 4 * d


def mamba_size(d: int, n: int, k: int, decays: bool = True) -> int:
    """With expand 1."""
    r = math.ceil(d / 16)
    return 3 * d * d + k * d + d + d * (r + 2 * n) + r * d + d + d + n * d * decays


def test_sizes_at_the_published_settings_are_those_of_the_formulas() -> None:
    expected = {
        "patchtst": 16 * 16 + 16 + 42 * 16 + 3 * attention_size(16, 128) + 336 * (42 * 16 + 1),
        "itransformer": 97 * 512 + 2 * attention_size(512, 512) + 2 * 512 + 336 * 513,
        "s_mamba": (
            97 * 256
            + 2 * (2 * mamba_size(256, 2, 2) + 2 * (256 * 256 + 256) + 4 * 256)
            + 2 * 256
            + 336 * 257
        ),
        "tsmixer": (
            2 * 7 + 4 * (4 * 512 * 7 + 512 * 513 + 7 * 256 + 256 + 256 * 7 + 7) + 336 * 513
        ),
        "time_machine": (
            2 * 7
            + 97 * 512
            + 513 * 128
            + 129 * 512
            + 1025 * 336
            + sum(mamba_size(d, 256, 2, decays=False) for d in (512, 128))
            + 2 * mamba_size(1, 256, 2)
        ),
    }
    for name in NAMES:
        document = load_yaml(find_config("models", f"designs/{name}"))
        shape = SeriesShape(document["lookback"], 336, 7, season=24)
        model = build_forecaster(document["model"], shape, name)
        assert sum(p.numel() for p in model.parameters()) == expected[name], name


# --- channels -------------------------------------------------------------------------------------


def test_patchtst_forecasts_a_channel_from_itself_alone() -> None:
    model, x = build("patchtst"), windows()
    single = build("patchtst", SeriesShape(L, H, 1, season=4))
    single.load_state_dict(model.state_dict())
    each = torch.cat([single(x[..., c : c + 1]) for c in range(C)], dim=-1)
    torch.testing.assert_close(model(x), each)
    assert model.channel_independent
    for name in NAMES[1:]:
        assert not build(name).channel_independent


@pytest.mark.parametrize("name", ["itransformer", "s_mamba", "tsmixer"])
def test_a_forecast_depends_on_every_channel(name: str) -> None:
    model, x = build(name), windows()
    reads = torch.autograd.functional.jacobian(lambda x: model(x[None])[0].sum(0), x[0])
    assert bool((reads.abs().sum(1) > 1e-9).all()), "C outputs by C inputs"


def test_time_machine_is_independent_but_for_the_gains_of_revin() -> None:
    reads = {}
    for channels in ("independent", "mixing"):
        model = build("time_machine", channels=channels)

        def by_channel(x: Tensor, model: Forecaster = model) -> Tensor:
            return model(x[None])[0].sum(0)  # type: ignore[no-any-return]

        jacobian = torch.autograd.functional.jacobian(by_channel, windows()[0])
        reads[channels] = jacobian.abs().sum(1) > 1e-9
    assert torch.equal(reads["independent"], torch.eye(C, dtype=torch.bool))
    assert torch.equal(reads["mixing"], torch.ones(C, C).tril().bool()), "only those before it"


def test_only_attention_takes_channels_in_any_order() -> None:
    x, order = windows(), torch.tensor([2, 0, 3, 1])
    for name in ("itransformer", "s_mamba", "tsmixer"):
        model = build(name)
        same = torch.allclose(model(x)[..., order], model(x[..., order]), atol=1e-7)
        assert same == (name == "itransformer"), name


def test_s_mamba_reads_channels_from_both_ends() -> None:
    """Turning the channels round is the same as exchanging the two directions."""
    model, x = build("s_mamba"), windows()
    expected = model(x.flip(-1)).flip(-1)
    for layer in list(model.encoder)[:-1]:  # type: ignore[call-overload]
        layer.ahead, layer.back = layer.back, layer.ahead
    torch.testing.assert_close(model(x), expected)


# --- training -------------------------------------------------------------------------------------


def test_patchtst_normalises_a_batch_by_all_its_windows_channels_and_patches() -> None:
    model, x = build("patchtst", layers=1).train(), windows()
    inputs: list[Tensor] = []
    norm = model.layers[0].attention_norm  # type: ignore[index, union-attr]
    norm.register_forward_hook(lambda module, given, out: inputs.append(torch.cat([*given, out])))
    model(x)
    (rows,) = inputs
    given, out = rows.chunk(2)
    assert given.shape == (B * C * 6, D)  # (13 - 4) // 2 + 2 patches
    z = (given - given.mean(0)) / (given.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(out, z * norm.weight + norm.bias)  # type: ignore[operator]


def test_tsmixer_normalises_every_step_and_channel_over_the_windows_of_a_batch() -> None:
    norm = build("tsmixer").blocks[0].time_norm.train()  # type: ignore[index, union-attr]
    x = windows()
    before = norm.running_mean.clone()
    z = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-3).sqrt()
    expected = z * norm.weight.view(L, C) + norm.bias.view(L, C)
    torch.testing.assert_close(norm(x), expected)
    moved = 0.99 * before + 0.01 * x.mean(0).reshape(-1)
    torch.testing.assert_close(norm.running_mean, moved)


def test_tsmixer_trains_on_a_batch_of_a_single_window() -> None:
    """As an epoch of 8033 windows in batches of 32 ends, which is ETTh1's at horizon 96."""
    model, x = build("tsmixer"), windows()[:1]
    expected = model.eval()(x)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    torch.testing.assert_close(model.train()(x), expected)
    assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())


def test_tsmixer_starts_as_keras_would() -> None:
    document = load_yaml(find_config("models", "designs/tsmixer"))
    torch.manual_seed(1)
    model = build_forecaster(document["model"], SeriesShape(96, 48, 7, season=24), "tsmixer")
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert len(layers) == 3 * 4 + 1
    for layer in layers:
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert 0.97 * bound < float(layer.weight.detach().abs().max()) <= bound
        assert not bool(layer.bias.any())


def test_layers_do_not_start_as_copies_of_each_other() -> None:
    for name in ("patchtst", "itransformer", "s_mamba", "tsmixer"):
        document = load_yaml(find_config("models", f"designs/{name}"))
        model = build_forecaster(document["model"], SeriesShape(96, 48, 7, season=24), name)
        matrices = [p for p in model.parameters() if p.ndim == 2 and p.std() > 0]
        for i, first in enumerate(matrices):
            for second in matrices[i + 1 :]:
                same = first.shape == second.shape and torch.equal(first, second)
                assert not same or bool((first[0] == first[1]).all()), name  # A_log starts fixed


def test_half_of_time_machines_mambas_have_no_decay_to_learn() -> None:
    """With independent channels the first of each pair sees one step, from an empty memory."""
    model, x = build("time_machine"), windows()
    named = dict(model.named_parameters())
    assert {key for key in named if key.endswith("A_log")} == {
        "inner.second.A_log",
        "outer.second.A_log",
    }
    expected = model(x)
    constants = [model.get_buffer(f"{which}.first.A_log") for which in ("inner", "outer")]
    for constant in constants:
        constant.add_(1)
    assert torch.equal(model(x), expected)
    model(x).square().sum().backward()
    taps = named["outer.first.conv.weight"].grad
    assert taps is not None
    assert not bool(taps[..., :-1].any())
    assert bool(taps[..., -1].all())


def test_dropout_acts_in_training_and_is_silent_in_evaluation() -> None:
    x = windows().float()
    for name in NAMES:
        spec = load_yaml(find_config("models", f"designs/{name}"))["model"] | {"hidden_size": D}
        model = build_forecaster(spec | SMALL[name] | {"dropout": 0.5}, SHAPE, name)
        assert torch.equal(model.eval()(x), model(x))
        assert not torch.allclose(model.train()(x), model(x)), name
        rates = [part.p for part in model.modules() if isinstance(part, nn.Dropout)]
        assert set(rates) == {0.5}
        for part in model.modules():
            if isinstance(part, nn.MultiheadAttention):  # on the weights: hidden from the oracle
                assert part.dropout == 0.5


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("patchtst", {"num_heads": 3}, "hidden_size must be a multiple of num_heads"),
        ("patchtst", {"patch": 14}, "must fit into the lookback, however: patch is 14"),
        ("itransformer", {"num_heads": 3}, "hidden_size must be a multiple of num_heads"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(
    name: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(Exception, match=says) as caught:
        build(name, **options)
    assert str(caught.value).startswith(f"{name}: model: ")
