"""The recurrences, one a file.

Read them in the order elman, gru, lstm, slstm, mlstm, mamba, mamba2; xlstm is blocks of slstm and
mlstm.

Two sizes have two names each: the steps that a convolution sees are ``taps`` of the sLSTM, mLSTM
and xLSTM and ``conv_width`` of Mamba and Mamba-2; the inner width over the outer is the mLSTM's
``expansion``, which may be a fraction, and ``expand`` of those two.

A cell is named by its file: ``cell: gru`` is the one `Cell` defined in ``gru.py``. Files that
define none are what cells share. A user's own is named by its module: ``cell: my_module.MyCell``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from benchmark.cells.cell import Cell, State
from benchmark.cells.own import tried
from benchmark.cells.stack import RecurrentStack
from benchmark.config import nearest, validate
from benchmark.errors import UserError
from benchmark.imports import find_class, options_of

__all__ = ["Cell", "RecurrentStack", "State", "cell_factory", "cell_names", "find_cell"]


def cell_names() -> list[str]:
    """Names a YAML may use for ``cell``."""
    return [name for name in _file_names() if _may_hold_a_cell(name)]


def cell_factory(name: str, options: Mapping[str, Any]) -> Callable[[int, int], Cell]:
    """Return a function of (input_size, hidden_size) that builds the named cell.

    Args:
        name: a cell's file name, e.g. ``gru``, or the dotted path of a class.
        options: the cell's own keyword arguments, e.g. ``{"nonlinearity": "relu"}``.

    Raises:
        UserError: no such cell, one without its equations, or an option it does not have.
    """
    cell, place = find_cell(name), "model.cell_options"
    schema = options_of(cell, ("input_size", "hidden_size"), options, place)
    if options and not schema.model_fields:
        raise UserError(place, f"the cell {name} has no options", f"leave out {', '.join(options)}")
    checked = dict(validate(schema, options, "", place))
    if "." in name:
        return lambda input_size, hidden_size: tried(cell, input_size, hidden_size, checked)
    return lambda input_size, hidden_size: cell(input_size, hidden_size, **checked)


def find_cell(name: str) -> type[Cell]:
    """Return the class of a cell, as `cell_factory` takes its name.

    Raises:
        UserError: no such cell, one without its equations, or an error inside a user's module.
    """
    if "." in name:
        return find_class(name, "model.cell", Cell)  # type: ignore[type-abstract]
    if name not in _file_names():
        raise UserError("model.cell", f"unknown cell {name!r}", nearest(name, cell_names()))
    cells = _cells_in(name)
    if not cells:
        what = f"benchmark/cells/{name}.py holds what cells share, and no cell"
        raise UserError("model.cell", what, nearest(name, cell_names()))
    cell, *others = cells
    if others:
        names = ", ".join(each.__name__ for each in cells)
        raise UserError("model.cell", f"benchmark/cells/{name}.py defines {names}", "keep one")
    if cell.__abstractmethods__:
        what = f"{cell.__name__} of benchmark/cells/{name}.py has no "
        what += " and no ".join(sorted(cell.__abstractmethods__))
        raise UserError("model.cell", what, "write it as benchmark/cells/elman.py does")
    return cell


def _file_names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def _may_hold_a_cell(name: str) -> bool:
    try:
        cells = _cells_in(name)
    except Exception:
        return True  # a file that is being written: its error is told where its cell is asked for
    return any(not inspect.isabstract(cell) for cell in cells)


def _cells_in(name: str) -> list[type[Cell]]:
    """Return the cells that a file defines; none for a file of shared parts."""
    module = importlib.import_module(f"{__name__}.{name}")
    return [
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Cell)
        and member.__module__ == module.__name__
    ]
