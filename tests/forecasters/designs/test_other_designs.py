"""Published designs against their papers' equations, written out once more in plain loops.

The equations are in `design_oracles.py`. Every parameter and every running statistic is drawn anew
first, for much starts at zero or one. A dropout is replaced by a factor, so that an oracle can tell
where it stands.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from design_oracles import ORACLES
from torch import Tensor, nn

from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.designs.time_machine import SEQUENCES
from benchmark.forecasters.resolve import build_forecaster
from benchmark.harness.spec import find_config
from benchmark.plain_yaml import load_yaml

NAMES = list(ORACLES)
B, L, H, C, D, F = 3, 13, 10, 4, 8, 5
SHAPE = SeriesShape(L, H, C, season=4)
MAMBA: dict[str, Any] = {"state_size": 3, "conv_width": 3}
SMALL: dict[str, dict[str, Any]] = {
    "patchtst": {"num_heads": 2, "feed_forward_size": F, "patch": 4, "stride": 2},
    "itransformer": {"num_heads": 2, "feed_forward_size": F},
    "tsmixer": {"layers": 2},
    "s_mamba": {"feed_forward_size": F} | MAMBA,
    "time_machine": {"inner_size": 6} | MAMBA,
}


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


def windows() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    walk = torch.randn(B, L, C, generator=generator, dtype=torch.float64).cumsum(1)
    return 3 * walk + torch.arange(C) * 10


# --- equations ------------------------------------------------------------------------------------

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
    expected = torch.stack([ORACLES[name](model.state_dict(), window, factor) for window in x])
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
            + (97 * 512 + 513 * 128 + 129 * 512 + 1025 * 336)
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


def reading(model: Forecaster) -> Tensor:
    """Which channel's forecast (C rows) depends on which channel (C columns)."""
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x[None])[0].sum(0), windows()[0])
    return jacobian.abs().sum(1) > 1e-9


@pytest.mark.parametrize("name", ["itransformer", "s_mamba", "tsmixer"])
def test_a_forecast_depends_on_every_channel(name: str) -> None:
    assert bool(reading(build(name)).all())


def test_time_machine_is_independent_but_for_the_gains_of_revin() -> None:
    assert torch.equal(reading(build("time_machine")), torch.eye(C, dtype=torch.bool))
    mixing = reading(build("time_machine", channels="mixing"))
    assert torch.equal(mixing, torch.ones(C, C).tril().bool()), "itself and those before it"


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
    """As ETTh1's 8033 at horizon 96 leave one over in batches of 32."""
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


def test_time_machine_reads_a_few_sequences_at_a_time_and_the_answer_is_the_same() -> None:
    model = build("time_machine")
    x = torch.randn(9, L, C, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert len(x) * C > 2 * SEQUENCES
    parameters = list(model.parameters())
    together = torch.autograd.grad(model(x).square().sum(), parameters)
    alone = [torch.autograd.grad(model(x[i : i + 1]).square().sum(), parameters) for i in range(9)]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(whole, torch.stack(parts).sum(0))
    torch.testing.assert_close(model(x)[8:], model(x[8:]))


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("patchtst", {"num_heads": 3}, "hidden_size must be a multiple of num_heads"),
        ("patchtst", {"patch": 14}, "must fit into the lookback, but patch is 14"),
        ("itransformer", {"num_heads": 3}, "hidden_size must be a multiple of num_heads"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(
    name: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(Exception, match=says) as caught:
        build(name, **options)
    assert str(caught.value).startswith(f"{name}: model: ")
