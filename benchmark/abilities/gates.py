"""What a trained cell's gates do at the steps that matter, and at the others.

`Cell.step` is the equations line by line, so its local variables are their symbols. They are read
as the step returns: no cell has to hand them out, and what is shown goes by the names in its file.

Shapes: B sequences, S steps, I inputs, U numbers that a variable holds for a sequence.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType

import numpy as np
import torch
from torch import Tensor

from benchmark.abilities.study import Reader, share_right
from benchmark.abilities.tasks import AbilityTask
from benchmark.cells import Cell
from benchmark.errors import UserError, no_exit

_TINY = torch.finfo(torch.float64).tiny

SEQUENCES = 100
"""That training did not draw, and over which is averaged."""


@dataclass(frozen=True)
class Variable:
    """One variable of `Cell.step`, at one unit: the same in all variables of its shape.

    Attributes:
        name: in the code; of a cell inside another one, its place there comes first.
        unit: its place in the variable.
        at_event: the mean over the steps that matter.
        elsewhere: the mean over all others.
        trace: the value at each step of the first sequence ``(S,)``.
    """

    name: str
    unit: tuple[int, ...]
    at_event: float
    elsewhere: float
    trace: tuple[float, ...]


@dataclass(frozen=True)
class Gates:
    """What was seen of a trained cell.

    Attributes:
        right: share of right answers.
        event: the steps of the first sequence that matter.
        variables: in the order in which `Cell.step` names them.
    """

    right: float
    event: tuple[int, ...]
    variables: tuple[Variable, ...]


@no_exit()
def check_variables(cell: str, task: AbilityTask, width: int) -> None:
    """Find out before a cell is trained whether anything would be seen of it; takes what it does.

    Raises:
        UserError: nothing would.
    """
    x, _ = task.draw(2, task.length, torch.Generator().manual_seed(1))
    reader = Reader(cell, task, width)
    with torch.no_grad():
        seen = watched(reader.cell, reader.embed(x))
    if not seen:
        what = "has no variable in its step that holds numbers for each sequence"
        cure = "give its equations' results names without underscores; a decorator needs "
        raise UserError(f"cell {cell}", what, f"{cure}functools.wraps")


@no_exit()
def gates(reader: Reader, task: AbilityTask) -> Gates:
    """Read sequences with a trained network and compare the steps that matter with the others.

    Args:
        reader: trained on the task.
        task: says which steps matter.
    """
    right = share_right(reader, task, task.length)
    x, _ = task.draw(SEQUENCES, task.length, torch.Generator().manual_seed(2**32 - 2))
    event = task.event(x)
    with torch.no_grad():
        seen = watched(reader.cell, reader.embed(x))
    return Gates(
        right=right,
        event=tuple(event[0].nonzero()[:, 0].tolist()),
        variables=tuple(_most_telling(seen, event)),
    )


def watched(cell: Cell, x: Tensor) -> dict[str, Tensor]:
    """Run a sequence by `Cell.step` and keep what every step computes.

    Args:
        cell: which may hold others.
        x: ``(B, S, I)``.

    Returns:
        By name, each local variable that has numbers for every sequence ``(B, S, ...)``; but for
        the input, for what has an underscore in its name, as parts of a sum have, and for what is
        not there at every step, or of another shape. Of complex numbers it is the modulus, |name|.
    """
    places = {inner: place for place, inner in cell.named_modules() if isinstance(inner, Cell)}
    seen: dict[str, list[Tensor]] = {}

    def keep(inner: object, variables: Mapping[str, object]) -> None:
        if not isinstance(inner, Cell) or inner not in places:
            return
        place = f"{places[inner]}." if places[inner] else ""
        for name, value in variables.items():
            named = name != "x" and "_" not in name
            if named and isinstance(value, Tensor) and _is_of_each(value, len(x)):
                shown, size = (f"|{name}|", value.abs()) if value.is_complex() else (name, value)
                seen.setdefault(place + shown, []).append(size.clone())

    steps = (inspect.unwrap(type(inner).step) for inner in places)
    with _at_return({step.__code__ for step in steps if inspect.isfunction(step)}, keep):
        cell.sequential(x)
    return {
        name: torch.stack(steps, dim=1)
        for name, steps in seen.items()
        if len(steps) == x.shape[1] and len({step.shape for step in steps}) == 1
    }


def _is_of_each(value: Tensor, sequences: int) -> bool:
    """Whether it holds numbers for each of some sequences."""
    return value.dim() > 1 and len(value) == sequences and value.numel() > 0


@contextmanager
def _at_return(
    codes: Collection[CodeType], keep: Callable[[object, Mapping[str, object]], None]
) -> Iterator[None]:
    """Hand over, whenever a method of some code returns, whose it is and its local variables."""

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code in codes:
            variables = frame.f_locals
            keep(variables.get(frame.f_code.co_varnames[0]), variables)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


def _most_telling(seen: Mapping[str, Tensor], event: Tensor) -> Iterator[Variable]:
    """Choose for all variables ``(B, S, ...)`` of a shape the unit whose gates move most.

    A gate lies between 0 and 1. Where no variable of a shape does, all of them count, each relative
    to the unit of it that moves most.
    """
    moved = {name: _moved(values, event) for name, values in seen.items()}
    units: dict[torch.Size, int] = {}
    for shape in {values.shape for values in seen.values()}:
        alike = [name for name, values in seen.items() if values.shape == shape]
        gates = [name for name in alike if seen[name].min() >= 0 and seen[name].max() <= 1]
        differences = torch.stack(
            [(moved[name][0] - moved[name][1]).abs() for name in gates or alike]
        )
        if not gates:
            differences /= differences.amax(dim=1, keepdim=True).clamp(min=_TINY)
        units[shape] = int(differences.sum(dim=0).argmax())
    for name, values in seen.items():
        unit = units[values.shape]
        yield Variable(
            name=name,
            unit=tuple(int(place) for place in np.unravel_index(unit, values.shape[2:])),
            at_event=float(moved[name][0][unit]),
            elsewhere=float(moved[name][1][unit]),
            trace=tuple(values[0].flatten(1)[:, unit].tolist()),
        )


def _moved(values: Tensor, event: Tensor) -> tuple[Tensor, Tensor]:
    """Means ``(U,)`` over the steps where the event is, and over the others."""
    units = values.flatten(2).double()  # (B, S, U)
    return units[event].mean(dim=0), units[~event].mean(dim=0)
