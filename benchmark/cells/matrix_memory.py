"""The mLSTM's memory over a whole sequence: all pairs of steps at once, or chunk by chunk.

Unrolled, the recurrence of `benchmark.cells.mlstm` is attention whose scores decay with time:

    F_t = log f_1 + ... + log f_t                 what is left of a memory, in logarithms
    a_s = i~_s - F_s                              so step s weighs exp(F_t + a_s) at step t
    M_t = max(m_0, a_1, ..., a_t)                 the stabiliser without its F: m_t = M_t + F_t
    P_ts = (q_t . k_s) exp(a_s - M_t)             for s <= t, else 0
    h_t = sum_s P_ts v_s / (max(|sum_s P_ts|, exp(-m_t)) + eps)

(and what the first state holds, exp(m_0 - M_t) of it; k_s comes divided by sqrt(W)). `parallel` is
just that, and takes S^2 operations. `chunkwise` takes T steps at a time in this form and carries C
and n from one chunk to the next: S T operations, all of them in matrix products. `fastest` takes
one step at a time in C++ (``cpp/matrix_memory.cpp``) where a compiler is found and C fits into the
processor's cache, and chunks elsewhere. What does not depend on q, k and v is shared, costs next to
nothing, and is computed in float64: F grows with S, and what counts are its differences.

Shapes: N sequences of one head each, S steps, T steps of a chunk, G = S / T chunks, W width.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from benchmark.cells.cell import State
from benchmark.cells.native import Operator, operator
from benchmark.cells.scalar_memory import NOTHING_YET

EPS = 1e-6
"""Added to the divisor, as in the official code."""

MAX_EXPONENT = 80.0
"""Of the divisor's lower bound exp(-m): more is no number in float32."""

WIDEST_COMPILED = 64
"""Width W of a head up to which C++ is used."""

USUAL_CHUNK = range(24, 41)
"""Steps in a chunk: long enough for matrix products, short enough for the processor's cache."""


def lower_bound(m: Tensor) -> Tensor:
    """exp(-m), which is 1 in terms of the memory itself: C and n are stored divided by exp(m)."""
    return torch.exp(torch.clamp(-m, max=MAX_EXPONENT))


class Weights(NamedTuple):
    """How much each step counts, in logarithms and float64; ``(N, S)`` but for `start`.

    Attributes:
        a: of a step's own input, see the equations.
        M: the largest so far.
        F: of the forget gates so far.
        start: of the memory before the first step, ``(N,)``; the first M's predecessor.
    """

    a: Tensor
    M: Tensor
    F: Tensor
    start: Tensor


def weights(i: Tensor, f: Tensor, m: Tensor) -> Weights:
    """Compute a, M and F from i~ and f~, as in `chunkwise` ``(N, S)``, and the first m ``(N,)``."""
    total = F.logsigmoid(f).double().cumsum(-1)
    a = i.double() - total
    start = m.double()
    M = torch.cat([start.unsqueeze(-1), a], dim=-1).cummax(-1).values[:, 1:]
    return Weights(a, M, total, start)


def parallel(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, state: State
) -> tuple[Tensor, State]:
    """Run the memory with all pairs of steps at once, as `chunkwise`."""
    C, n, m = state
    a, M, total, start = weights(i, f, m)
    causal = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool, device=q.device).tril()
    exponent = (a.unsqueeze(-2) - M.unsqueeze(-1)).masked_fill(~causal, -math.inf)
    P = q @ k.transpose(-1, -2) * torch.exp(exponent).to(q)  # (N, S, S)
    from_start = q * torch.exp(start.unsqueeze(-1) - M).to(q).unsqueeze(-1)
    written = P @ v + from_start @ C
    count = P.sum(-1) + (from_start @ n.unsqueeze(-1)).squeeze(-1)
    bound = lower_bound(M + total).to(q)
    h = written / (torch.maximum(count.abs(), bound) + EPS).unsqueeze(-1)

    left = torch.exp(start - M[:, -1]).to(q)
    weighted = k * torch.exp(a - M[:, -1:]).to(q).unsqueeze(-1)
    C = left[:, None, None] * C + weighted.transpose(-1, -2) @ v
    n = left[:, None] * n + weighted.sum(-2)
    return h, (C, n, (M[:, -1] + total[:, -1]).to(q))


def chunkwise(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, state: State
) -> tuple[Tensor, State]:
    """Run the memory chunk by chunk.

    Args:
        q: queries ``(N, S, W)``.
        k: keys ``(N, S, W)``, scaled by 1 / sqrt(W).
        v: values ``(N, S, W)``.
        i: i~, the logarithms of the input gates, ``(N, S)``.
        f: f~, the forget gates before their sigmoid, ``(N, S)``.
        state: C ``(N, W, W)``, n ``(N, W)``, m ``(N,)``.

    Returns:
        Outputs ``(N, S, W)`` and the last C, n, m.
    """
    C, n, m = state
    steps = q.shape[1]
    size = chunk_size(steps)
    a, M, total, start = weights(i, f, m)
    m = (M[:, -1] + total[:, -1]).to(q)
    missing = -steps % size  # steps that fill the last chunk write nothing and forget nothing
    if missing:
        q, k, v = (F.pad(tensor, (0, 0, 0, missing)) for tensor in (q, k, v))
        a = F.pad(a, (0, missing), value=NOTHING_YET)
        M, total = (torch.cat([x, x[:, -1:].expand(-1, missing)], dim=-1) for x in (M, total))
    h, C, n = _Chunkwise.apply(q, k, v, a, M, total, start, C, n, size)  # type: ignore[no-untyped-call]
    return h[:, :steps], (C, n, m)


def fastest(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, state: State
) -> tuple[Tensor, State]:
    """Run the memory in C++ if that is possible and pays, else as `chunkwise`."""
    C, n, m = (tensor.contiguous() for tensor in state)
    q, k, v, i, f = (tensor.contiguous() for tensor in (q, k, v, i, f))
    compiled = operator("matrix_memory", q, k, v, C, n)
    if compiled is None or q.shape[-1] > WIDEST_COMPILED:
        return chunkwise(q, k, v, i, f, state)
    a, M, total, start = weights(i, f, m)
    h, C, n = _NativeMemory.apply(compiled, q, k, v, a, M, total, start, C, n)  # type: ignore[no-untyped-call]
    return h, (C, n, (M[:, -1] + total[:, -1]).to(q))


def chunk_size(steps: int) -> int:
    """Steps of a chunk: all where they are few, else a usual size that fills the last one best."""
    if steps <= USUAL_CHUNK[-1]:
        return steps
    return min(USUAL_CHUNK, key=lambda size: (-steps % size, abs(size - 28)))


class _Chunkwise(torch.autograd.Function):
    """q, k, v ``(N, S, W)``, weights ``(N, S)``, C, n -> h ``(N, S, W)``, last C and n.

    Its gradient is written by hand, which halves both its time and its memory.

    M divides numerator and divisor alike and so has no gradient, but for two traces: eps is added
    after that division, and the last C and n are handed out divided by exp(M).
    """

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        a: Tensor,
        M: Tensor,
        total: Tensor,
        start: Tensor,
        C: Tensor,
        n: Tensor,
        size: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        def cut(x: Tensor) -> Tensor:
            return x.reshape(x.shape[0], -1, size, *x.shape[2:])

        q, k, v, a, M, total = (cut(x) for x in (q, k, v, a, M, total))
        before = torch.cat([start.unsqueeze(-1), M[:, :-1, -1]], dim=-1)  # M at a chunk's start
        after = M[:, :, -1]
        from_before = torch.exp(before.unsqueeze(-1) - M).to(q).unsqueeze(-1)  # (N, G, T, 1)
        to_after = torch.exp(a - after.unsqueeze(-1)).to(q).unsqueeze(-1)  # (N, G, T, 1)
        left = torch.exp(before - after).to(q)  # (N, G)
        weighted = k * to_after
        added_C = weighted.transpose(-1, -2) @ v
        added_n = weighted.sum(-2)
        Cs, ns = [C], [n]  # at the start of every chunk, and at the end
        for p in range(left.shape[1]):
            Cs.append(torch.addcmul(added_C[:, p], Cs[-1], left[:, p, None, None]))
            ns.append(torch.addcmul(added_n[:, p], ns[-1], left[:, p, None]))
        C, n = torch.stack(Cs[:-1], dim=1), torch.stack(ns[:-1], dim=1)

        P = _decay(a, M, q.dtype).mul_(q @ k.transpose(-1, -2))
        weighted = q * from_before
        h = (P @ v).add_(weighted @ C)
        count = P.sum(-1, keepdim=True).add_(weighted @ n.unsqueeze(-1))
        bound = lower_bound(M + total).to(q).unsqueeze(-1)
        divisor = torch.maximum(count.abs(), bound).add_(EPS)
        h.div_(divisor)
        of_memory = (from_before, to_after, left, C, n, Cs[-1], ns[-1])
        ctx.save_for_backward(q, k, v, a, M, count, bound, divisor, h, *of_memory)
        return h.flatten(1, 2), Cs[-1], ns[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: Tensor, d_C: Tensor, d_n: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, a, M, count, bound, divisor, h, *of_memory = ctx.saved_tensors
        from_before, to_after, left, C, n, *last = of_memory
        d_last = (d_C, d_n)
        # through the quotient
        d_written = d_h.reshape_as(h) / divisor
        d_divisor = -(d_written * h).sum(-1, keepdim=True)
        d_count = torch.where(count.abs() >= bound, d_divisor * count.sign(), 0.0)
        bounded = (count.abs() < bound) & (bound < math.exp(MAX_EXPONENT))
        d_total = torch.where(bounded, -d_divisor * bound, 0.0).squeeze(-1)
        # through the state, from the last chunk to the first
        weighted_q = q * from_before
        from_q_C = weighted_q.transpose(-1, -2) @ d_written
        from_q_n = (weighted_q * d_count).sum(-2)
        d_Cs, d_ns = [d_C], [d_n]  # of the state after every chunk, last first
        for p in range(left.shape[1] - 1, -1, -1):
            d_Cs.append(torch.addcmul(from_q_C[:, p], d_Cs[-1], left[:, p, None, None]))
            d_ns.append(torch.addcmul(from_q_n[:, p], d_ns[-1], left[:, p, None]))
        d_C0, d_n0 = d_Cs.pop(), d_ns.pop()
        d_C, d_n = torch.stack(d_Cs[::-1], dim=1), torch.stack(d_ns[::-1], dim=1)
        # to queries, keys and values
        weighted_k = k * to_after
        d_P = (d_written @ v.transpose(-1, -2)).add_(d_count)
        decay = _decay(a, M, q.dtype)  # not kept: with P it would be the largest part of all
        P = (q @ k.transpose(-1, -2)).mul_(decay)
        d_v = (P.transpose(-1, -2) @ d_written).add_(weighted_k @ d_C)
        d_weighted_k = (v @ d_C.transpose(-1, -2)).add_(d_n.unsqueeze(-2))
        d_a = (d_P * P).sum(-2).add_((d_weighted_k * weighted_k).sum(-1))
        d_P.mul_(decay)
        d_q = (d_written @ C.transpose(-1, -2)).add_(d_count * n.unsqueeze(-2)).mul_(from_before)
        d_q.add_(d_P @ k)
        d_k = (d_P.transpose(-1, -2) @ q).addcmul_(d_weighted_k, to_after)

        d_M = (d_divisor * EPS).squeeze(-1)
        d_M[:, -1, -1] -= _along(*d_last, *last)
        d_start = _along(d_C0, d_n0, C[:, 0], n[:, 0])
        joined = (d.flatten(1, 2) for d in (d_q, d_k, d_v, d_a, d_M, d_total))
        return *joined, d_start, d_C0, d_n0, None


def _decay(a: Tensor, M: Tensor, dtype: torch.dtype) -> Tensor:
    """How much step s counts at step t of a chunk, exp(a_s - M_t) or 0: ``(N, G, T, T)``."""
    exponent = (a.unsqueeze(-2) - M.unsqueeze(-1)).to(dtype)
    later = exponent.new_full(exponent.shape[-2:], -math.inf).triu(1)
    return exponent.add_(later).exp_()


def _along(d_C: Tensor, d_n: Tensor, C: Tensor, n: Tensor) -> Tensor:
    """How the loss changes where C and n both grow, ``(N,)``."""
    return (d_C * C).flatten(1).sum(-1) + (d_n * n).sum(-1)


class _NativeMemory(torch.autograd.Function):
    """As `_Chunkwise`, by the C++ operator."""

    @staticmethod
    def forward(ctx: Any, compiled: Operator, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, a, M, total, start, C, n = inputs
        before = torch.cat([start.unsqueeze(-1), M[:, :-1]], dim=-1)
        i, f = torch.exp(a - M).to(q), torch.exp(before - M).to(q)
        bound = lower_bound(M + total).to(q)
        h, divisor, side, C_last, n_last = (torch.empty_like(x) for x in (q, i, i, C, n))
        outputs = (h, divisor, side, C_last, n_last)
        compiled.run("forward", len(q), q, k, v, i, f, bound, C, n, *outputs, *q.shape[1:], EPS)
        ctx.compiled = compiled
        ctx.save_for_backward(q, k, v, i, f, h, divisor, side, C, n, bound, C_last, n_last)
        return h, C_last, n_last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: Tensor, d_C: Tensor, d_n: Tensor) -> tuple[Tensor | None, ...]:
        *kept, C, n, bound, C_last, n_last = ctx.saved_tensors
        q, k, v, i, _, _, _, side = kept
        d_M_last = _along(d_C, d_n, C_last, n_last)
        d_q, d_k, d_v, d_a, d_divisor = (torch.empty_like(x) for x in (q, k, v, i, i))
        d_C, d_n = (d.clone(memory_format=torch.contiguous_format) for d in (d_C, d_n))
        outputs = (d_q, d_k, d_v, d_a, d_divisor, d_C, d_n)
        arguments = (*kept, C, n, d_h.contiguous(), *outputs)
        ctx.compiled.run("backward", len(q), *arguments, *q.shape[1:])
        bounded = (side == 0) & (bound < math.exp(MAX_EXPONENT))
        d_total = torch.where(bounded, -d_divisor * bound, 0.0)
        d_M = d_divisor * EPS
        d_M[:, -1] -= d_M_last
        d_start = _along(d_C, d_n, C, n)
        return None, d_q, d_k, d_v, d_a, d_M, d_total, d_start, d_C, d_n
