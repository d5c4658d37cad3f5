"""A cell of the user's own makes steps before it is used, so that a mistake is told as one.

Shapes: B batch, I input width, D hidden width.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.cells.cell import Cell, State
from benchmark.errors import UserError, backward_faults, error_text, told_by_line
from benchmark.words import counted

BATCH, STEPS = 2, 4
CALLS = (
    ("initial_state", "like"),
    ("step", "x, state"),
    ("forward", "x"),
    ("forward", "x, state"),
)
EXAMPLE = "see benchmark.cells.cell.Cell, or benchmark/cells/elman.py for an example"


def tried(cls: type[Cell], input_size: int, hidden_size: int, options: Mapping[str, Any]) -> Cell:
    """Build a cell that has made one step of zeros ``(B, I)`` in float32.

    Another goes through the rest, so that the cell returned is as it would be without.

    Raises:
        UserError: a state or an output is not what `Cell` asks for, a step writes into what it is
            given, or `Cell.forward` or `Cell.fork` does not do what it does.
    """
    cell = cls(input_size, hidden_size, **options)
    _check_calls(cell)
    with torch.inference_mode(False), torch.no_grad():
        x = torch.zeros(BATCH, input_size)
        _step(cell, x, _first_state(cell, x), hidden_size)
    with _random_numbers_kept(), told_by_line("model.cell"):
        _rehearse(cls, input_size, hidden_size, options)
    return cell


@torch.inference_mode(False)  # with gradients, wherever the cell is built
def _rehearse(
    cls: type[Cell], input_size: int, hidden_size: int, options: Mapping[str, Any]
) -> None:
    """Make two steps and go back through them; read a sequence; ask for a state in float64."""
    cell = cls(input_size, hidden_size, **options)
    leaf = torch.randn(BATCH, input_size, requires_grad=True)
    x = leaf.clone()  # as what an embedding returns: torch itself refuses to write into a leaf
    state, outputs = _first_state(cell, x), []
    for _ in range(2):
        h, state = _step(cell, x, state, hidden_size)
        outputs.append(h)
    loss = torch.stack(outputs).sum()
    if loss.requires_grad:
        with backward_faults(lambda what, cure: _fault(cls, f"in step {what}", cure)):
            loss.backward()  # type: ignore[no-untyped-call]
    _check_fast_paths(cell, torch.randn(BATCH, STEPS, input_size))
    cell.double()
    for part in _first_state(cell, x.double()):
        if part.is_floating_point() and part.dtype != torch.float64:
            what = f"initial_state of an input in float64 holds {_told(part)} of {part.dtype}"
            raise _fault(cls, what, "use like.new_zeros(...)")


def _check_calls(cell: Cell) -> None:
    for name, given in CALLS:
        taken = inspect.signature(getattr(cell, name))
        try:
            taken.bind(*given.split(", "))
        except TypeError:
            what = (
                f"{name} takes ({', '.join(taken.parameters)}) after self, but is given ({given})"
            )
            raise _fault(type(cell), what) from None


def _check_fast_paths(cell: Cell, x: Tensor) -> None:
    """Hold `forward` and `fork` to `step` on ``(B, S, I)``, where they are not made of it.

    Whoever changes the step of one of our cells inherits fast paths that know nothing of it.
    """
    cell.eval()  # in training either may draw numbers of its own
    cls = type(cell)
    with torch.no_grad():
        outputs, state = cell.sequential(x)
        if cls.forward is not Cell.forward:
            made = cell(x)
            if not isinstance(made, tuple | list) or len(made) != 2:
                what = f"forward returned {_told(made)}, not outputs and the last state"
                raise _fault(cls, what)
            _compare(cls, "forward", made[0], outputs)
        if cls.fork is not Cell.fork:
            try:
                forked = cell.fork(x[:1], state)
            except Exception as error:  # of a step that is made for states (B, D), and for no other
                raise _unlike(cls, "fork", error_text(error)) from error
            _compare(cls, "fork", forked, Cell.fork(cell, x[:1], state))


def _compare(cls: type[Cell], method: str, found: object, by_step: Tensor) -> None:
    if not isinstance(found, Tensor) or found.shape != by_step.shape:
        raise _fault(cls, f"{method} returned {_told(found)}, not {tuple(by_step.shape)}")
    if not torch.allclose(found, by_step, rtol=1e-3, atol=1e-4, equal_nan=True):
        off = float((found - by_step).abs().max())
        raise _unlike(cls, method, f"they differ by up to {off:.2g}")


def _unlike(cls: type[Cell], method: str, why: str) -> UserError:
    cure = f"write {method} anew, or the line {method} = Cell.{method}, which repeats step"
    return _fault(cls, f"{method} does not do what step does: {why}", cure)


def _first_state(cell: Cell, x: Tensor) -> State:
    state = cell.initial_state(x)
    _check_state(type(cell), "initial_state", state)
    return state


def _step(cell: Cell, x: Tensor, state: State, hidden_size: int) -> tuple[Tensor, State]:
    """One step, its output ``(B, D)`` and its state held to what they have to be."""
    cls = type(cell)
    given = [(x, "its input", "x"), *((part, "the state it was given", "h") for part in state)]
    writes = [part._version for part, _, _ in given]  # counted by torch for each tensor
    made = cell.step(x, state)
    for (part, name, symbol), before in zip(given, writes, strict=True):
        if part._version != before:
            cure = f"write {symbol} = {symbol} * 0.5, not {symbol} *= 0.5"
            raise _fault(cls, f"step writes into {name}", cure)
    if not isinstance(made, tuple) or len(made) != 2:
        raise _fault(cls, f"step returned {_told(made)}, not the output and the next state")
    h, following = made
    if not isinstance(h, Tensor) or h.shape != (BATCH, hidden_size):
        wanted = f"a tensor ({BATCH}, {hidden_size}), batch and hidden size"
        raise _fault(cls, f"step's output of {_told(x)} is {_told(h)}, not {wanted}")
    _check_state(cls, "step", following)
    _check_alike(cls, state, following)
    return h, following


def _check_state(cls: type[Cell], method: str, state: object) -> None:
    if not isinstance(state, tuple):
        raise _fault(cls, f"the state of {method} is {_told(state)}, not a tuple of tensors")
    for part in state:
        if not isinstance(part, Tensor) or part.dim() < 1 or len(part) != BATCH:
            what = f"the state of {method} holds {_told(part)}, not a tensor of a batch of {BATCH}"
            raise _fault(cls, what)


def _check_alike(cls: type[Cell], state: State, following: State) -> None:
    if len(following) != len(state):
        held = counted(len(state), "tensor")
        raise _fault(cls, f"initial_state holds {held}, step returns {len(following)}")
    for number, (one, other) in enumerate(zip(state, following, strict=True), start=1):
        if (one.ndim, one.dtype) != (other.ndim, other.dtype):  # one that collects may grow
            is_not = f"{_told(one)} of {one.dtype} in initial_state and "
            is_not += f"{_told(other)} of {other.dtype} after a step"
            cure = "keep its dimensions and its type"
            raise _fault(cls, f"tensor {number} of the state is {is_not}", cure)


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Draw in the block without a trace in what is drawn after it."""
    python, numpy = random.getstate(), np.random.get_state(legacy=False)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _told(thing: object) -> str:
    if isinstance(thing, Tensor):
        return f"a tensor {tuple(thing.shape)}"
    if isinstance(thing, tuple):
        return f"a tuple of {len(thing)}"
    return f"a {type(thing).__name__}"


def _fault(cls: type[Cell], what: str, cure: str = EXAMPLE) -> UserError:
    return UserError("model.cell", f"{cls.__name__}: {what}", cure)
