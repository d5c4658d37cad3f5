"""What the classical cells share: their weights, and torch's kernel that runs a whole sequence.

Elman, GRU and LSTM differ in `Cell.step` alone. Around it each has the same products, one with the
input and one with the past, and hands whole sequences to ``torch.nn`` on the very same weights.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.cells.cell import Cell, State


class KernelCell(Cell):
    """A cell whose fast path is one layer of ``torch.nn.RNN``, ``GRU`` or ``LSTM``.

    Args:
        kernel: the layer; ``batch_first``, with biases.
        num_states: tensors ``(B, D)`` in its state: h, and for the LSTM c.
    """

    def __init__(self, kernel: nn.RNNBase, *, num_states: int = 1) -> None:
        super().__init__(kernel.input_size, kernel.hidden_size)
        self.kernel = kernel
        self.num_states = num_states

    def from_input(self, x: Tensor) -> Tensor:
        """W x + b for all gates at once: ``(B, I)`` -> ``(B, gates * D)``."""
        return F.linear(x, self.kernel.weight_ih_l0, self.kernel.bias_ih_l0)  # type: ignore[arg-type]

    def from_past(self, h: Tensor) -> Tensor:
        """R h + c for all gates at once: ``(B, D)`` -> ``(B, gates * D)``."""
        return F.linear(h, self.kernel.weight_hh_l0, self.kernel.bias_hh_l0)  # type: ignore[arg-type]

    def fork(self, x: Tensor, state: State) -> Tensor:
        """As `Cell.fork`, with one matrix product for each input and one for each state.

        What is left to do for each pair of them has no product in it.
        """
        states = tuple(tensor.reshape(-1, len(x), 1, self.hidden_size) for tensor in state)
        h, _ = self.step(x, states)  # (G, M, I) with (B / G, G, 1, D) -> (B / G, G, M, D)
        return h.flatten(0, 1)

    def initial_state(self, like: Tensor) -> State:
        """Zeros."""
        return (like.new_zeros(like.shape[0], self.hidden_size),) * self.num_states

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """All steps in torch's kernel: ``(B, S, I)`` -> ``(B, S, D)`` and the last state."""
        state = self.initial_state(x) if state is None else state
        if self.num_states == 1:
            outputs, last = self.kernel(x, state[0][None])
            return outputs, (last[0],)
        outputs, last = self.kernel(x, tuple(tensor[None] for tensor in state))
        return outputs, tuple(tensor[0] for tensor in last)
