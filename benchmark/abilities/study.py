"""Train one bare cell on a task and count its right answers.

Every cell has the same body (a linear map in, one layer, a linear map out), about the same number
of weights and the same budget. A cell that fails may only need more of it: what is measured is what
is learned easily.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmark.abilities.tasks import AbilityTask
from benchmark.cells import Cell, cell_factory
from benchmark.errors import UserError, backward_faults, no_exit

WEIGHTS = 20_000
"""Of a network, about; its width is the multiple of `STRIDE` that comes nearest."""
STRIDE, WIDEST = 8, 256
BATCH, RATE, CLIP = 64, 3e-3, 1.0
ASKED = 1000
"""Sequences that answers are counted over; the same for all cells and seeds."""


@dataclass(frozen=True)
class Answers:
    """What one trained cell knew.

    Attributes:
        task: its name.
        cell: its name.
        seed: of weights and training sequences.
        width: hidden size.
        weights: parameters.
        right: share of right answers at the end of sequences as long as those of training.
        right_longer: the same of longer ones; None where there are none.
    """

    task: str
    cell: str
    seed: int
    width: int
    weights: int
    right: float
    right_longer: float | None


class Reader(nn.Module):
    """``(B, S, I)`` -> ``(B, S, O)`` by one layer of a cell."""

    cell: Cell

    def __init__(self, cell: str, task: AbilityTask, width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(task.inputs, width)
        self.cell = cell_factory(cell, {})(width, width)
        self.answer = nn.Linear(width, task.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Answer after every step."""
        outputs, _ = self.cell(self.embed(x))
        return self.answer(outputs)  # type: ignore[no-any-return]


@no_exit()
def width_of(cell: str, task: AbilityTask) -> int:
    """Return the width at which a network has nearest to `WEIGHTS` parameters.

    Raises:
        UserError: there is no such cell, or it lacks its equations.
    """
    widths = range(STRIDE, WIDEST + 1, STRIDE)
    return min(widths, key=lambda width: abs(_weights(Reader(cell, task, width)) - WEIGHTS))


@no_exit()
def train_and_ask(cell: str, task: AbilityTask, width: int, seed: int) -> Answers:
    """Train a cell, then ask it about sequences that it was not trained on.

    Args:
        cell: a cell's name, or a dotted path.
        task: what it learns.
        width: hidden size.
        seed: of weights and sequences.
    """
    reader = trained(cell, task, width, seed)
    return Answers(
        task=task.name,
        cell=cell,
        seed=seed,
        width=width,
        weights=_weights(reader),
        right=share_right(reader, task, task.length),
        right_longer=share_right(reader, task, task.longer) if task.longer else None,
    )


@no_exit()
def trained(cell: str, task: AbilityTask, width: int, seed: int) -> Reader:
    """Train a cell on sequences drawn anew for every step; takes what `train_and_ask` does.

    Adam at a rate that rises and falls once; the mean squared error of all that is asked for.
    """
    torch.manual_seed(seed)
    source = torch.Generator().manual_seed(seed)
    reader = Reader(cell, task, width)
    optimiser = torch.optim.Adam(reader.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=task.steps)
    for _ in range(task.steps):
        x, y = task.draw(BATCH, task.length, source)
        asked = ~y.isnan()
        loss = (reader(x)[asked] - y[asked]).square().mean()
        optimiser.zero_grad()
        with backward_faults(partial(UserError, f"cell {cell}")):
            loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), CLIP)
        optimiser.step()
        schedule.step()
    return reader


def share_right(reader: nn.Module, task: AbilityTask, length: int) -> float:
    """Ask about the last step of `ASKED` sequences that training did not draw."""
    reader.eval()
    x, y = task.draw(ASKED, length, torch.Generator().manual_seed(2**32 - 1))
    with torch.no_grad():
        away = (reader(x)[:, -1] - y[:, -1]).abs()
    return float((away < task.tolerance).all(dim=1).double().mean())


def _weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
