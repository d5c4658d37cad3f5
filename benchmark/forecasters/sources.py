"""The files that a class of a user's own is made of, as far as they are the user's.

They are read off the import statements and nothing is imported for it: what happens to be loaded
differs from one process to the next, and a run's name must not.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from benchmark.errors import is_a_users


def own_files(cls: type) -> list[Path]:
    """List the files of a class and its bases, and of what they import, directly or not.

    Only those count that lie in the folder which the class is imported from; where that is a folder
    of installed packages, only those of the class's own package.
    """
    found: dict[Path, None] = {}
    for part in cls.__mro__:
        file = getattr(sys.modules.get(part.__module__), "__file__", None)
        if file and (part is cls or is_a_users(Path(file))):
            _add(Path(file).absolute(), part.__module__, found)
    return list(found)


def files_digest(cls: type) -> str:
    """Hash what those files hold."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in own_files(cls))).hexdigest()


def _add(file: Path, module: str, found: dict[Path, None]) -> None:
    depth = module.count(".") + (file.name == "__init__.py")
    root = file.parents[min(depth, len(file.parents) - 1)]
    package = root / module.partition(".")[0]
    pending = [file]
    while pending:
        file = pending.pop()
        if file in found:
            continue
        found[file] = None
        for name in _imported(file.read_bytes(), file.relative_to(root).parent.parts):
            path = root.joinpath(*name)
            for candidate in (path.with_suffix(".py"), path / "__init__.py"):
                near = candidate.is_relative_to(package) and candidate.is_file()
                if near or is_a_users(candidate):
                    pending.append(candidate)


@lru_cache(maxsize=1024)
def _imported(source: bytes, package: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Dotted names, taken apart, of what may be modules, and of the packages around them."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # just being edited
        return []
    names = {name for node in ast.walk(tree) for name in _names(node, package)}
    users = [name for name in names if name[:1] != ("benchmark",)]  # ours has its version
    return sorted({name[:end] for name in users for end in range(1, len(name) + 1)})


def _names(node: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, ast.Import):
        yield from (tuple(alias.name.split(".")) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        around = package[: len(package) - node.level + 1] if node.level else ()
        within = (*around, *(node.module or "").split(".")) if node.module else around
        yield from ((*within, alias.name) for alias in node.names)
