"""xPatch against its equations: a recurrence, and streams written out for one window."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from design_oracles import Weights, batch_norm, below, gelu, layer_norm, linear, revin
from torch import Tensor, nn

from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.designs.xpatch import XPatch, decays
from benchmark.forecasters.resolve import build_forecaster
from benchmark.harness.spec import find_config
from benchmark.plain_yaml import load_yaml

B, L, H, C, P, V, ALPHA = 3, 13, 10, 4, 4, 3, 0.4


def build(horizon: int = H, **options: Any) -> XPatch:
    """Small, and every weight and running statistic drawn anew: much starts at zero or one."""
    torch.manual_seed(3)
    shape = SeriesShape(L, horizon, C, season=4)
    given = {"patch": P, "stride": V, "alpha": ALPHA} | options
    model = XPatch(shape, **given).double().eval()
    for key, tensor in model.state_dict().items():
        if key.endswith("running_var"):
            nn.init.uniform_(tensor, 0.5, 2)
        elif tensor.is_floating_point():
            nn.init.normal_(tensor, std=0.4)
    model.decay = decays(L, given["alpha"]).double()
    return model


def windows() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    walk = torch.randn(B, L, C, generator=generator, dtype=torch.float64).cumsum(1)
    return 3 * walk + torch.arange(C) * 10


def averaged(z: Tensor, alpha: float) -> Tensor:
    """The recurrence, a step at a time, of ``(L, C)``."""
    s = [z[0]]
    for step in z[1:]:
        s.append(alpha * step + (1 - alpha) * s[-1])
    return torch.stack(s)


def xpatch(w: Weights, x: Tensor) -> Tensor:
    z, back = revin(w, x)
    s = averaged(z, ALPHA)
    v = below(w, "average.layers.")

    def halved(u: Tensor) -> Tensor:
        return torch.stack([(u[k] + u[k + 1]) / 2 for k in range(0, len(u) - 1, 2)])

    rest = below(w, "rest.")
    columns = []
    for c in range(x.shape[1]):
        u = layer_norm(v, "2", halved(linear(v, "0", s[:, c])))
        u = layer_norm(v, "5", halved(linear(v, "3", u)))
        smooth = linear(v, "6", u)

        series = [*(z - s)[:, c].tolist(), *[float((z - s)[-1, c])] * V]
        cut = [series[start : start + P] for start in range(0, len(series) - P + 1, V)]
        e = gelu(linear(rest, "embed", x.new_tensor(cut)))  # (N, P^2)
        e = batch_norm(rest, "embed_norm", e.T, 1e-5).T
        d = torch.zeros(len(cut), P).double()
        for n in range(len(cut)):
            kernel, bias = rest["within.weight"][n, 0], rest["within.bias"][n]
            for block in range(P):
                d[n, block] = kernel @ e[n, block * P : (block + 1) * P] + bias
        d = batch_norm(rest, "within_norm", gelu(d).T, 1e-5).T + linear(rest, "past", e)
        g = gelu(rest["between.weight"][..., 0] @ d + rest["between.bias"][:, None])
        g = batch_norm(rest, "between_norm", g.T, 1e-5).T
        rough = linear(rest, "forecast.2", gelu(linear(rest, "forecast.0", g.reshape(-1))))
        columns.append(linear(w, "head", torch.cat([rough, smooth])))
    return back(torch.stack(columns, dim=1))


@pytest.mark.parametrize("horizon", [H, 7, 1])
def test_it_computes_its_papers_equations(horizon: int) -> None:
    model, x = build(horizon), windows()
    expected = torch.stack([xpatch(model.state_dict(), window) for window in x])
    torch.testing.assert_close(model(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 5, 720])
def test_one_multiplication_is_the_recurrence_of_all_steps(steps: int, alpha: float) -> None:
    z = torch.randn(steps, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = z.T @ decays(steps, alpha).double()
    torch.testing.assert_close(found.T, averaged(z, alpha), rtol=1e-6, atol=1e-6)
    assert torch.allclose(decays(steps, alpha).sum(0), torch.ones(steps)), "shares of an average"


def test_its_size_is_that_of_the_authors_layers() -> None:
    document = load_yaml(find_config("models", "designs/xpatch"))
    model = build_forecaster(document["model"], SeriesShape(512, 336, 7, season=24), "xpatch")
    patches, patch, horizon = (512 - 16) // 8 + 2, 16, 336
    rest = (
        (patch * patch**2 + patch**2)
        + 3 * 2 * patches
        + (patches * patch + patches)
        + (patch**2 * patch + patch)
        + (patches * patches + patches)
        + (patches * patch * 2 * horizon + 2 * horizon)
        + (2 * horizon * horizon + horizon)
    )
    average = (
        (512 * 4 * horizon + 4 * horizon)
        + 2 * 2 * horizon
        + (2 * horizon * horizon + horizon)
        + 2 * (horizon // 2)
        + (horizon // 2 * horizon + horizon)
    )
    head = 2 * horizon * horizon + horizon
    assert sum(p.numel() for p in model.parameters()) == 2 * 7 + rest + average + head


def test_a_channel_is_forecast_from_itself_but_for_the_gains_of_revin() -> None:
    model, x = build(), windows()
    jacobian = torch.autograd.functional.jacobian(lambda given: model(given[None])[0].sum(0), x[0])
    assert torch.equal(jacobian.abs().sum(1) > 1e-9, torch.eye(C, dtype=torch.bool))
    assert not model.channel_independent


def test_statistics_of_a_patch_are_over_windows_channels_and_its_numbers() -> None:
    model, x = build().train(), windows()
    given: list[Tensor] = []
    model.rest.embed_norm.register_forward_hook(lambda module, inputs, out: given.extend(inputs))
    before = model.rest.embed_norm.running_mean.clone()  # type: ignore[union-attr]
    model(x)
    (rows,) = given
    assert rows.shape == (B * C, (L - P) // V + 2, P**2)
    moved = 0.9 * before + 0.1 * rows.mean((0, 2))
    torch.testing.assert_close(model.rest.embed_norm.running_mean, moved)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="patch is 14 and the lookback 13"):
        build(patch=14)
