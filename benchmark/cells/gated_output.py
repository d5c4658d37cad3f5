"""What follows the mLSTM's memory, keeping nothing but its inputs for the backward pass.

    y = W_down ((HeadNorm(h) + s * a) * SiLU(z))

Autograd would keep the result of each of these operations, together more than all else in the
layer. They are cheap to compute again.

Shapes: B batch, S steps, K heads, W width of a head, E = K W, D output width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

EPS = 1e-5
"""Of the norm, as in `benchmark.cells.heads.HeadNorm`."""


def gated_output(
    h: Tensor, gain: Tensor, skip: Tensor, a: Tensor, z: Tensor, down: Tensor
) -> Tensor:
    """Compute y ``(B, S, D)``.

    Args:
        h: what was read from the memory ``(B, S, K, W)``.
        gain: of the norm ``(E,)``.
        skip: s, how much of a is added, ``(E,)``.
        a: what bypasses the memory ``(B, S, E)``.
        z: the gate before its SiLU ``(B, S, E)``.
        down: W_down ``(D, E)``.
    """
    return _GatedOutput.apply(h, gain, skip, a, z, down)  # type: ignore[no-any-return, no-untyped-call]


class _GatedOutput(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, gain: Tensor, skip: Tensor, a: Tensor, z: Tensor, down: Tensor
    ) -> Tensor:
        normed, mean, scale = torch.native_layer_norm(h, h.shape[-1:], None, None, EPS)
        ctx.save_for_backward(h, mean, scale, gain, skip, a, z, down)
        gated = normed.flatten(-2).mul_(gain).addcmul_(skip, a).mul_(F.silu(z))
        return F.linear(gated, down)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, ...]:
        h, mean, scale, gain, skip, a, z, down = ctx.saved_tensors
        normed = h.sub(mean).mul_(scale).flatten(-2)
        read = torch.addcmul(normed * gain, skip, a)
        gate = torch.sigmoid(z)
        shown = z * gate
        d_gated = d_y @ down
        d_down = d_y.flatten(0, 1).t() @ (read * shown).flatten(0, 1)
        d_z = torch.addcmul(gate, shown, 1 - gate).mul_(read).mul_(d_gated)
        d_read = d_gated.mul_(shown)
        d_gain = (d_read * normed).sum((0, 1))
        d_skip = (d_read * a).sum((0, 1))
        d_normed = (d_read * gain).view_as(h)
        d_h, _, _ = torch.ops.aten.native_layer_norm_backward(
            d_normed, h, h.shape[-1:], mean, scale, None, None, [True, False, False]
        )
        return d_h, d_gain, d_skip, d_read * skip, d_z, d_down
