"""The mLSTM: the memory is a matrix, and nothing mixes over time.

    u_t, z_t = W_up x_t                           two branches, each E wide
    a_t  = SiLU(conv(u)_t)                        a short look back
    q_t  = W_q a_t                                query
    k_t  = W_k a_t                                key
    v_t  = W_v u_t                                value
    i~_t = w_i . (q_t, k_t, v_t) + b_i            one number; tildes as in the sLSTM
    f~_t = w_f . (q_t, k_t, v_t) + b_f            one number
    i_t  = exp(i~_t)                              input gate
    f_t  = sigmoid(f~_t)                          forget gate
    m_t  = max(i~_t, log f_t + m_{t-1})           stabiliser, as in the sLSTM
    i'_t = exp(i~_t - m_t)                        both gates in terms of the stabiliser
    f'_t = exp(log f_t + m_{t-1} - m_t)
    C_t  = f'_t C_{t-1} + i'_t (k_t / sqrt(W)) v_t^T       the memory: v_t is stored under k_t
    n_t  = f'_t n_{t-1} + i'_t (k_t / sqrt(W))             the normaliser
    divisor_t = max(|n_t . q_t|, exp(-m_t)) + eps
    h_t  = C_t^T q_t / divisor_t                  what is stored under q_t
    y_t  = W_down ((HeadNorm(h_t) + s * a_t) * SiLU(z_t))     the output, gated by z

in every head by itself, but for W_up, W_down and the gates i and f, which see all heads. Differs
from the sLSTM in that its memory is a matrix, W times as large, read by what it is asked for; and
in that gates do not see h. So the past enters linearly, and a whole sequence can be computed at
once, without a loop over time (see `benchmark.cells.matrix_memory`). What is lost is the sLSTM's
ability to let its state steer its gates.

s is learned, one number a channel; eps is 1e-6. The paper's divisor is max(|n_t . q_t|, 1): C and n
are stored divided by exp(m_t) here, so its 1 becomes exp(-m_t). Its C is the transpose of ours. Its
output gate o_t is, as in the authors' code, SiLU(z_t) outside the memory.

W_q, W_k and W_v are block-diagonal, in blocks of 4. E is 2 D, rounded up to a multiple of 64.
W_up reads x at whatever width I it has. Nothing bounds y: it grows with x, in part with its square
(a times z), so the layer wants an input of unit size, as the xLSTM's blocks give it.

Reference: M. Beck et al., xLSTM: extended long short-term memory (2024), arXiv:2405.04517,
Section 2.3; the layer around the memory: Section 2.4 and Appendix A.4.

Shapes: B batch, S steps, I input width, D hidden width, E expanded width, K heads, W = E / K
width of a head, J taps.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark.cells.causal_conv import CausalConv
from benchmark.cells.cell import Cell, State
from benchmark.cells.gated_output import gated_output
from benchmark.cells.heads import (
    HeadLinear,
    HeadNorm,
    require_multiple,
    round_up,
    small_init_,
    split_heads,
)
from benchmark.cells.matrix_memory import EPS, chunkwise, fastest, lower_bound, parallel
from benchmark.cells.scalar_memory import NOTHING_YET
from benchmark.config import Positive, Probability

BLOCK = 4
"""Width of the blocks of W_q, W_k and W_v."""


class MLSTM(Cell):
    """mLSTM layer; its state is C ``(B, K, W, W)``, n, m and the convolution's tail.

    Args:
        input_size: I.
        hidden_size: D.
        num_heads: K.
        expansion: E / D, before rounding.
        taps: J, steps that the convolution sees.
        dropout: of the output.
        form: how `forward` computes: ``parallel`` takes time in S^2, ``chunkwise`` linear in S,
            and so does ``fastest``, in C++ where that can be.

    Raises:
        ValueError: E is no multiple of 4 K.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_heads: Positive = 4,
        expansion: Annotated[float, Field(gt=0)] = 2.0,
        taps: Positive = 4,
        dropout: Probability = 0.0,
        form: Literal["fastest", "chunkwise", "parallel"] = "fastest",
    ) -> None:
        super().__init__(input_size, hidden_size)
        inner = round_up(expansion * hidden_size)
        require_multiple("the expanded width", inner, f"{BLOCK} * num_heads", BLOCK * num_heads)
        self.num_heads = num_heads
        forms = {"fastest": fastest, "chunkwise": chunkwise, "parallel": parallel}
        self.run_memory = forms[form]
        self.up = nn.Linear(input_size, 2 * inner, bias=False)
        self.conv = CausalConv(inner, taps)
        self.query = HeadLinear(inner // BLOCK, BLOCK, BLOCK)
        self.key = HeadLinear(inner // BLOCK, BLOCK, BLOCK)
        self.value = HeadLinear(inner // BLOCK, BLOCK, BLOCK)
        self.gates = nn.Linear(3 * inner, 2 * num_heads)  # i, f
        self.norm = HeadNorm(inner)
        self.skip = nn.Parameter(torch.empty(inner))
        self.down = nn.Linear(inner, hidden_size, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self, layers: int = 1) -> None:
        """Draw weights anew; forget biases rise from 3 to 6 over the heads, so memories differ.

        Args:
            layers: of the model it is part of; each adds less where there are more.
        """
        small_init_(self.up.weight, self.input_size)
        for linear in (self.query, self.key, self.value):
            small_init_(linear.weight, self.hidden_size)
        nn.init.zeros_(self.gates.weight)
        with torch.no_grad():
            self.gates.bias[: self.num_heads].normal_(std=0.1)
            self.gates.bias[self.num_heads :] = torch.linspace(3, 6, self.num_heads)
        nn.init.ones_(self.skip)
        nn.init.normal_(self.down.weight, std=2 / layers / self.hidden_size**0.5)

    def initial_state(self, like: Tensor) -> State:
        """Zeros; m so low that whatever the first step writes outweighs it."""
        heads, width = self.num_heads, len(self.skip) // self.num_heads
        C = like.new_zeros(like.shape[0], heads, width, width)
        n = like.new_zeros(like.shape[0], heads, width)
        m = like.new_full((like.shape[0], heads), NOTHING_YET)
        return C, n, m, self.conv.initial_state(like)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One application of the equations above."""
        C, n, m, tail = state
        u, z = self.up(x).chunk(2, dim=-1)
        a, tail = self.conv.step(u, tail)
        a = F.silu(a)
        q, k, v = _in_blocks(self.query, a), _in_blocks(self.key, a), _in_blocks(self.value, u)
        i, f = self.gates(torch.cat([q, k, v], dim=-1)).chunk(2, dim=-1)  # i~, f~ (B, K)
        q, k, v = (split_heads(tensor, self.num_heads) for tensor in (q, k, v))  # (B, K, W)
        k = k * k.shape[-1] ** -0.5
        log_f = F.logsigmoid(f)
        m_before, m = m, torch.maximum(i, log_f + m)
        i = torch.exp(i - m)
        f = torch.exp(log_f + m_before - m)
        C = f[..., None, None] * C + i[..., None, None] * k.unsqueeze(-1) * v.unsqueeze(-2)
        n = f[..., None] * n + i[..., None] * k
        divisor = torch.maximum((q * n).sum(-1).abs(), lower_bound(m)) + EPS
        h = (q.unsqueeze(-1) * C).sum(-2) / divisor[..., None]
        y = self.down((self.norm(h) + self.skip * a) * F.silu(z))
        return self.dropout(y), (C, n, m, tail)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """All steps at once, the memory in the form that was asked for."""
        C, n, m, tail = self.initial_state(x) if state is None else state
        u, z = (F.linear(x, weight) for weight in self.up.weight.chunk(2))  # both contiguous
        a, tail = self.conv(u, tail)
        a = F.silu(a)
        q, k, v, i, f = self.project(a, u)
        batch, steps, _ = x.shape
        with torch.autocast(x.device.type, enabled=False):  # sums over many steps want every digit
            q, k, v, i, f, a, z = (tensor.to(self.skip) for tensor in (q, k, v, i, f, a, z))
            state = tuple(t.transpose(0, 1).flatten(0, 1).to(self.skip) for t in (C, n, m))
            h, state = self.run_memory(q, k, v, i, f, state)  # heads first: (K B, ...)
            h = h.reshape(self.num_heads, batch, steps, -1)
            y = gated_output(h, 1 + self.norm.weight, self.skip, a, z, self.down.weight)
        C, n, m = (t.view(-1, batch, *t.shape[1:]).transpose(0, 1) for t in state)
        return self.dropout(y), (C, n, m, tail)

    def project(self, a: Tensor, u: Tensor) -> tuple[Tensor, ...]:
        """Return q, k, v ``(K B, S, W)`` and i, f ``(K B, S)`` from both branches ``(B, S, E)``.

        Heads come first, as the memory wants them, by multiplying each head by itself. The gates
        are linear in q, k and v, so they are linear in a and u, with a product of small matrices.
        """
        batch, steps, _ = a.shape
        heads, width = self.num_heads, a.shape[-1] // self.num_heads
        query, key, value = (
            _dense(linear, heads) for linear in (self.query, self.key, self.value)
        )  # (K, W, W)

        of_q, of_k, of_v = self.gates.weight.view(2 * heads, 3, heads, width).unbind(1)
        of_a = _compose(of_q, query) + _compose(of_k, key)
        gates = F.linear(a, of_a, self.gates.bias) + F.linear(u, _compose(of_v, value))
        i, f = gates.permute(2, 0, 1).reshape(2, heads * batch, steps)

        def multiply(x: Tensor, weight: Tensor) -> Tensor:
            by_head = x.reshape(batch * steps, heads, width).transpose(0, 1)
            return torch.bmm(by_head, weight.transpose(1, 2)).view(heads * batch, steps, -1)

        return multiply(a, query), multiply(a, key * width**-0.5), multiply(u, value), i, f


def _in_blocks(linear: HeadLinear, x: Tensor) -> Tensor:
    """``(..., E)`` -> ``(..., E)``, each block of 4 by itself."""
    return linear(split_heads(x, len(linear.weight))).flatten(-2)  # type: ignore[no-any-return]


def _dense(linear: HeadLinear, num_heads: int) -> Tensor:
    """Blocks ``(E / 4, 4, 4)`` as one block-diagonal matrix a head: ``(K, W, W)``."""
    blocks = linear.weight.view(num_heads, -1, BLOCK, BLOCK)  # (K, W / 4, 4, 4)
    places = torch.eye(blocks.shape[1]).to(blocks)
    return torch.einsum("kboi,bc->kboci", blocks, places).flatten(3, 4).flatten(1, 2)


def _compose(gates: Tensor, weight: Tensor) -> Tensor:
    """What gates ``(2 K, K, W)`` read through a map of every head: ``(2 K, E)``."""
    return torch.einsum("gko,koi->gki", gates, weight).flatten(1)
