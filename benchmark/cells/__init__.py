"""The recurrences, one a file: read them in the order elman, gru, lstm.

A cell is named by its file: ``cell: gru`` is the one `Cell` defined in ``gru.py``. Files that
define none are what cells share.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from benchmark.cells.cell import Cell, State
from benchmark.cells.stack import RecurrentStack
from benchmark.config import nearest, signature_schema, validate
from benchmark.errors import UserError

__all__ = ["Cell", "RecurrentStack", "State", "cell_factory", "cell_names"]


def cell_names() -> list[str]:
    """Names a YAML may use for ``cell``."""
    return [name for name in _file_names() if _cell_in(name) is not None]


def cell_factory(name: str, options: Mapping[str, Any]) -> Callable[[int, int], Cell]:
    """Return a function of (input_size, hidden_size) that builds the named cell.

    Args:
        name: a cell's file name, e.g. ``gru``.
        options: the cell's own keyword arguments, e.g. ``{"nonlinearity": "relu"}``.

    Raises:
        UserError: no such cell, or an option it does not have.
    """
    cell = _cell_in(name) if name in _file_names() else None
    if cell is None:
        raise UserError("model.cell", f"unknown cell {name!r}", nearest(name, cell_names()))
    checked = dict(validate(signature_schema(cell), options, "", "model.cell_options"))
    return lambda input_size, hidden_size: cell(input_size, hidden_size, **checked)


def _file_names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def _cell_in(name: str) -> type[Cell] | None:
    """Return the cell that a file defines; None for a file of shared parts, which defines none."""
    module = importlib.import_module(f"{__name__}.{name}")
    cells = [
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Cell)
        and not inspect.isabstract(member)
        and member.__module__ == module.__name__
    ]
    if len(cells) > 1:
        raise ValueError(f"{module.__name__} must define one cell, however: {cells}")
    return cells[0] if cells else None
