"""Which files a piece of code opens, by their names: Python's own audit events (PEP 578)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_watched: dict[str, list[str]] = {}  # start of a file's name -> paths seen


@contextmanager
def watch_opened(start: str) -> Iterator[list[str]]:
    """Collect the paths of the files opened in here, at any place, whose name begins with `start`.

    Sees what goes through Python's own `open`, which memory maps, gzip and pandas do too; not what
    a library opens in C, nor what another process does.
    """
    _install()
    seen = _watched[start] = []
    try:
        yield seen
    finally:
        del _watched[start]


@cache
def _install() -> None:
    """Hook in once a process: a hook cannot be taken out again."""
    sys.addaudithook(_notice)


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _watched or not isinstance(arguments[0], str | bytes):
        return
    path = os.fsdecode(arguments[0])
    for start, seen in _watched.items():
        if os.path.basename(path).startswith(start):
            seen.append(path)
