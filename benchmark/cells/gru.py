"""The gated recurrent unit: an Elman network that may leave its memory alone.

    r_t = sigmoid(W_r x_t + R_r h_{t-1})          reset: how much of the past the candidate sees
    z_t = sigmoid(W_z x_t + R_z h_{t-1})          update: how much of the past is kept
    n_t = tanh(W_n x_t + b_n + r_t * (R_n h_{t-1} + c_n))              candidate
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}

(each W and R product has its bias, written only where its place matters). Differs from Elman by
the last line: where z is near 1 the state is copied, and its gradient with it, instead of being
multiplied by R and squashed at every step.

The reset gate acts after the product with R_n, as in cuDNN and torch, not on h before it as in
the paper's equation 8; that lets all three products with h be one matrix product.

Reference: K. Cho et al., Learning phrase representations using RNN encoder-decoder (2014),
arXiv:1406.1078, Section 2.3.

Shapes: B batch, I input width, D hidden width; x (I), h (D), and for each of r, z, n: W (D, I),
R (D, D), b and c (D).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.cells.cell import State
from benchmark.cells.kernel import KernelCell


class GRU(KernelCell):
    """Gated recurrent unit; `forward` runs ``torch.nn.GRU`` on the same weights as `step`.

    Args:
        input_size: I.
        hidden_size: D.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(nn.GRU(input_size, hidden_size, batch_first=True))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One application of the equations above."""
        (h,) = state
        x_r, x_z, x_n = self.from_input(x).chunk(3, dim=-1)
        h_r, h_z, h_n = self.from_past(h).chunk(3, dim=-1)
        r = torch.sigmoid(x_r + h_r)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * h_n)
        h = (1 - z) * n + z * h
        return h, (h,)
