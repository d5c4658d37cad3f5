"""The long short-term memory: memory and output are two different things.

    i~_t, f~_t, g~_t, o~_t = W x_t + R h_{t-1}    with a tilde: before its nonlinearity
    i_t = sigmoid(i~_t)                           input gate: how much is written
    f_t = sigmoid(f~_t)                           forget gate: how much is kept
    g_t = tanh(g~_t)                              what is written
    o_t = sigmoid(o~_t)                           output gate: how much is shown
    c_t = f_t * c_{t-1} + i_t * g_t               the memory
    h_t = o_t * tanh(c_t)                         the output

(W and R have a block of rows for each of the four, and each product has its bias). Differs from the
GRU by the cell state c, which is never squashed on its way through time (the gradient of c_t with
respect to c_{t-1} along it is f_t alone), and by input and forget gates that are independent, where
the GRU ties them as 1 - z and z.

Reference: S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997);
forget gate: F. Gers et al., Learning to forget, Neural Computation 12 (2000).

Shapes: B batch, I input width, D hidden width; x (I), h and c (D), and for each of i, f, g, o:
W (D, I), R (D, D), and two biases (D).
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
        i, f, g, o = (self.from_input(x) + self.from_past(h)).chunk(4, dim=-1)  # i~, f~, g~, o~
        i = torch.sigmoid(i)
        f = torch.sigmoid(f)
        g = torch.tanh(g)
        o = torch.sigmoid(o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h, (h, c)
