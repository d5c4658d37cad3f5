"""Layers of one cell: stacked, in one or both directions, with dropout and skips between them.

Shapes: B batch, S steps, I input width, D hidden width, N directions (1 or 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmark.cells.cell import Cell, State


class Encoded(NamedTuple):
    """What a stack returns.

    Attributes:
        outputs: the last layer's output at every step, ``(B, S, N * D)``.
        summary: the last layer's output after it has read everything, ``(B, N * D)``: the last
            step forward, the first step backward.
        states: the forward direction's final state, a layer each.
    """

    outputs: Tensor
    summary: Tensor
    states: list[State]


class RecurrentStack(nn.Module):
    """`layers` cells deep; a bidirectional layer concatenates a forward and a backward cell.

    Args:
        cell: builds a cell from (input_size, hidden_size).
        input_size: I.
        hidden_size: D, of one direction.
        layers: depth.
        bidirectional: add a cell that reads the sequence from its end (N = 2).
        residual: add a layer's input to its output where their widths agree.
        dropout: probability, between layers.
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        hidden_size: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.output_size = hidden_size * (2 if bidirectional else 1)
        sizes = [input_size] + [self.output_size] * (layers - 1)
        self.ahead = nn.ModuleList(cell(size, hidden_size) for size in sizes)
        self.back = nn.ModuleList(cell(size, hidden_size) for size in sizes if bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.residual = residual

    def forward(self, x: Tensor, states: list[State] | None = None) -> Encoded:
        """Run ``(B, S, I)`` through every layer, from `states` where they are given."""
        final: list[State] = []
        for depth, ahead in enumerate(self.ahead):
            layer_input = self.dropout(x) if depth else x
            outputs, state = ahead(layer_input, states[depth] if states else None)
            if self.back:
                backwards, _ = self.back[depth](layer_input.flip(1))
                outputs = torch.cat([outputs, backwards.flip(1)], dim=-1)
            final.append(state)
            x = x + outputs if self.residual and x.shape == outputs.shape else outputs
        summary = x[:, -1]
        if self.back:  # the backward cell has read everything at the first step
            forwards, backwards = x.chunk(2, dim=-1)
            summary = torch.cat([forwards[:, -1], backwards[:, 0]], dim=-1)
        return Encoded(outputs=x, summary=summary, states=final)

    def step(self, x: Tensor, states: list[State]) -> tuple[Tensor, list[State]]:
        """Advance a one-directional stack one step: ``(B, I)`` -> ``(B, D)`` and new states."""
        self._require_one_direction("step")
        final: list[State] = []
        for depth, ahead in enumerate(self.ahead):
            h, state = ahead.step(self.dropout(x) if depth else x, states[depth])  # type: ignore[operator]
            final.append(state)
            x = x + h if self.residual and x.shape == h.shape else h
        return x, final

    def fork(self, x: Tensor, states: list[State]) -> Tensor:
        """One step from the same states for each of several inputs, as `Cell.fork`.

        Args:
            x: ``(G, M, I)``.
            states: of B sequences, a layer each.

        Returns:
            The last layer's outputs ``(B, M, D)``.
        """
        self._require_one_direction("fork")
        for depth, ahead in enumerate(self.ahead):
            h = ahead.fork(self.dropout(x) if depth else x, states[depth])  # type: ignore[operator]
            if self.residual and x.shape[-1] == h.shape[-1]:
                h = x.repeat(len(h) // len(x), 1, 1) + h
            x = h
        return x

    def _require_one_direction(self, called: str) -> None:
        if self.back:
            raise ValueError(
                f"a bidirectional stack needs the whole sequence, but {called} was called"
            )
