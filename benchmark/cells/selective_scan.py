"""Mamba's scan over time, and its gradient by hand: three ways to compute one thing.

    h_t = exp(dt_t A) * h_{t-1} + (dt_t x_t) B_t            h_t: one state of N numbers a channel
    y_t = C_t . h_t

Left to autograd, this keeps several (B, S, N, E) tensors: N = 16 times the size of the input
each. Here both directions go through the sequence in chunks. The forward pass keeps the state
before each chunk alone; the backward pass recomputes the states and decays of one chunk, and
walks back through it with

    d_h_t = C_t d_y_t + exp(dt_{t+1} A) * d_h_{t+1}         d_h, d_y: the gradients of h, y

Channels are innermost in memory and states are not, so that inner loops are long.

Shapes: B batch, S steps, E channels, N states of a channel, T steps of a chunk. x and dt are
``(B, S, E)``, A is ``(N, E)``, B and C are ``(B, S, N)``, a state is ``(B, N, E)``.

Reference: A. Gu and T. Dao, Mamba: linear-time sequence modeling with selective state spaces
(2023), arXiv:2312.00752, Section 3 and Appendix D.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from benchmark.cells.native import Operator, operator

CHUNK = 8  # T: the temporaries of a chunk fit into the second-level cache at usual sizes
NATIVE_CHUNK = 16  # as in cpp/selective_scan.cpp


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Run the scan from `state`: on CUDA by ``mamba_ssm`` if it works, else compiled, else plain.

    Returns:
        y ``(B, S, E)`` and the last state ``(B, N, E)``.
    """
    with torch.autocast(x.device.type, enabled=False):  # a recurrence needs more than 8 bits
        tensors = [tensor.to(A.dtype).contiguous() for tensor in (x, dt, A, B, C, state)]
        official = _official_scan() if x.is_cuda else None
        if official is not None:
            return scan_with_state(official, *tensors)
        compiled = operator("selective_scan", *tensors)
        if compiled is not None:
            return NativeScan.apply(compiled, *tensors)  # type: ignore[no-any-return, no-untyped-call]
        return PlainScan.apply(*tensors)  # type: ignore[no-any-return, no-untyped-call]


class PlainScan(torch.autograd.Function):
    """The scan in plain torch, for every device and type."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keep the state before each chunk."""
        y, kept = torch.empty_like(x), []
        work = _Chunks(x, dt, A, B, state)
        for span in work.spans():
            kept.append(state)
            h = work.states(span, state)[1]
            y[:, span] = (_rows(C, span) @ h[1:]).squeeze(2).transpose(0, 1)
            state = h[-1].clone()
        ctx.save_for_backward(x, dt, A, B, C, *kept)
        return y, state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor, d_last: Tensor) -> tuple[Tensor, ...]:
        """Go back a chunk at a time; `carry` is the gradient of the state after the chunk."""
        x, dt, A, B, C, *kept = ctx.saved_tensors
        d_x, d_dt, d_A, d_B, d_C = map(torch.empty_like, (x, dt, A, B, C))
        d_A.zero_()
        work, carry = _Chunks(x, dt, A, B, d_last), d_last
        for span, state in reversed(list(zip(work.spans(), kept, strict=True))):
            decay, h = work.states(span, state)
            out = _rows(d_y, span)  # (T, B, 1, E)
            d_h = torch.mul(_rows(C, span).mT, out, out=work.gradients[: len(h) - 1])
            d_h[-1].add_(carry)
            for t in range(len(d_h) - 2, -1, -1):
                d_h[t].addcmul_(decay[t + 1], d_h[t + 1])
            carry = decay[0] * d_h[0]
            steps, inputs = _rows(dt, span), _rows(x, span)
            d_seen = _rows(B, span) @ d_h  # of dt x
            d_C[:, span] = (h[1:] @ out.mT).squeeze(3).transpose(0, 1)
            d_B[:, span] = (d_h @ (steps * inputs).mT).squeeze(3).transpose(0, 1)
            exponent = d_h.mul_(decay).mul_(h[:-1])  # of dt A
            d_A += torch.mul(exponent, steps, out=decay).sum((0, 1))
            d_step = exponent.mul_(A).sum(2, keepdim=True).addcmul_(d_seen, inputs)
            d_x[:, span] = (d_seen * steps).squeeze(2).transpose(0, 1)
            d_dt[:, span] = d_step.squeeze(2).transpose(0, 1)
        return d_x, d_dt, d_A, d_B, d_C, carry


class _Chunks:
    """Decays and states of one chunk after the other, in the same buffers each time."""

    def __init__(self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, like: Tensor) -> None:
        self.x, self.dt, self.A, self.B = x, dt, A, B
        self.decay = like.new_empty(CHUNK, *like.shape)
        self.h = like.new_empty(CHUNK + 1, *like.shape)
        self.gradients = torch.empty_like(self.decay)

    def spans(self) -> Iterator[slice]:
        """The steps of each chunk."""
        steps = self.x.shape[1]
        return (slice(t, min(t + CHUNK, steps)) for t in range(0, steps, CHUNK))

    def states(self, span: slice, state: Tensor) -> tuple[Tensor, Tensor]:
        """Decays ``(T, B, N, E)``, and states ``(T + 1, B, N, E)`` from `state` on."""
        steps = _rows(self.dt, span)  # (T, B, 1, E)
        decay = torch.mul(steps, self.A, out=self.decay[: len(steps)]).exp_()
        h = self.h[: len(steps) + 1]
        h[0] = state
        torch.mul(_rows(self.B, span).mT, steps * _rows(self.x, span), out=h[1:])
        for t in range(len(steps)):
            h[t + 1].addcmul_(decay[t], h[t])
        return decay, h


def _rows(sequence: Tensor, span: slice) -> Tensor:
    """Cut ``(B, S, X)``, time first: ``(T, B, 1, X)``."""
    return sequence[:, span].transpose(0, 1).unsqueeze(2)


class NativeScan(torch.autograd.Function):
    """The scan compiled from ``cpp/selective_scan.cpp``: the same, with states in registers."""

    @staticmethod
    def forward(ctx: Any, compiled: Operator, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the state before each chunk."""
        x, state = inputs[0], inputs[5]
        (rows, steps, width), chunks = x.shape, math.ceil(x.shape[1] / NATIVE_CHUNK)
        y, last = torch.empty_like(x), torch.empty_like(state)
        kept = x.new_empty(rows, chunks, *state.shape[1:])
        sizes = (steps, width, state.shape[1])
        compiled.run("forward", rows, *inputs, y, kept, last, *sizes)
        ctx.save_for_backward(*inputs[:5], kept)
        ctx.compiled, ctx.sizes = compiled, sizes
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor, d_last: Tensor) -> tuple[Tensor | None, ...]:
        """Recompute a chunk at a time; the gradient of A comes a row at a time."""
        *inputs, kept = ctx.saved_tensors
        x, dt, A, B, C = inputs
        d_y, d_last = d_y.contiguous(), d_last.contiguous()
        d_x, d_dt, d_B, d_C, d_state = map(torch.empty_like, (x, dt, B, C, d_last))
        d_A = A.new_empty(len(x), *A.shape)
        given, gradients = (*inputs, kept, d_y, d_last), (d_x, d_dt, d_A, d_B, d_C, d_state)
        ctx.compiled.run("backward", len(x), *given, *gradients, *ctx.sizes)
        return None, d_x, d_dt, d_A.sum(0), d_B, d_C, d_state


@cache
def _official_scan() -> Callable[..., Tensor] | None:
    """Return ``mamba_ssm``'s kernel; installed is not enough, its CUDA part may not be built."""
    try:
        interface = importlib.import_module("mamba_ssm.ops.selective_scan_interface")
    except (ImportError, OSError, RuntimeError):  # of triton or of a driver, where it has one
        return None
    built = getattr(interface, "selective_scan_cuda", None) is not None
    return interface.selective_scan_fn if built else None


def scan_with_state(
    scan: Callable[..., Tensor],
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    state: Tensor,
) -> tuple[Tensor, Tensor]:
    """Make a scan that starts from zero, and tells no state, start from one and tell one.

    N steps before the sequence write the state, one number of each channel a step: dt is so small
    that nothing decays, and x so large that dt x is what is to be written. N steps after it read
    the state: dt is 0, and y_t = C_t . h with one 1 in C_t. So gradients flow through both.

    Args:
        scan: of ``mamba_ssm``: x, dt ``(B, E, S)``, A ``(E, N)``, B, C ``(B, N, S)`` -> y.
        x: as the arguments that follow it, what `selective_scan` takes.
        dt: see there.
        A: see there.
        B: see there.
        C: see there.
        state: see there.
    """
    small = 1e-15
    one_each = torch.eye(len(A), dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
    none, nothing = torch.zeros_like(one_each), torch.zeros_like(state)
    x = torch.cat([state / small, x, nothing], dim=1)
    dt = torch.cat([nothing + small, dt, nothing], dim=1)
    B = torch.cat([one_each, B, none], dim=1)
    C = torch.cat([none, C, one_each], dim=1)
    channels_first = [sequence.transpose(1, 2).contiguous() for sequence in (x, dt, B, C)]
    y = scan(*channels_first[:2], A.T.contiguous(), *channels_first[2:]).transpose(1, 2)
    states = len(A)
    return y[:, states:-states], y[:, -states:]
