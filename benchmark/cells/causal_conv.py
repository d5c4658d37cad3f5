"""A causal depthwise convolution, and what it must remember: the last J - 1 inputs.

    y_t = b + sum_j w_j * x_{t-J+1+j}               j = 0 .. J - 1, each channel by itself

Shapes: B batch, S steps, E channels, J taps; a tail is ``(B, J - 1, E)``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from benchmark.cells.native import Operator, operator


class CausalConv(nn.Module):
    """Depthwise convolution over the past, with torch's initialisation of a convolution.

    Args:
        channels: E.
        taps: J, steps that it sees, the present one among them.
    """

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        conv = nn.Conv1d(channels, channels, taps, groups=channels)
        assert conv.bias is not None
        self.weight, self.bias = conv.weight, conv.bias  # (E, 1, J) and (E,)

    def initial_state(self, like: Tensor) -> Tensor:
        """Zeros: nothing was there before the first step."""
        channels, _, taps = self.weight.shape
        return like.new_zeros(like.shape[0], taps - 1, channels)

    def step(self, x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """One step: ``(B, E)`` and the tail -> ``(B, E)`` and the next tail."""
        window = torch.cat([tail, x.unsqueeze(1)], dim=1)  # (B, J, E)
        return (window * self.weight.squeeze(1).T).sum(1) + self.bias, window[:, 1:]

    def forward(self, x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """All steps: ``(B, S, E)`` and the tail -> ``(B, S, E)`` and the last tail."""
        window = torch.cat([tail, x], dim=1)
        return self._convolve(window), window[:, x.shape[1] :]

    def _convolve(self, window: Tensor) -> Tensor:
        """``(B, J - 1 + S, E)`` -> ``(B, S, E)``."""
        compiled = operator("causal_conv", window, self.weight)
        if compiled is not None:
            w = self.weight.squeeze(1).T.contiguous()
            return NativeConv.apply(compiled, window, w, self.bias)  # type: ignore[no-any-return, no-untyped-call]
        # As an image (B, E, 1, S) it is stored channels last, which conv2d takes as it is.
        image = window.transpose(1, 2).unsqueeze(2)
        y = F.conv2d(image, self.weight.unsqueeze(2), self.bias, groups=len(self.bias))
        return y.squeeze(2).transpose(1, 2)


class NativeConv(torch.autograd.Function):
    """The convolution compiled from ``cpp/causal_conv.cpp``; its w is ``(J, E)``."""

    @staticmethod
    def forward(ctx: Any, compiled: Operator, window: Tensor, w: Tensor, b: Tensor) -> Tensor:
        """Keep the inputs."""
        taps, channels = w.shape
        y = window.new_empty(len(window), window.shape[1] - taps + 1, channels)
        sizes = (y.shape[1], channels, taps)
        compiled.run("forward", len(y), window, w, b, y, *sizes)
        ctx.save_for_backward(window, w)
        ctx.compiled, ctx.sizes = compiled, sizes
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of w comes a row at a time."""
        window, w = ctx.saved_tensors
        d_y, d_window = d_y.contiguous(), torch.zeros_like(window)
        d_w = w.new_zeros(len(d_y), *w.shape)
        given = (window, w, d_y, d_window, d_w)
        ctx.compiled.run("backward", len(d_y), *given, *ctx.sizes)
        return None, d_window, d_w.sum(0), d_y.sum((0, 1))
