"""The causal convolution against torch's, in plain torch and compiled."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmark.cells import native
from benchmark.cells.causal_conv import CausalConv


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("width", [1, 2, 4, 9])
@pytest.mark.parametrize(("channels", "steps", "batch"), [(1, 1, 1), (5, 3, 2), (33, 20, 3)])
def test_it_is_torchs_convolution_of_the_past(
    compiled: bool,
    width: int,
    channels: int,
    steps: int,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCHMARK_NATIVE", "1" if compiled else "0")
    if compiled and not native._compiler():
        pytest.skip("no C++ compiler here")
    torch.manual_seed(width)
    conv = CausalConv(channels, width)
    x = torch.randn(batch, steps, channels, requires_grad=True)
    tail = torch.randn(batch, width - 1, channels, requires_grad=True)
    ours, last = conv(x, tail)
    past = torch.cat([tail, x], dim=1)
    theirs = F.conv1d(past.mT, conv.weight, conv.bias, groups=channels).mT
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(last, past[:, steps:])
    assert ours.shape == x.shape

    weights = torch.randn_like(ours)
    inputs = [x, tail, conv.weight, conv.bias] if width > 1 else [x, conv.weight, conv.bias]
    mine = torch.autograd.grad((ours * weights).sum() + last.sum(), inputs)
    reference = torch.autograd.grad((theirs * weights).sum() + past[:, steps:].sum(), inputs)
    for a, b in zip(mine, reference, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
