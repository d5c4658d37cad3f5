"""The long short-term memory: memory and output are two different things.

    i_t = sigmoid(W_i x_t + R_i h_{t-1})          input gate: how much is written
    f_t = sigmoid(W_f x_t + R_f h_{t-1})          forget gate: how much is kept
    g_t = tanh(W_g x_t + R_g h_{t-1})             what is written
    o_t = sigmoid(W_o x_t + R_o h_{t-1})          output gate: how much is shown
    c_t = f_t * c_{t-1} + i_t * g_t               the memory
    h_t = o_t * tanh(c_t)                         the output

(each W and R product has its bias). Differs from the GRU by the cell state c, which is never
squashed on its way through time (the gradient of c_t with respect to c_{t-1} along it is f_t
alone), and by input and forget gates that are independent, where the GRU ties them as 1 - z and z.

Reference: S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997);
forget gate: F. Gers et al., Learning to forget, Neural Computation 12 (2000).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.cells.cell import State
from benchmark.cells.kernel import KernelCell


class LSTM(KernelCell):
    """Long short-term memory; `forward` runs ``torch.nn.LSTM`` on the same weights as `step`.

    Args:
        input_size: I.
        hidden_size: D.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(nn.LSTM(input_size, hidden_size, batch_first=True), num_states=2)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One application of the equations above."""
        h, c = state
        i, f, g, o = (self.from_input(x) + self.from_past(h)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)
