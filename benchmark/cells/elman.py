"""The Elman network: the simplest recurrence. The whole past lives in one vector h.

    h_t = f(W x_t + b + R h_{t-1} + c)            f = tanh or relu

Every step multiplies the past by R and squashes it, so over many steps the gradient is a product
of many Jacobians R^T diag(f'): it vanishes where their norms stay below one; where they are above
one it may explode, and need not (Bengio et al. 1994). The cells that follow each mend this in their
own way.

Reference: J. Elman, Finding structure in time, Cognitive Science 14 (1990), 179-211.

Shapes: B batch, I input width, D hidden width; x (I), h (D), W (D, I), R (D, D), b and c (D).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.cells.cell import State
from benchmark.cells.kernel import KernelCell


class Elman(KernelCell):
    """Elman recurrence; `forward` runs ``torch.nn.RNN`` on the same weights as `step`.

    Args:
        input_size: I.
        hidden_size: D.
        nonlinearity: f; ``relu`` does not saturate, and can explode.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        super().__init__(
            nn.RNN(input_size, hidden_size, nonlinearity=nonlinearity, batch_first=True)
        )
        self.squash = {"tanh": torch.tanh, "relu": torch.relu}[nonlinearity]

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One application of the equation above."""
        (h,) = state
        h = self.squash(self.from_input(x) + self.from_past(h))
        return h, (h,)
