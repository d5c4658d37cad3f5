"""The sLSTM's loop over a whole sequence, with its gradient written out by hand.

Autograd would record some fifteen operations a step and keep the result of each. Here a step is
written into buffers, only what the gradient needs is kept, and all that can be computed for all
steps at once is taken out of both loops: the backward loop is seven operations, and the gradient
of R is one product after it.

The stabiliser m needs no gradient on the way: c and n are both stored divided by exp(m), so it
cancels in h = o c / n, whatever it is. It counts only where c, n and m are themselves handed out
and something is made of them that a change of m would change.

Shapes: B batch, S steps, K heads, W width of a head.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from benchmark.cells.cell import State

NOTHING_YET = -1e30
"""The stabiliser of an empty memory: finite, so that no difference of two is undefined."""


ForgetGate: TypeAlias = Literal["sigmoid", "exponential"]


def log_forget(f: Tensor, kind: ForgetGate) -> Tensor:
    """Return log f', the logarithm of the forget gate, from its pre-activation."""
    return F.logsigmoid(f) if kind == "sigmoid" else f


def scalar_memory(
    gates: Tensor, R: Tensor, state: State, forget_gate: ForgetGate
) -> tuple[Tensor, State]:
    """Run the sLSTM's recurrence.

    Args:
        gates: i, f, z, o without their recurrent part, ``(B, S, K, 4 W)``.
        R: recurrent weights, ``(K, 4 W, W)``.
        state: h, c, n, m, each ``(B, K, W)``.
        forget_gate: sigmoid or exponential.

    Returns:
        Hidden states ``(B, S, K, W)`` and the last h, c, n, m.
    """
    h, c, n, m = (tensor.transpose(0, 1) for tensor in state)
    pre = gates.permute(1, 2, 0, 3).contiguous()  # (S, K, B, 4 W)
    hs, c, n, m = _ScalarMemory.apply(pre, R, h, c, n, m, forget_gate)  # type: ignore[no-untyped-call]
    last = tuple(tensor.transpose(0, 1) for tensor in (hs[-1], c, n, m))
    return hs.permute(2, 0, 1, 3), last


class _ScalarMemory(torch.autograd.Function):
    """pre ``(S, K, B, 4 W)``, R, state ``(K, B, W)`` -> hs ``(S, K, B, W)``, last c, n, m."""

    @staticmethod
    def forward(
        ctx: Any,
        pre: Tensor,
        R: Tensor,
        h: Tensor,
        c: Tensor,
        n: Tensor,
        m: Tensor,
        forget_gate: ForgetGate,
    ) -> tuple[Tensor, ...]:
        width = h.shape[-1]
        hs = pre.new_empty(len(pre) + 1, *h.shape)  # before the first step and after each
        hs[0] = h
        memory = pre.new_empty(len(pre) + 1, *h.shape[:-1], 2, width)  # c and n likewise
        memory[0] = torch.stack([c, n], dim=-2)
        gates = torch.empty_like(pre)  # each step's: first before, then after its nonlinearity
        i_and_f = gates[..., : 2 * width].unbind(0)
        i, f, z, o = (gate.unbind(0) for gate in gates.chunk(4, dim=-1))
        R = R.transpose(1, 2)  # (K, W, 4 W)
        log_fs = []
        for t, (x, gate) in enumerate(zip(pre.unbind(0), gates.unbind(0), strict=True)):
            torch.baddbmm(x, hs[t], R, out=gate)
            log_f = log_forget(f[t], forget_gate)
            kept = log_f + m
            m = torch.maximum(i[t], kept)
            i[t].sub_(m)
            torch.sub(kept, m, out=f[t])
            i_and_f[t].exp_()
            z[t].tanh_()
            o[t].sigmoid_()
            torch.mul(memory[t], f[t].unsqueeze(-2), out=memory[t + 1])
            c, n = memory[t + 1].unbind(-2)
            c.addcmul_(i[t], z[t])
            n.add_(i[t])
            torch.div(c, n, out=hs[t + 1]).mul_(o[t])
            log_fs.append(log_f)
        # d log f' / d f; of the exponential gate, log f' is f itself
        slope = -torch.stack(log_fs).expm1_() if forget_gate == "sigmoid" else pre.new_ones(())
        ctx.save_for_backward(hs, memory, gates, slope, R)
        ctx.set_materialize_grads(False)
        return hs[1:], c, n, m

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_hs: Tensor | None, d_c: Tensor | None, d_n: Tensor | None, d_m: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        hs, memory, gates, slope, R = ctx.saved_tensors
        d_memory = torch.stack([_or_zeros(d_c, hs[0]), _or_zeros(d_n, hs[0])], dim=-2)
        d_hs = _or_zeros(d_hs, hs[1:])
        to_memory, from_c, from_n, from_h = _factors(hs, memory, gates, slope)
        outside = any(d is not None for d in (d_c, d_n, d_m))
        d_m = _or_zeros(d_m, hs[0]) - (d_memory * memory[-1]).sum(-2)
        routed, d_m = _route(d_m, gates, slope) if outside else (None, d_m)

        d_gates = torch.empty_like(gates)
        d_i_f_z_o = d_gates.view(*hs[1:].shape[:-1], 4, -1)
        f = gates.view_as(d_i_f_z_o)[..., 1:2, :]
        d_h = torch.zeros_like(hs[0])
        R = R.transpose(1, 2)
        for t in range(len(gates) - 1, -1, -1):
            d = d_i_f_z_o[t]
            d_h.add_(d_hs[t])
            d_memory.addcmul_(d_h.unsqueeze(-2), to_memory[t])
            torch.mul(d_memory[..., :1, :], from_c[t], out=d[..., :3, :])
            d[..., :2, :].addcmul_(d_memory[..., 1:, :], from_n[t])
            torch.mul(d_h, from_h[t], out=d[..., 3, :])
            if routed is not None:
                d[..., :2, :].add_(routed[t])
            d_memory.mul_(f[t])
            torch.bmm(d_gates[t], R, out=d_h)
        d_R = torch.bmm(
            d_gates.permute(1, 3, 0, 2).flatten(2),  # (K, 4 W, S B)
            hs[:-1].transpose(0, 1).flatten(1, 2),  # (K, S B, W)
        )
        d_m = d_m + (d_memory * memory[0]).sum(-2)
        return d_gates, d_R, d_h, *d_memory.unbind(-2), d_m, None


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def _factors(hs: Tensor, memory: Tensor, gates: Tensor, slope: Tensor) -> tuple[Tensor, ...]:
    """What gradients are multiplied by, of every step at once.

    Returns:
        From h to c and n ``(S, K, B, 2, W)``; from c to i, f and z ``(S, K, B, 3, W)``; from n to
        i and f ``(S, K, B, 2, W)``; from h to o ``(S, K, B, W)``; gates before their nonlinearity.
    """
    i, f, z, o = gates.chunk(4, dim=-1)
    f = f * slope
    h, n = hs[1:], memory[1:, ..., 1, :]
    c_before, n_before = memory[:-1].unbind(-2)
    to_memory = torch.stack([o, -h], dim=-2).div_(n.unsqueeze(-2))
    from_c = torch.stack([i * z, f * c_before, i * (1 - z * z)], dim=-2)
    from_n = torch.stack([i, f * n_before], dim=-2)
    return to_memory, from_c, from_n, h * (1 - o)


def _route(d_m: Tensor, gates: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Send the gradient of the last m to where its maximum came from.

    m is the input gate of one step, plus log f' of every step after that one.

    Args:
        d_m: gradient of the last m, ``(K, B, W)``.
        gates: i', f'', z, o of every step; i' is 1 where i was the maximum.
        slope: d log f' / d f.

    Returns:
        Gradients of i and f before their nonlinearity ``(S, K, B, 2, W)``, and of the first m.
    """
    i = gates.chunk(4, dim=-1)[0]
    kept = (i != 1).to(i).flip(0).cumprod(0).flip(0)  # 1 after the step that m came from
    kept_after = torch.cat([kept[1:], torch.ones_like(kept[:1])])
    routed = torch.stack([(kept_after - kept) * d_m, kept * slope * d_m], dim=-2)
    return routed, kept[0] * d_m
