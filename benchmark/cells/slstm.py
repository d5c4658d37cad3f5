"""The sLSTM: an LSTM whose gates may be exponential, and whose memory is therefore normalised.

    a_t  = SiLU(conv(x)_t)                        a short look back, for the two gates that need it
    i~_t = W_i a_t + R_i h_{t-1} + b_i            with a tilde: before its nonlinearity
    f~_t = W_f a_t + R_f h_{t-1} + b_f
    z~_t = W_z x_t + R_z h_{t-1} + b_z
    o~_t = W_o x_t + R_o h_{t-1} + b_o
    i_t  = exp(i~_t)                              input gate
    f_t  = sigmoid(f~_t), or exp(f~_t)            forget gate
    z_t  = tanh(z~_t)                             what is written
    o_t  = sigmoid(o~_t)                          output gate
    m_t  = max(i~_t, log f_t + m_{t-1})           stabiliser
    i'_t = exp(i~_t - m_t)                        both gates in terms of the stabiliser
    f'_t = exp(log f_t + m_{t-1} - m_t)
    c_t  = f'_t * c_{t-1} + i'_t * z_t            the memory
    n_t  = f'_t * n_{t-1} + i'_t                  the normaliser: how much was written
    h_t  = o_t * c_t / n_t                        the hidden state
    y_t  = HeadNorm(h_t)                          the output

Differs from the LSTM in three ways. The input gate is exponential: one step can outweigh all that
was written before, where a sigmoid can at most add a bounded amount, so the cell can revise what it
stored. c / n is then a weighted mean of what was written, so no tanh has to bound it. And R is
block-diagonal: channels mix over time within a head only.

c and n grow like exp(i~), so both are stored divided by exp(m), m being the largest exponent so
far; h, a quotient, does not notice. m starts so low that the first step always wins.

Without a tanh on the way out every head is normalised instead. Where I and D differ, one linear
layer brings x from I to D first: W_i to W_o are block-diagonal too, and need equal widths.

Reference: M. Beck et al., xLSTM: extended long short-term memory (2024), arXiv:2405.04517,
Section 2.2; the layer around the recurrence, with convolution and norm: Section 2.4, Appendix A.4.

Shapes: B batch, S steps, I input width, D hidden width, K heads, W = D / K width of a head,
J taps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.cells.causal_conv import CausalConv
from benchmark.cells.cell import Cell, State
from benchmark.cells.heads import HeadLinear, HeadNorm, require_multiple, small_init_, split_heads
from benchmark.cells.scalar_memory import NOTHING_YET, ForgetGate, log_forget, scalar_memory
from benchmark.config import Positive, Probability


class SLSTM(Cell):
    """sLSTM recurrence; its state is h, c, n, m, each ``(B, K, W)``, and the convolution's tail.

    Args:
        input_size: I.
        hidden_size: D.
        num_heads: K.
        forget_gate: f, a sigmoid or an exponential of f~.
        taps: J, steps that the convolution before the gates i and f sees; 1 leaves it out.
        dropout: of h on its way to the norm, not on its way to the next step.

    Raises:
        ValueError: D is no multiple of K.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_heads: Positive = 4,
        forget_gate: ForgetGate = "sigmoid",
        taps: Positive = 4,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        require_multiple("hidden_size", hidden_size, "num_heads", num_heads)
        width = hidden_size // num_heads
        self.num_heads = num_heads
        self.forget_gate = forget_gate
        self.taps = taps
        same = input_size == hidden_size
        self.embed = nn.Identity() if same else nn.Linear(input_size, hidden_size)
        self.conv = CausalConv(hidden_size, taps) if taps > 1 else None
        self.gates_from_conv = HeadLinear(num_heads, width, 2 * width)  # i, f
        self.gates_from_input = HeadLinear(num_heads, width, 2 * width)  # z, o
        self.gates_from_past = HeadLinear(num_heads, width, 4 * width)  # i, f, z, o
        self.bias = nn.Parameter(torch.empty(num_heads, 4 * width))
        self.dropout = nn.Dropout(dropout)
        self.norm = HeadNorm(hidden_size)
        self.reset_parameters()

    def reset_parameters(self, depth: float = 0.0) -> None:
        """Draw weights anew; forget biases fall from 5 to -7 in every head, so memories differ.

        Args:
            depth: where in a model the layer stands, from 0 (first) to 1 (last): later layers
                remember longer.
        """
        small_init_(self.gates_from_conv.weight, self.hidden_size)
        small_init_(self.gates_from_input.weight, self.hidden_size)
        nn.init.zeros_(self.gates_from_past.weight)
        nn.init.zeros_(self.bias)
        width = self.hidden_size // self.num_heads
        place = torch.arange(width) / max(width - 1, 1)  # 0 ... 1
        with torch.no_grad():
            self.bias[:, width : 2 * width] = 5 - 12 * place ** (0.3 + 1.3 * depth)

    def initial_state(self, like: Tensor) -> State:
        """Zeros; m so low that whatever the first step writes outweighs it."""
        empty = like.new_zeros(like.shape[0], self.num_heads, self.hidden_size // self.num_heads)
        tail = like.new_zeros(like.shape[0], self.taps - 1, self.hidden_size)
        return empty, empty, empty, torch.full_like(empty, NOTHING_YET), tail

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One application of the equations above."""
        h, c, n, m, tail = state
        x = a = self.embed(x)
        if self.conv is not None:
            a, tail = self.conv.step(x, tail)
            a = F.silu(a)
        of_a, of_x = self.gates_from_conv(self.split(a)), self.gates_from_input(self.split(x))
        gates = torch.cat([of_a, of_x], dim=-1) + self.gates_from_past(h) + self.bias
        i, f, z, o = gates.chunk(4, dim=-1)  # i~, f~, z~, o~ (B, K, W)
        log_f = log_forget(f, self.forget_gate)
        m_before, m = m, torch.maximum(i, log_f + m)
        i = torch.exp(i - m)
        f = torch.exp(log_f + m_before - m)
        z = torch.tanh(z)
        o = torch.sigmoid(o)
        c = f * c + i * z
        n = f * n + i
        h = o * c / n
        return self.norm(self.dropout(h)), (h, c, n, m, tail)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """All steps: what does not depend on h at once, then the shortest possible loop."""
        h, c, n, m, tail = self.initial_state(x) if state is None else state
        x = a = self.embed(x)
        if self.conv is not None:
            a, tail = self.conv(x, tail)
            a = F.silu(a)
        parts = (self.gates_from_conv(self.split(a)), self.gates_from_input(self.split(x)))
        by_head = [part.permute(1, 2, 0, 3) for part in parts]  # as the loop wants them
        gates = torch.cat(by_head, dim=-1) + self.bias.unsqueeze(1)  # (S, K, B, 4 W)
        h, c, n, m = (tensor.to(gates) for tensor in (h, c, n, m))
        outputs, (h, c, n, m) = scalar_memory(
            gates.permute(2, 0, 1, 3), self.gates_from_past.weight, (h, c, n, m), self.forget_gate
        )
        return self.norm(self.dropout(outputs)), (h, c, n, m, tail)

    def split(self, x: Tensor) -> Tensor:
        """``(..., D)`` -> ``(..., K, W)``."""
        return split_heads(x, self.num_heads)
