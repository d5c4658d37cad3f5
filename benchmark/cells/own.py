"""A cell of the user's own makes a step before it is used, so that a mistake is told as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.cells.cell import Cell
from benchmark.errors import UserError

BATCH = 2


def tried(cls: type[Cell], input_size: int, hidden_size: int, options: Mapping[str, Any]) -> Cell:
    """Build a cell that has made one step of zeros ``(B, I)`` in float32.

    Raises:
        UserError: a state or an output is not what `Cell` asks for.
    """
    cell = cls(input_size, hidden_size, **options)
    x = torch.zeros(BATCH, input_size)
    with torch.no_grad():
        state = cell.initial_state(x)
        _check_state(cls, "initial_state", state)
        made = cell.step(x, state)
        if not isinstance(made, tuple) or len(made) != 2:
            raise _fault(cls, f"step returned {_told(made)}, not the output and the next state")
        h, state = made
        if not isinstance(h, Tensor) or h.shape != (BATCH, hidden_size):
            wanted = f"a tensor ({BATCH}, {hidden_size}), batch and hidden size"
            raise _fault(cls, f"step's output is {_told(h)}, not {wanted}")
        _check_state(cls, "step", state)
    return cell


def _check_state(cls: type[Cell], method: str, state: object) -> None:
    if not isinstance(state, tuple):
        raise _fault(cls, f"the state of {method} is {_told(state)}, not a tuple of tensors")
    for part in state:
        if not isinstance(part, Tensor) or part.dim() < 1 or len(part) != BATCH:
            what = f"the state of {method} holds {_told(part)}, not a tensor of a batch of {BATCH}"
            raise _fault(cls, what)


def _told(thing: object) -> str:
    if isinstance(thing, Tensor):
        return f"a tensor {tuple(thing.shape)}"
    if isinstance(thing, tuple):
        return f"a tuple of {len(thing)}"
    return f"a {type(thing).__name__}"


def _fault(cls: type[Cell], what: str) -> UserError:
    cure = "see benchmark.cells.cell.Cell, or benchmark/cells/elman.py for an example"
    return UserError("model.cell", f"{cls.__name__}: {what}", cure)
