"""The recurrences, one a file: read them in the order elman, gru, lstm.

A cell is named by its file: ``cell: gru`` is the one `Cell` defined in ``gru.py``.
"""

from __future__ import annotations

import importlib
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
    modules = {module.name for module in pkgutil.iter_modules(__path__)}
    return sorted(modules - {"cell", "kernel", "stack"})


def cell_factory(name: str, options: Mapping[str, Any]) -> Callable[[int, int], Cell]:
    """Return a function of (input_size, hidden_size) that builds the named cell.

    Args:
        name: a cell's file name, e.g. ``gru``.
        options: the cell's own keyword arguments, e.g. ``{"nonlinearity": "relu"}``.

    Raises:
        UserError: no such cell, or an option it does not have.
    """
    if name not in cell_names():
        raise UserError("model.cell", f"unknown cell {name!r}", nearest(name, cell_names()))
    module = importlib.import_module(f"{__name__}.{name}")
    (cell,) = [
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Cell)
        and member.__module__ == module.__name__
    ]
    checked = dict(validate(signature_schema(cell), options, "", "model.cell_options"))
    return lambda input_size, hidden_size: cell(input_size, hidden_size, **checked)
