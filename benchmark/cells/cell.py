"""What a recurrence is: one layer, one direction, with its state in the open.

A cell has four faces that must agree:

- `Cell.step`: one time step with explicit state, the equations as the paper writes them;
- `Cell.sequential`: `step` in a plain loop, the reference for everything faster;
- `Cell.forward`: the whole sequence at once, as fast as we know how; a new cell may leave it out;
- `Cell.fork`: one step from one state for several inputs, none of which sees another.

Shapes: B batch, S steps, I input width, D hidden width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""Everything a cell remembers between two steps; every tensor has B as its first dimension."""


class Cell(nn.Module, ABC):
    """One recurrent layer in one direction.

    Args:
        input_size: I, width of a step's input.
        hidden_size: D, width of a step's output.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @abstractmethod
    def initial_state(self, like: Tensor) -> State:
        """Return the state before the first step, for a batch like `like` ``(B, ...)``."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: ``(B, I)`` and a state -> output ``(B, D)`` and the next state.

        The tensors of a state keep their number, dimensions and types; what is given stays as it
        was.
        """

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run a sequence: ``(B, S, I)`` -> outputs ``(B, S, D)`` and the last state."""
        return self.sequential(x, state)

    def fork(self, x: Tensor, state: State) -> Tensor:
        """Try M next inputs from one and the same state, each by itself.

        Args:
            x: the inputs to try, ``(G, M, I)``: M for each of G groups of sequences. Sequence n
                tries those of ``x[n % G]``.
            state: of B sequences.

        Returns:
            The outputs ``(B, M, D)``.
        """
        each = x.repeat(len(state[0]) // len(x), 1, 1)
        states = tuple(tensor.repeat_interleave(x.shape[1], dim=0) for tensor in state)
        return self(each.flatten(0, 1).unsqueeze(1), states)[0].view(*each.shape[:2], -1)  # type: ignore[no-any-return]

    def sequential(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run a sequence by `step` alone; the truth that `forward` is tested against."""
        state = self.initial_state(x) if state is None else state
        outputs = []
        # unbound once: indexing x[:, t] would make the backward quadratic in S
        for x_t in x.unbind(dim=1):
            h, state = self.step(x_t, state)
            outputs.append(h)
        return torch.stack(outputs, dim=1), state
