"""Mamba-2: a Mamba whose channels forget together, in heads.

    z_t, x'_t, B'_t, C'_t, dt~_t = W_in u_t         all from the input; u_t is it
    x_t, B_t, C_t = SiLU(conv(x', B', C')_t)        each channel over its last J steps
    dt_t = softplus(dt~_t + b_dt)                   step size, one number a head
    A    = -exp(A_log)                              speed of forgetting, one number a head
    h_t  = exp(dt_t A) h_{t-1} + B_t (dt_t x_t)^T   memory: a matrix (N, P) a head
    y_t  = C_t^T h_t + D x_t
    out_t = W_out RMSNorm(y_t * SiLU(z_t))

Differs from Mamba by what decays alone. There each channel has its own dt, and N speeds of
forgetting in A; here one number exp(dt A) scales the whole matrix of a head. That is less to
choose from, but the recurrence can now be unrolled into matrix products (see `ssd.py`), which take
a larger N or a longer sequence better than a scan does. B, C and dt come straight from
the input, in the same product as x, and a norm follows the gate.

With keys and queries of each head's own (here all heads share B and C), a separate exponential
input gate and a normaliser it would be the mLSTM's memory.

Where the width of the input differs from D, W_in alone takes it up, as in Mamba. The original has
N = 128 and heads of 64 channels for a width of 768 and more.

Shapes: B batch, S steps, D width of the output, E = expand * D channels, K heads, P = E / K
channels of a head, N states a channel, J taps. In code, as in the paper, B, C and D are also the
names above; D is learned, one number a head.

Reference: T. Dao and A. Gu, Transformers are SSMs: generalized models and efficient algorithms
through structured state space duality (2024), arXiv:2405.21060, Sections 6 and 7.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.cells.causal_conv import CausalConv
from benchmark.cells.cell import Cell, State
from benchmark.cells.heads import require_multiple, split_heads
from benchmark.cells.mamba import initial_dt_bias
from benchmark.cells.skip_gate import skip_gate
from benchmark.cells.ssd import ssd
from benchmark.config import Positive

A_RANGE = (1.0, 16.0)  # of -A to begin with
EPS = 1e-5  # of the norm


class Mamba2(Cell):
    """State space with heads; `forward` hands `ssd` the whole sequence.

    The state is the convolution's tail ``(B, J - 1, E + 2 N)`` and the memory ``(B, N, K, P)``.

    Args:
        input_size: width of u.
        hidden_size: D.
        state_size: N.
        expand: E / D.
        num_heads: K.
        conv_width: J, steps that the convolution sees; 1 looks at no other step.

    Raises:
        ValueError: channels that cannot be split into heads.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: Positive = 16,
        expand: Positive = 2,
        num_heads: Positive = 4,
        conv_width: Positive = 4,
    ) -> None:
        super().__init__(input_size, hidden_size)
        channels, self.num_heads = expand * hidden_size, num_heads
        require_multiple("expand * hidden_size", channels, "num_heads", num_heads)
        self.selected = [channels, state_size, state_size]  # x, B, C
        self.in_proj = nn.Linear(input_size, channels + sum(self.selected) + num_heads, bias=False)
        self.conv = CausalConv(sum(self.selected), conv_width)
        self.dt_bias = nn.Parameter(initial_dt_bias(num_heads))
        self.A_log = nn.Parameter(torch.empty(num_heads).uniform_(*A_RANGE).log())
        self.D = nn.Parameter(torch.ones(num_heads))
        self.norm = nn.Parameter(torch.ones(channels))
        self.out_proj = nn.Linear(channels, hidden_size, bias=False)

    def initial_state(self, like: Tensor) -> State:
        """Zeros."""
        channels, states, _ = self.selected
        h = like.new_zeros(like.shape[0], states, channels)
        return self.conv.initial_state(like), split_heads(h, self.num_heads)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One application of the equations above; ``x`` comes in as u_t."""
        tail, h = state
        z, x, dt = self.project(x)
        x, tail = self.conv.step(x, tail)
        x, A, B, C = self.select(x)
        decay = torch.exp(dt * A)  # (B, K)
        new = B[:, :, None, None] * (dt[..., None] * x)[:, None]  # (B, N, K, P)
        h = decay[:, None, :, None] * h + new
        y = (C[:, :, None, None] * h).sum(1) + self.D[:, None] * x
        return self.output(y.flatten(-2) * F.silu(z)), (tail, h)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The same for all steps at once: ``(B, S, I)`` -> ``(B, S, D)`` and the last state."""
        tail, h = self.initial_state(x) if state is None else state
        z, x, dt = self.project(x)
        x, tail = self.conv(x, tail)
        x, A, B, C = self.select(x)
        y, h = ssd(dt[..., None] * x, dt * A, B, C, h)
        D = self.D.repeat_interleave(x.shape[-1])
        return self.output(skip_gate(y.flatten(-2), x.flatten(-2), D, z)), (tail, h)

    def project(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From u ``(..., I)``: z ``(..., E)``, x, B, C in one, and dt ``(..., K)``."""
        sizes = [self.selected[0], sum(self.selected), self.num_heads]
        z, x, dt = self.in_proj(u).split(sizes, dim=-1)
        return z, x, F.softplus(dt + self.dt_bias)

    def select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """After the convolution: x ``(..., K, P)``, A ``(K,)``, B and C ``(..., N)``."""
        x, B, C = torch.split(F.silu(x), self.selected, dim=-1)
        A = -torch.exp(self.A_log)
        return split_heads(x, self.num_heads), A, B, C

    def output(self, gated: Tensor) -> Tensor:
        """Norm, then mix: the gated memory ``(..., E)`` -> ``(..., D)``.

        The norm is linear but for one number a step, so its gain goes into W_out, and that number
        (one over the root mean square) is applied to the narrower result.
        """
        scale = torch.rsqrt(gated.square().mean(-1, keepdim=True) + EPS)
        return scale * F.linear(gated, self.norm * self.out_proj.weight)
