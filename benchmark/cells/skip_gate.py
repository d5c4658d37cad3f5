"""What follows the memory of Mamba and Mamba-2: a bypass and a gate.

    (y + D x) * SiLU(z)

Autograd would keep both factors beside y, x and z, which are kept already: two tensors of the five
to ten that a layer keeps. They are cheap to compute again.

Shapes: B batch, S steps, E channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def skip_gate(y: Tensor, x: Tensor, D: Tensor, z: Tensor) -> Tensor:
    """Compute ``(B, S, E)`` from y, x and z of that shape, and D ``(E,)``."""
    return _SkipGate.apply(y, x, D, z)  # type: ignore[no-any-return, no-untyped-call]


class _SkipGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, D: Tensor, z: Tensor) -> Tensor:
        ctx.save_for_backward(y, x, D, z)
        return torch.addcmul(y, D, x).mul_(F.silu(z))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        y, x, D, z = ctx.saved_tensors
        gate = torch.sigmoid(z)
        shown = z * gate
        d_z = torch.addcmul(gate, shown, 1 - gate).mul_(torch.addcmul(y, D, x)).mul_(grad)
        d_y = grad * shown
        return d_y, d_y * D, (d_y * x).sum((0, 1)), d_z
