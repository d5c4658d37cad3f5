"""Mamba-2's recurrence over time as matrix products (structured state space duality).

    h_t = exp(a_t) h_{t-1} + B_t v_t^T             h_t: a matrix (N, P) a head; a_t <= 0 one number
    y_t = C_t^T h_t

Unrolled, y_t = sum_{s <= t} (C_t . B_s) exp(a_{s+1} + ... + a_t) v_s: attention without a softmax,
whose mask decays. In chunks of T steps the product is formed inside a chunk, and the state passed
between chunks, so the cost is linear in S and nearly all of it is matrix products. With c_t the
sum of a from the chunk's first step to t, and h the state before the chunk,

    y_t     = sum_s L_ts (C_t . B_s) v_s + exp(c_t) C_t^T h         L_ts = exp(c_t - c_s), s <= t
    h_next  = exp(c_T) h + sum_s exp(c_T - c_s) B_s v_s^T

The gradient is by hand: autograd would keep a dozen temporaries of each chunk. Where c appears, it
is in an exponent, so its gradient is the gradient of that product times the product itself; and
a_t is in all c_s with s >= t, so d_a_t = sum_{s >= t} d_c_s.

Shapes: B batch, S steps, M chunks, T steps of a chunk, K heads, P channels of a head, N states of a
channel. v is ``(B, S, K, P)``, a ``(B, S, K)``, B and C ``(B, S, N)``, a state ``(B, N, K, P)``.

Reference: T. Dao and A. Gu, Transformers are SSMs (2024), arXiv:2405.21060, Section 6.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from benchmark.cells.native import Operator, operator

CHUNK = 24  # T at most
NATIVE_CHUNK = 16  # as in cpp/ssd.cpp


def ssd(v: Tensor, a: Tensor, B: Tensor, C: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Run the recurrence from `state`: compiled, a step at a time, or in chunks in plain torch.

    The matrix products of the chunked form are many more operations than the recurrence itself,
    but operations that torch, and above all a GPU, is fast at.

    Returns:
        y ``(B, S, K, P)`` and the last state ``(B, N, K, P)``.
    """
    with torch.autocast(v.device.type, enabled=False):  # a recurrence needs more than 8 bits
        v, B, C, state = (tensor.to(a.dtype) for tensor in (v, B, C, state))
        compiled = operator("ssd", v, a, B, C, state)
        if compiled is not None:
            tensors = [tensor.contiguous() for tensor in (v, torch.exp(a), B, C, state)]
            return NativeSSD.apply(compiled, *tensors)  # type: ignore[no-any-return, no-untyped-call]
        steps = v.shape[1]
        chunks = math.ceil(steps / CHUNK)
        missing = chunks * math.ceil(steps / chunks) - steps  # steps that do nothing, at the end
        cut = [_chunks(tensor, chunks, missing) for tensor in (v, a, B, C)]
        y, last = ChunkedSSD.apply(*cut, state)  # type: ignore[no-untyped-call]
        return y.flatten(1, 2)[:, :steps], last


def _chunks(sequence: Tensor, chunks: int, missing: int) -> Tensor:
    """``(B, S, ...)`` -> ``(B, M, T, ...)``."""
    if missing:
        sequence = F.pad(sequence, (0, 0) * (sequence.ndim - 2) + (0, missing))
    return sequence.reshape(sequence.shape[0], chunks, -1, *sequence.shape[2:]).contiguous()


class ChunkedSSD(torch.autograd.Function):
    """The chunked form and its gradient; sequences are ``(B, M, T, ...)``."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, a: Tensor, B: Tensor, C: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keep the states between chunks and the decays L."""
        c = a.double().cumsum(2)  # (B, M, T, K); float32 is too coarse to subtract two of them
        L = _decays_within(c).to(v.dtype)
        to_end = torch.exp(c[:, :, -1:] - c).to(v.dtype).unsqueeze(-1)  # (B, M, T, K, 1)
        from_start = torch.exp(c).to(v.dtype).unsqueeze(-1)
        whole = from_start[:, :, -1]  # (B, M, K, 1)

        written = B.mT @ (to_end * v).flatten(3)  # (B, M, N, K P)
        h = state.new_empty(v.shape[1] + 1, *state.shape)  # before each chunk, and after the last
        h[0] = state
        for m, new in enumerate(written.view(*written.shape[:3], *v.shape[3:]).unbind(1)):
            torch.addcmul(new, whole[:, m, None], h[m], out=h[m + 1])

        y = (C @ h[:-1].transpose(0, 1).flatten(3)).view_as(v).mul_(from_start)
        _add_per_head(y, L * (C @ B.mT).unsqueeze(2), v)
        ctx.save_for_backward(v, B, C, h, L, to_end, from_start)
        return y, h[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor, d_last: Tensor) -> tuple[Tensor, ...]:
        """The same products transposed; states' gradients run from the last chunk to the first."""
        v, B, C, h, L, to_end, from_start = ctx.saved_tensors
        whole, d_y = from_start[:, :, -1], d_y.contiguous()

        seen = (d_y * from_start).flatten(3)  # the gradient of C^T h
        read = (C.mT @ seen).view(*B.mT.shape[:3], *v.shape[3:])  # (B, M, N, K, P)
        d_h = torch.empty_like(h)
        d_h[-1] = d_last
        for m in range(len(h) - 2, -1, -1):
            torch.addcmul(read[:, m], whole[:, m, None], d_h[m + 1], out=d_h[m])
        before, after = h[:-1].transpose(0, 1).flatten(3), d_h[1:].transpose(0, 1).flatten(3)

        products = C @ B.mT  # (B, M, T, T)
        d_v = (B @ after).view_as(v).mul_(to_end)
        of_written = (d_v * v).sum(-1)
        d_c = (seen * (C @ before)).view_as(v).sum(-1) - of_written
        of_kept = (d_h[1:] * h[:-1]).sum((2, 4)).transpose(0, 1) * whole.squeeze(-1)
        d_c[:, :, -1] += of_written.sum(2) + of_kept

        d_products = _products_backward(d_y, v, L, products, d_c)
        _add_per_head(d_v, (L * products.unsqueeze(2)).mT, d_y)
        d_B = (to_end * v).flatten(3) @ after.mT + d_products.mT @ C
        d_C = seen @ before.mT + d_products @ B
        d_a = d_c.flip(2).cumsum(2).flip(2)
        return d_v, d_a, d_B, d_C, d_h[0]


def _decays_within(c: Tensor) -> Tensor:
    """L ``(B, M, K, T, T)`` from c ``(B, M, T, K)``."""
    c = c.mT.contiguous()  # or L inherits its order, and every product with L is slow
    future = torch.ones(c.shape[-1], c.shape[-1], dtype=torch.bool, device=c.device).triu(1)
    return (c.unsqueeze(-1) - c.unsqueeze(-2)).masked_fill_(future, -math.inf).exp_()


def _add_per_head(total: Tensor, mixing: Tensor, sequence: Tensor) -> None:
    """Add ``mixing @ sequence``, a ``(T, T)`` matrix for each head, to `total` in place.

    A loop over heads takes sequences as they lie in memory; one product of all would copy them.
    """
    for head in range(mixing.shape[2]):
        total[:, :, :, head] += mixing[:, :, head] @ sequence[:, :, :, head]


def _products_backward(d_y: Tensor, v: Tensor, L: Tensor, products: Tensor, d_c: Tensor) -> Tensor:
    """Return the gradient of `products`, ``C B^T``, over all heads; add that of L to `d_c`."""
    total = torch.zeros_like(products)
    for head in range(L.shape[2]):
        g = (d_y[:, :, :, head] @ v[:, :, :, head].mT).mul_(L[:, :, head])
        total += g
        g *= products
        d_c[..., head] += g.sum(-1) - g.sum(-2)
    return total


class NativeSSD(torch.autograd.Function):
    """The recurrence compiled from ``cpp/ssd.cpp``; it takes exp(a) in place of a."""

    @staticmethod
    def forward(ctx: Any, compiled: Operator, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the state before each chunk."""
        v, state = inputs[0], inputs[4]
        (rows, steps, *head), chunks = v.shape, math.ceil(v.shape[1] / NATIVE_CHUNK)
        y, last = torch.empty_like(v), torch.empty_like(state)
        kept = v.new_empty(rows, chunks, *state.shape[1:])
        sizes = (steps, *head, state.shape[1])
        compiled.run("forward", rows, *inputs, y, kept, last, *sizes)
        ctx.save_for_backward(*inputs[:4], kept)
        ctx.compiled, ctx.sizes = compiled, sizes
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor, d_last: Tensor) -> tuple[Tensor | None, ...]:
        """Recompute a chunk at a time."""
        *inputs, kept = ctx.saved_tensors
        d_y, d_last = d_y.contiguous(), d_last.contiguous()
        gradients = [torch.empty_like(tensor) for tensor in (*inputs, d_last)]
        ctx.compiled.run("backward", len(d_y), *inputs, kept, d_y, d_last, *gradients, *ctx.sizes)
        return None, *gradients
