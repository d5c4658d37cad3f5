"""Mamba: a memory that is linear in its past, with gates that look at the input alone.

    x'_t, z_t = W_in u_t                two branches of E channels; u_t is the input
    x_t  = SiLU(conv(x')_t)             each channel over its last J steps
    r_t, B_t, C_t = W_x x_t             what is selected depends on the input
    dt_t = softplus(W_dt r_t + b_dt)    step size of each channel
    A    = -exp(A_log)                  N speeds of forgetting a channel
    h_t[e,n] = exp(dt_t[e] A[e,n]) h_{t-1}[e,n] + dt_t[e] x_t[e] B_t[n]      the memory
    y_t[e] = sum_n C_t[n] h_t[e,n] + D[e] x_t[e]
    out_t = W_out (y_t * SiLU(z_t))

for each channel e and each of its states n. The lines of dt, h and y are a continuous system
dh/dt = A h + B x, y = C h + D x, sampled with a step dt that the input chooses: A exactly
(zero-order hold), B by Euler's rule.

Differs from the LSTM by what the gates may see. Here exp(dt A) does what a forget gate does, and dt
what an input gate does; but neither looks at h_{t-1}, and h is not squashed: h_t is linear in
h_{t-1}. So nothing in a step waits for the step before but one multiplication and one addition, and
all large products are done for the whole sequence at once. In exchange each channel remembers N
numbers instead of one, at N speeds of forgetting, written by B and read by C; a convolution
supplies the short past. From the mLSTM: each channel forgets at N speeds of its own instead of one
a head; dt is both gates; there is no normaliser.

Where the width of the input differs from D, W_in alone takes it up; nothing else sees the input.
The original divides the initial W_out by the root of the number of layers, which a cell does not
know. There, blocks have a norm before and a residual around them: here that is for the stack.

Shapes: B batch, S steps, D width of the output, E = expand * D channels, N states a channel, J
taps, R width of r. In code, as in the paper, B, C and D are also the names above; D is learned,
one number a channel.

Reference: A. Gu and T. Dao, Mamba: linear-time sequence modeling with selective state spaces
(2023), arXiv:2312.00752, Section 3.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.cells.causal_conv import CausalConv
from benchmark.cells.cell import Cell, State
from benchmark.cells.selective_scan import selective_scan
from benchmark.cells.skip_gate import skip_gate
from benchmark.config import Positive

DT_RANGE = (1e-3, 0.1)  # step sizes to begin with: memories of about 10 to 1000 steps at A = -1


class Mamba(Cell):
    """Selective state space; `forward` hands `selective_scan` the whole sequence.

    The state is the convolution's tail ``(B, J - 1, E)`` and the memory ``(B, N, E)``.

    Args:
        input_size: width of u.
        hidden_size: D.
        state_size: N.
        expand: E / D.
        conv_width: J, steps that the convolution sees; 1 looks at no other step.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: Positive = 16,
        expand: Positive = 2,
        conv_width: Positive = 4,
    ) -> None:
        super().__init__(input_size, hidden_size)
        channels, rank = expand * hidden_size, math.ceil(hidden_size / 16)
        self.selected = [rank, state_size, state_size]  # r, B, C
        self.in_proj = nn.Linear(input_size, 2 * channels, bias=False)
        self.conv = CausalConv(channels, conv_width)
        self.x_proj = nn.Linear(channels, sum(self.selected), bias=False)
        self.dt_proj = nn.Linear(rank, channels)
        self.A_log = nn.Parameter(torch.arange(1.0, state_size + 1).log().repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))
        self.out_proj = nn.Linear(channels, hidden_size, bias=False)
        with torch.no_grad():
            self.dt_proj.weight.uniform_(-(rank**-0.5), rank**-0.5)
            self.dt_proj.bias.copy_(initial_dt_bias(channels))

    def initial_state(self, like: Tensor) -> State:
        """Zeros."""
        channels, states = self.A_log.shape
        return self.conv.initial_state(like), like.new_zeros(like.shape[0], states, channels)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One application of the equations above; ``x`` comes in as u_t."""
        tail, h = state
        x, z = self.in_proj(x).chunk(2, dim=-1)
        x, tail = self.conv.step(x, tail)
        x = F.silu(x)
        dt, A, B, C = self.select(x)
        h = torch.exp(dt[:, None] * A) * h + (dt * x)[:, None] * B[:, :, None]  # (B, N, E)
        y = (C[:, :, None] * h).sum(1) + self.D * x
        return self.out_proj(y * F.silu(z)), (tail, h)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The same for all steps at once: ``(B, S, I)`` -> ``(B, S, D)`` and the last state."""
        tail, h = self.initial_state(x) if state is None else state
        x, z = self.in_proj(x).chunk(2, dim=-1)
        x, tail = self.conv(x, tail)
        x = F.silu(x)
        dt, A, B, C = self.select(x)
        y, h = selective_scan(x, dt, A, B, C, h)
        return self.out_proj(skip_gate(y, x, self.D, z)), (tail, h)

    def select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """From x ``(..., E)``: dt ``(..., E)``, A ``(N, E)``, B and C ``(..., N)``."""
        r, B, C = self.x_proj(x).split(self.selected, dim=-1)
        dt = F.softplus(self.dt_proj(r))
        A = -torch.exp(self.A_log).T
        return dt, A, B, C


def initial_dt_bias(size: int) -> Tensor:
    """Biases whose softplus is spread over `DT_RANGE`, uniformly on a log scale."""
    low, high = map(math.log, DT_RANGE)
    dt = torch.exp(low + torch.rand(size) * (high - low))
    return dt + torch.log(-torch.expm1(-dt))  # the inverse of softplus
