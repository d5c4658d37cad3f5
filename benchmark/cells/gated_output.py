"""What follows the mLSTM's memory, keeping nothing but its inputs for the backward pass.

    y = W_down ((HeadNorm(h) + s * a) * SiLU(z))

Autograd would keep the result of each of these operations, together more than all else in the
layer. They are cheap to compute again, and one pass in C++ where a compiler is found
(``cpp/gated_output.cpp``).

Shapes: B batch, S steps, K heads, W width of a head, E = K W, D output width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from benchmark.cells.heads import EPS
from benchmark.cells.native import operator


def gated_output(
    h: Tensor, gain: Tensor, skip: Tensor, a: Tensor, z: Tensor, down: Tensor
) -> Tensor:
    """Compute y ``(B, S, D)``.

    Args:
        h: what was read from the memory ``(K, B, S, W)``.
        gain: of the norm ``(E,)``.
        skip: s, how much of a is added, ``(E,)``.
        a: what bypasses the memory ``(B, S, E)``.
        z: the gate before its SiLU ``(B, S, E)``.
        down: W_down ``(D, E)``.
    """
    contiguous = (x.contiguous() for x in (h, gain, skip, a, z))
    return _GatedOutput.apply(*contiguous, down)  # type: ignore[no-any-return, no-untyped-call]


class _GatedOutput(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, gain: Tensor, skip: Tensor, a: Tensor, z: Tensor, down: Tensor
    ) -> Tensor:
        ctx.save_for_backward(h, gain, skip, a, z, down)
        compiled = operator("gated_output", h, gain, skip, a, z)
        if compiled is None:
            gated = _normed(h)[0].flatten(-2).mul_(gain).addcmul_(skip, a).mul_(F.silu(z))
        else:
            gated = torch.empty_like(a)
            compiled.run("forward", len(a), h, gain, skip, a, z, gated, *_sizes(h), EPS)
        return F.linear(gated, down)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, ...]:
        *inputs, down = ctx.saved_tensors
        d_gated = (d_y @ down).contiguous()
        compiled = operator("gated_output", d_gated, *inputs)
        if compiled is None:
            gated, *gradients = _plain_gradients(d_gated, *inputs)
        else:
            h, gain, _, a, z = inputs
            gated, d_h, d_a, d_z = (torch.empty_like(x) for x in (a, h, a, z))
            d_gain, d_skip = gain.new_zeros(2, len(a), len(gain))
            outputs = (gated, d_h, d_gain, d_skip, d_a, d_z)
            compiled.run("backward", len(a), d_gated, *inputs, *outputs, *_sizes(h), EPS)
            gradients = [d_h, d_gain.sum(0), d_skip.sum(0), d_a, d_z]
        d_down = d_y.flatten(0, 1).t() @ gated.flatten(0, 1)
        return *gradients, d_down


def _sizes(h: Tensor) -> tuple[int, ...]:
    heads, batch, steps, width = h.shape
    return batch, steps, heads, width


def _normed(h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every head normalised ``(B, S, K, W)``, its mean and the inverse of its deviation."""
    h = h.permute(1, 2, 0, 3)
    return torch.native_layer_norm(h, h.shape[-1:], None, None, EPS)


def _plain_gradients(
    d_gated: Tensor, h: Tensor, gain: Tensor, skip: Tensor, a: Tensor, z: Tensor
) -> tuple[Tensor, ...]:
    """Compute the gated sum once more, and the gradients of h, gain, skip, a and z."""
    by_head, mean, scale = _normed(h)
    normed = by_head.flatten(-2)
    read = torch.addcmul(normed * gain, skip, a)
    gate = torch.sigmoid(z)
    shown = z * gate
    d_z = torch.addcmul(gate, shown, 1 - gate).mul_(read).mul_(d_gated)
    d_read = d_gated * shown
    d_gain = (d_read * normed).sum((0, 1))
    d_skip = (d_read * a).sum((0, 1))
    d_normed = (d_read * gain).view_as(by_head)
    h = h.permute(1, 2, 0, 3)
    d_h, _, _ = torch.ops.aten.native_layer_norm_backward(
        d_normed, h, h.shape[-1:], mean, scale, None, None, [True, False, False]
    )
    return read * shown, d_h.permute(2, 0, 1, 3), d_gain, d_skip, d_read * skip, d_z
