"""How the time and memory of each cell's training step grow with the length of its sequence.

Every cell is two layers deep and 64 wide, as the yardstick ``torch.nn.GRU`` is, and reads a batch
of 32; a step is forward and backward. A recurrence owes linear time: 60 times the length, 60 times
the seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.cells import RecurrentStack, cell_factory
from benchmark.speed.models import BATCH, WIDTH
from benchmark.speed.timing import side_by_side

LAYERS = 2
LENGTHS = (96, 336, 1440, 5760)


@dataclass(frozen=True)
class CellSpeed:
    """One cell at one length.

    Attributes:
        cell: its name.
        length: time steps.
        seconds: of a forward and backward pass.
        relative: the same over that of ``torch.nn.GRU``, measured in turn with it.
        memory: bytes kept from forward to backward, over those of ``torch.nn.GRU``.
    """

    cell: str
    length: int
    seconds: float
    relative: float
    memory: float


def measure_cells(
    cells: Sequence[str],
    device: torch.device,
    *,
    lengths: Sequence[int] = LENGTHS,
    repeats: int = 3,
) -> Iterator[CellSpeed]:
    """Time each cell at each length beside ``torch.nn.GRU``, one figure after the other.

    Args:
        cells: names.
        device: where.
        lengths: time steps.
        repeats: interleaved repeats, of which the median is taken.
    """
    gru = nn.GRU(WIDTH, WIDTH, num_layers=LAYERS, batch_first=True).to(device)
    for cell in cells:
        stack = RecurrentStack(cell_factory(cell, {}), WIDTH, WIDTH, layers=LAYERS).to(device)
        for length in lengths:
            x = torch.randn(BATCH, length, WIDTH, device=device)
            own, yardstick = _step(stack, x), _step(gru, x)
            took, of_gru = side_by_side(own, yardstick, device, repeats)
            memory = _kept(own) / _kept(yardstick)
            yield CellSpeed(cell, length, took, took / of_gru, memory)


def _step(recurrence: nn.Module, x: Tensor) -> Callable[[], None]:
    def call() -> None:
        recurrence(x)[0].square().mean().backward()

    return call


def _kept(step: Callable[[], None]) -> int:
    """Bytes that autograd keeps for the backward pass, each storage once."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return sum(sizes.values())
