"""The xLSTM: blocks of sLSTM and mLSTM, each with a norm before it and a bypass around it.

    x <- x + mLSTM(LayerNorm(x))                               a block "m"
    x <- x + sLSTM(LayerNorm(x));  x <- x + FF(LayerNorm(x))   a block "s"
    y = LayerNorm(x)                                           after the last block
    FF(x) = W_down (GELU(W_gate x) * W_up x)

Differs from stacked cells by what is around them: the bypass hands x, and gradients, past every
block unchanged, so blocks only add corrections and can be many, and what enters a block is
normalised. The sLSTM alone has no layer that mixes its heads, so a feed-forward network follows
it; the mLSTM has one inside. The paper writes xLSTM[7:1] for seven m to one s.

All blocks are one recurrence, whose state is the states of all of them. Where I and D differ, one
linear layer brings x from I to D first.

Reference: M. Beck et al., xLSTM: extended long short-term memory (2024), arXiv:2405.04517,
Section 2.4 and Appendix A.4.

Shapes: B batch, S steps, I input width, D hidden width.
"""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from benchmark.cells.cell import Cell, State
from benchmark.cells.heads import LayerNorm, round_up, small_init_
from benchmark.cells.mlstm import MLSTM
from benchmark.cells.slstm import SLSTM
from benchmark.config import Positive, Probability

EXPANSION = 1.3
"""Width of the feed-forward network over D, before it is rounded up."""


class XLSTM(Cell):
    """Residual blocks of sLSTM and mLSTM; its state is the states of all, one after another.

    Args:
        input_size: I.
        hidden_size: D.
        blocks: a letter each, first to last: ``s`` or ``m``.
        num_heads: of every block.
        taps: steps that every block's convolution sees.
        dropout: of every block's cell.

    Raises:
        ValueError: D does not go with the number of heads.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        blocks: Annotated[str, Field(pattern="^[ms]+$")] = "ms",
        num_heads: Positive = 4,
        taps: Positive = 4,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        same = input_size == hidden_size
        self.embed = nn.Identity() if same else nn.Linear(input_size, hidden_size)
        self.blocks = nn.ModuleList()
        sizes = (hidden_size, hidden_size)
        for number, kind in enumerate(blocks):
            if kind == "m":
                mlstm = MLSTM(*sizes, num_heads=num_heads, taps=taps, dropout=dropout)
                mlstm.reset_parameters(layers=len(blocks))
                self.blocks.append(Block(mlstm))
            else:
                slstm = SLSTM(*sizes, num_heads=num_heads, taps=taps, dropout=dropout)
                slstm.reset_parameters(depth=number / max(len(blocks) - 1, 1))
                self.blocks.append(Block(slstm, FeedForward(hidden_size, layers=len(blocks))))
        self.norm = LayerNorm(hidden_size)
        self.state_lengths = [len(cell.initial_state(torch.empty(0))) for cell in self.cells()]

    def initial_state(self, like: Tensor) -> State:
        """The blocks' own, one after another."""
        return tuple(tensor for cell in self.cells() for tensor in cell.initial_state(like))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One application of the equations above."""
        x, last = self.embed(x), ()
        for block, own in zip(self.blocks, self.by_block(state), strict=True):
            x, own = block.step(x, own)  # type: ignore[operator]
            last += own
        return self.norm(x), last

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The same, every block running the whole sequence in its own fast way."""
        states = self.by_block(self.initial_state(x) if state is None else state)
        x, last = self.embed(x), ()
        for block, own in zip(self.blocks, states, strict=True):
            x, own = block(x, own)
            last += own
        return self.norm(x), last

    def cells(self) -> list[Cell]:
        """The recurrences inside the blocks."""
        return [block.cell for block in self.blocks]  # type: ignore[misc]

    def by_block(self, state: State) -> list[State]:
        """Cut the state into the blocks' own."""
        left = iter(state)
        return [tuple(islice(left, length)) for length in self.state_lengths]


class Block(nn.Module):
    """A cell, and a feed-forward network after it or none, each behind a norm and bypassed.

    Args:
        cell: of width D.
        feed_forward: what follows it.
    """

    def __init__(self, cell: Cell, feed_forward: FeedForward | None = None) -> None:
        super().__init__()
        self.norm = LayerNorm(cell.hidden_size)
        self.cell = cell
        self.feed_forward = feed_forward

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """``(B, D)`` and the cell's state -> ``(B, D)`` and its next."""
        h, state = self.cell.step(self.norm(x), state)
        return self._finish(x + h), state

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """``(B, S, D)`` and the cell's state -> ``(B, S, D)`` and its last."""
        h, state = self.cell(self.norm(x), state)
        return self._finish(x + h), state

    def _finish(self, x: Tensor) -> Tensor:
        return x if self.feed_forward is None else x + self.feed_forward(x)


class FeedForward(nn.Module):
    """The gated network of an "s" block, of every step by itself, with the norm before it.

    Args:
        width: D.
        layers: blocks of the model; each adds less where there are more.
    """

    def __init__(self, width: int, *, layers: int) -> None:
        super().__init__()
        inner = round_up(EXPANSION * width)
        self.norm = LayerNorm(width)
        self.up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)
        small_init_(self.up.weight, width)
        nn.init.normal_(self.down.weight, std=2 / layers / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., D)`` -> ``(..., D)``."""
        gate, up = self.up(self.norm(x)).chunk(2, dim=-1)
        return self.down(F.gelu(gate) * up)  # type: ignore[no-any-return]
