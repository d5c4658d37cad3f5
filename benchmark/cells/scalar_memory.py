"""The sLSTM's loop over a whole sequence, with its gradient written out by hand.

Autograd would record some fifteen operations a step and keep the result of each. Here a step is
written into buffers, only what the gradient needs is kept, and all that can be computed for all
steps at once is taken out of both loops: the backward loop is seven operations, and the gradient
of R is one product after it.

The stabiliser m needs no gradient on the way: c and n are both stored divided by exp(m), so it
cancels in h = o c / n, whatever it is. It counts only where c, n and m are themselves handed out
and something is made of them that a change of m would change.

Where a compiler is found the same two loops run in C++ (``cpp/scalar_memory.cpp``).

The letters are those of `benchmark.cells.slstm`: i~ is a gate before its nonlinearity, i' the gate
in terms of the stabiliser.

Shapes: B batch, S steps, K heads, W width of a head.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from benchmark.cells.cell import State
from benchmark.cells.native import operator

NOTHING_YET = -1e30
"""The stabiliser of an empty memory: finite, so that no difference of two is undefined."""

ForgetGate: TypeAlias = Literal["sigmoid", "exponential"]


def log_forget(f: Tensor, kind: ForgetGate) -> Tensor:
    """Return log f, the logarithm of the forget gate, from f~."""
    return F.logsigmoid(f) if kind == "sigmoid" else f


def scalar_memory(
    gates: Tensor, R: Tensor, state: State, forget_gate: ForgetGate
) -> tuple[Tensor, State]:
    """Run the sLSTM's recurrence.

    Args:
        gates: i~, f~, z~, o~ without their recurrent part, ``(B, S, K, 4 W)``.
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


class Trace(NamedTuple):
    """What the backward pass needs of every step.

    Attributes:
        hs: h before the first step and after each, ``(S + 1, K, B, W)``.
        memory: c and n likewise, ``(S + 1, K, B, 2, W)``.
        gates: i', f', z and o, ``(S, K, B, 4 W)``.
        slope: d log f / d f~, ``(S, K, B, W)``.
    """

    hs: Tensor
    memory: Tensor
    gates: Tensor
    slope: Tensor


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
        heads, batch, width = h.shape
        hs = pre.new_empty(len(pre) + 1, heads, batch, width)
        memory = pre.new_empty(len(pre) + 1, heads, batch, 2, width)
        hs[0], memory[0] = h, torch.stack([c, n], dim=-2)
        trace = Trace(hs, memory, torch.empty_like(pre), torch.empty_like(hs[1:]))
        m = m.clone(memory_format=torch.contiguous_format)
        compiled = operator("scalar_memory", pre, R, m)
        if compiled is None:
            _forward_loop(pre, R, trace, m, forget_gate)
        else:
            sizes = (len(pre), batch, heads, width, int(forget_gate == "exponential"))
            compiled.run("forward", heads * batch, pre, R.contiguous(), *trace, m, *sizes)
        ctx.save_for_backward(R, *trace)
        ctx.set_materialize_grads(False)
        return hs[1:], *memory[-1].unbind(-2), m

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_hs: Tensor | None, d_c: Tensor | None, d_n: Tensor | None, d_m: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        R, *kept = ctx.saved_tensors
        trace = Trace(*kept)
        first, last = trace.memory[0], trace.memory[-1]
        d_hs = _or_zeros(d_hs, trace.hs[1:])
        d_memory = torch.stack([_or_zeros(d, trace.hs[0]) for d in (d_c, d_n)], dim=-2)
        outside = any(d is not None for d in (d_c, d_n, d_m))
        d_m = _or_zeros(d_m, trace.hs[0]) - (d_memory * last).sum(-2)
        routed, d_m = _route(d_m, trace) if outside else (None, d_m)

        d_gates, d_h = torch.empty_like(trace.gates), torch.zeros_like(trace.hs[0])
        compiled = operator("scalar_memory", d_gates)
        if compiled is None:
            _backward_loop(d_hs, R, trace, routed, d_gates, d_memory, d_h)
        else:
            heads, batch, width = d_h.shape
            extra = d_h if routed is None else routed  # not looked at where there is none
            arguments = (d_hs.contiguous(), R.contiguous(), *trace, extra, d_gates, d_memory, d_h)
            sizes = (len(d_hs), batch, heads, width, int(routed is not None))
            compiled.run("backward", heads * batch, *arguments, *sizes)
        d_by_head, h_by_head = (  # (K, S B, 4 W) and (K, S B, W)
            x.transpose(0, 1).flatten(1, 2) for x in (d_gates, trace.hs[:-1])
        )
        d_R = d_by_head.transpose(1, 2) @ h_by_head
        d_m = d_m + (d_memory * first).sum(-2)
        return d_gates, d_R, d_h, *d_memory.unbind(-2), d_m, None


def _forward_loop(pre: Tensor, R: Tensor, trace: Trace, m: Tensor, forget_gate: ForgetGate) -> None:
    """Fill the trace, from the first state in it; m becomes the last one."""
    hs, memory, gates, slope = trace
    i_and_f = gates[..., : 2 * hs.shape[-1]].unbind(0)
    i, f, z, o = (gate.unbind(0) for gate in gates.chunk(4, dim=-1))
    log_fs = []
    R = R.transpose(1, 2)
    for t, (x, gate) in enumerate(zip(pre.unbind(0), gates.unbind(0), strict=True)):
        torch.baddbmm(x, hs[t], R, out=gate)
        log_f = log_forget(f[t], forget_gate)
        kept = log_f + m
        torch.maximum(i[t], kept, out=m)
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
    if forget_gate == "sigmoid":
        torch.stack(log_fs, out=slope).expm1_().neg_()
    else:  # log f is f~ itself
        slope.fill_(1.0)


def _backward_loop(
    d_hs: Tensor,
    R: Tensor,
    trace: Trace,
    routed: Tensor | None,
    d_gates: Tensor,
    d_memory: Tensor,
    d_h: Tensor,
) -> None:
    """Fill d_gates; d_memory and d_h, of the last state, become those of the first one."""
    to_memory, from_c, from_n, from_h = _factors(trace)
    d_i_f_z_o = d_gates.view(*d_hs.shape[:-1], 4, -1)
    f = trace.gates.view_as(d_i_f_z_o)[..., 1:2, :]
    for t in range(len(d_hs) - 1, -1, -1):
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


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def _factors(trace: Trace) -> tuple[Tensor, ...]:
    """What gradients are multiplied by, of every step at once.

    Returns:
        From h to c and n ``(S, K, B, 2, W)``; from c to i~, f~ and z~ ``(S, K, B, 3, W)``; from n
        to i~ and f~ ``(S, K, B, 2, W)``; from h to o~ ``(S, K, B, W)``.
    """
    hs, memory, gates, slope = trace
    i, f, z, o = gates.chunk(4, dim=-1)
    f = f * slope
    h, n = hs[1:], memory[1:, ..., 1, :]
    c_before, n_before = memory[:-1].unbind(-2)
    to_memory = torch.stack([o, -h], dim=-2).div_(n.unsqueeze(-2))
    from_c = torch.stack([i * z, f * c_before, i * (1 - z * z)], dim=-2)
    from_n = torch.stack([i, f * n_before], dim=-2)
    return to_memory, from_c, from_n, h * (1 - o)


def _route(d_m: Tensor, trace: Trace) -> tuple[Tensor, Tensor]:
    """Send the gradient of the last m to where its maximum came from.

    m is i~ of one step, plus log f of every step after that one.

    Args:
        d_m: gradient of the last m, ``(K, B, W)``.
        trace: its gate i' is 1 where i~ was the maximum.

    Returns:
        Gradients of i~ and f~ ``(S, K, B, 2, W)``, and of the first m.
    """
    i = trace.gates.chunk(4, dim=-1)[0]
    kept = (i != 1).to(i).flip(0).cumprod(0).flip(0)  # 1 after the step that m came from
    kept_after = torch.cat([kept[1:], torch.ones_like(kept[:1])])
    routed = torch.stack([(kept_after - kept) * d_m, kept * trace.slope * d_m], dim=-2)
    return routed, kept[0] * d_m
