"""Window normalisation: what is taken out is what goes back in, and it is what its name says."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.forecasters.normalise import EPS, Normalisation, Normaliser

B, L, H, C = 3, 10, 4, 2

every_kind = pytest.mark.parametrize("kind", get_args(Normalisation))


def windows(steps: int = L, seed: int = 0) -> Tensor:
    """Of very different level and spread from window to window and channel to channel."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(B, steps, C, generator=generator, dtype=torch.float64)
    scale = torch.tensor([[0.1, 50.0], [3.0, 1.0], [1.0, 7.0]], dtype=torch.float64)[:, None]
    return noise * scale + 100 * torch.arange(B)[:, None, None]


def normaliser(kind: Normalisation) -> Normaliser:
    built = Normaliser(kind, C).double()
    if kind == "revin":
        with torch.no_grad():
            built.gain.copy_(torch.tensor([0.5, -2.0]))
            built.shift.copy_(torch.tensor([3.0, -1.0]))
    return built


@every_kind
def test_what_is_taken_out_goes_back_in(kind: Normalisation) -> None:
    norm, x = normaliser(kind), windows()
    z, taken = norm(x)
    torch.testing.assert_close(norm.inverse(z, taken), x, rtol=1e-7, atol=1e-7)
    y = windows(H, seed=1)  # rows of the horizon, by the statistics of the lookback
    back = norm.inverse(norm.remove(y, taken), taken)
    torch.testing.assert_close(back, y, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", ["last", "mean", "standard"])
def test_a_window_is_normalised_by_its_own_statistics(kind: Normalisation) -> None:
    x = windows()
    z, _ = normaliser(kind)(x)
    for b in range(B):
        for c in range(C):
            window = x[b, :, c].numpy()
            expected = {
                "last": window - window[-1],
                "mean": window - np.mean(window),
                "standard": (window - np.mean(window)) / np.sqrt(np.var(window) + EPS),
            }[kind]
            np.testing.assert_allclose(z[b, :, c].numpy(), expected, rtol=1e-9, atol=1e-9)


def test_none_changes_nothing() -> None:
    norm, x = normaliser("none"), windows()
    z, taken = norm(x)
    assert torch.equal(z, x)
    assert torch.equal(norm.inverse(z, taken), x)


def test_revin_is_standard_with_a_scale_and_a_shift_of_each_channel() -> None:
    x = windows()
    z, _ = normaliser("revin")(x)
    standard, _ = normaliser("standard")(x)
    expected = torch.stack([standard[..., 0] * 0.5 + 3.0, standard[..., 1] * -2.0 - 1.0], dim=-1)
    torch.testing.assert_close(z, expected)


def test_revin_starts_as_standard_and_learns() -> None:
    norm, x = Normaliser("revin", C).double(), windows()
    z, taken = norm(x)
    torch.testing.assert_close(z, Normaliser("standard", C)(x)[0])
    loss = norm.inverse(z * 2, taken).square().sum()
    for gradient in torch.autograd.grad(loss, [norm.gain, norm.shift]):
        assert gradient.shape == (C,)
        assert bool(gradient.all())


@every_kind
def test_only_revin_has_weights_of_its_own_for_each_channel(kind: Normalisation) -> None:
    norm = Normaliser(kind, C)
    assert norm.per_channel == (kind == "revin")
    assert bool(list(norm.parameters())) == (kind == "revin")


@every_kind
def test_a_constant_window_stays_finite(kind: Normalisation) -> None:
    norm, x = normaliser(kind), torch.full((B, L, C), 7.0, dtype=torch.float64).requires_grad_()
    z, taken = norm(x)
    forecast = norm.inverse(z[:, :H], taken)
    torch.testing.assert_close(forecast, x[:, :H], rtol=1e-7, atol=1e-7)
    (gradient,) = torch.autograd.grad(forecast.sum(), x)
    assert bool(torch.isfinite(gradient).all())


@every_kind
def test_the_lookback_itself_is_left_alone(kind: Normalisation) -> None:
    norm, x = normaliser(kind), windows()
    before = x.clone()
    z, taken = norm(x)
    norm.inverse(z, taken)
    assert torch.equal(x, before)
