"""Classes of a user's own, found by the dotted path that a YAML gives.

Importing a module runs it, by design: a YAML that names one is a program.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import Any, TypeVar

from benchmark.config import nearest
from benchmark.errors import UserError, told_by_line

Base = TypeVar("Base")


def find_class(name: str, where: str, base: type[Base]) -> type[Base]:
    """Import a class that can be built.

    Args:
        name: e.g. ``my_module.MyForecaster``, importable from the current folder.
        where: the file and its key that name it, for errors.
        base: what it is to be derived from.

    Raises:
        UserError: there is no such class, it is none of `base` or lacks a method, or an error
            inside the module, with its line.
    """
    if not all(name.split(".")):
        cure = f"write e.g. my_module.My{base.__name__}"
        raise UserError(where, f"{name!r} is not a dotted path", cure)
    module_name, _, class_name = name.rpartition(".")
    module = _import_from_here(module_name, where)
    member = getattr(module, class_name, None)
    if member is None:
        classes = [key for key, value in vars(module).items() if is_concrete(value, base)]
        raise UserError(where, f"{module_name} has no {class_name!r}", nearest(class_name, classes))
    if not is_concrete(member, base):
        methods = " and ".join(sorted(getattr(base, "__abstractmethods__", ())))
        cure = f"derive it from {base.__module__}.{base.__name__} and define {methods}"
        raise UserError(where, f"{name} is not a concrete {base.__name__}", cure)
    return member  # type: ignore[no-any-return]


def is_concrete(member: object, base: type) -> bool:
    """Whether something is a class derived from `base` with all of its methods."""
    return inspect.isclass(member) and issubclass(member, base) and not inspect.isabstract(member)


def _import_from_here(module_name: str, where: str) -> Any:
    """Import a module with the current folder on the path, as ``python -m`` would have it."""
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        with told_by_line(where, "mend that line"):
            return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise UserError(
            where,
            f"cannot import {module_name!r}",
            "run from the folder that holds it, or install it",
        ) from None
    finally:
        if added:
            sys.path.remove(here)
