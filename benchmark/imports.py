"""Classes of a user's own: found by the dotted path that a YAML gives, with options it can give.

Importing a module runs it, by design: a YAML that names one is a program.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel

from benchmark.config import nearest, signature_schema
from benchmark.errors import UserError, error_text, told_by_line

Base = TypeVar("Base")

_NAMED: dict[str, Path] = {}
"""The YAMLs that the user has named, each with its folder."""


def find_class(
    name: str, where: str, base: type[Base], others: Mapping[type, str] = MappingProxyType({})
) -> type[Base]:
    """Import a class that can be built.

    Args:
        name: e.g. ``my_module.MyForecaster``, importable from the current folder.
        where: the file and its key that name it, for errors.
        base: what it is to be derived from.
        others: what it may be taken for, and what to do with one of those.

    Raises:
        UserError: there is no such class, it is none of `base` or lacks a method, or an error
            inside the module, with its line.
    """
    if name.endswith(".py"):
        stem = os.path.basename(name).removesuffix(".py")
        cure = f"name the class in it, {stem}.My{base.__name__}, where {stem}.py is"
        raise UserError(where, f"{name!r} is a file", cure)
    if not all(name.split(".")):
        cure = f"write e.g. my_module.My{base.__name__}"
        raise UserError(where, f"{name!r} is not a dotted path", cure)
    module_name, _, class_name = name.rpartition(".")
    module = _import_from_here(module_name, where)
    _check_own(module, where)
    member = getattr(module, class_name, None)
    if member is None:
        classes = [key for key, value in vars(module).items() if is_concrete(value, base)]
        raise UserError(where, f"{module_name} has no {class_name!r}", nearest(class_name, classes))
    other = next((other for other in others if is_concrete(member, other)), None)
    if other:
        what = f"{name} is a {other.__name__}, not a {base.__name__}"
        raise UserError(where, what, others[other])
    if not is_concrete(member, base):
        methods = " and ".join(sorted(getattr(base, "__abstractmethods__", ())))
        cure = f"derive it from {base.__module__}.{base.__name__} and define {methods}"
        raise UserError(where, f"{name} is not a concrete {base.__name__}", cure)
    return member  # type: ignore[no-any-return]


def options_of(
    cls: type, leading: Sequence[str], given: Container[str], place: str
) -> type[BaseModel]:
    """Read the options of a class off its constructor, as a strict model.

    Args:
        cls: the class.
        leading: what its constructor is given by position, and no YAML gives.
        given: names of the options that it is to be built with.
        place: where they are given, for errors.

    Raises:
        UserError: the constructor does not take what leads, or takes by position what cannot come
            from a YAML.
    """
    parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    all_of_them = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(by_position) < 1 + len(leading) and not all_of_them:
        what = f"{cls.__name__}.__init__ takes no {' and '.join(leading)}"
        raise UserError(place, what, f"write def __init__(self, {', '.join(leading)})")
    for parameter in by_position[1 + len(leading) :]:
        name = parameter.name
        if parameter.default is parameter.empty or name in given:
            what = f"{cls.__name__}.__init__ takes it by position, and a YAML gives it by name"
            cure = f"write a * before it: def __init__(self, {', '.join(leading)}, *, {name})"
            raise UserError(f"{place}.{name}", what, cure)
    return signature_schema(cls)


def is_concrete(member: object, base: type) -> bool:
    """Whether something is a class derived from `base` with all of its methods."""
    return inspect.isclass(member) and issubclass(member, base) and not inspect.isabstract(member)


def importable_beside(yaml: Path) -> None:
    """Let modules beside a YAML that the user names be found, after all that are found without it.

    Never for the run.yaml of a run: what lies beside that came with the run.
    """
    folder = yaml.parent.absolute()
    _NAMED[str(yaml)] = folder
    _search_last(folder)


def _check_own(module: ModuleType, where: str) -> None:
    """Refuse a module from elsewhere, where one in the current folder or by the YAML is meant."""
    first = module.__name__.partition(".")[0]
    found = getattr(sys.modules[first], "__file__", None) or "Python itself"
    here = Path.cwd()
    for folder in (here, *_folders_of(where)):
        for own in (folder / f"{first}.py", folder / first / "__init__.py"):
            if not own.is_file() or (os.path.isfile(found) and os.path.samefile(own, found)):
                continue
            meant = f"{own.relative_to(here)} in this folder" if folder == here else str(own)
            what = f"{first} is imported from {found}, not from {meant}"
            raise UserError(where, what, "rename yours: that name is taken")


def _folders_of(where: str) -> list[Path]:
    """The folder of the YAML that `where` begins with; those of all, where it begins with none.

    Without those that are searched no more.
    """
    named = {yaml: folder for yaml, folder in _NAMED.items() if str(folder) in sys.path}
    its = [folder for yaml, folder in named.items() if where.startswith(yaml)]
    return its or list(named.values())


def _import_from_here(module_name: str, where: str) -> Any:
    """Import a module with the current folder first on the path, as ``python -m`` would have it.

    Afterwards it is the last: what a function of the module imports is found there, and nothing
    that this package imports later is taken from it.
    """
    here = os.getcwd()
    added = sys.path[:1] not in ([here], [""])
    if added:
        sys.path.insert(0, here)
    try:
        with told_by_line(where, "mend that line"):
            return importlib.import_module(module_name)
    except SystemExit as end:
        what = f"importing {module_name!r} ends the program, with sys.exit({end.code!r})"
        cure = "put what it does as a program under: if __name__ == '__main__'"
        raise UserError(where, what, cure) from None
    except SyntaxError as error:  # of no line: a null character, as of UTF-16, or another encoding
        raise UserError(f"{where}: {module_name}", error_text(error), "save it as UTF-8") from None
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        beside = "put it beside the YAML, " if where.startswith(tuple(_NAMED)) else ""
        raise UserError(
            where,
            f"cannot import {module_name!r}",
            f"run from the folder that holds it, {beside}or install it",
        ) from None
    finally:
        if added:
            sys.path.remove(here)
        _search_last(Path(here))


def _search_last(folder: Path) -> None:
    """So that a module there shadows none of ours, nor of what ours import later."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
