"""What a long study has finished, kept until all of it is, so that the same command goes on.

A piece is known by all that decides it: what it is made of, the code, the software, the machine. It
lies in the user's cache folder, and is a few numbers. No failure here is an error: what cannot be
read is made again, what cannot be kept is made again where the study is stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import TypeAdapter

from benchmark.files import remove, sweep, writing
from benchmark.harness.software import made_by
from benchmark.places import cache_folder

T = TypeVar("T")


class Piece(Protocol):
    """Gives a piece of a study."""

    def __call__(self, kind: type[T], of: object, make: Callable[[], T]) -> T:
        """Return a piece that was kept, or make it.

        Args:
            kind: a dataclass of numbers, texts and sequences of them, or a list of such.
            of: all that decides it beside code, software and machine; plain values.
            make: makes it.
        """
        ...


def made_anew(kind: type[T], of: object, make: Callable[[], T]) -> T:
    """Make a piece and keep nothing."""
    return make()


class Pieces:
    """Keeps every piece that it gives, until it is told to forget them."""

    def __init__(self) -> None:
        self._given: list[Path] = []

    def __call__(self, kind: type[T], of: object, make: Callable[[], T]) -> T:
        """Give a piece, as `Piece` has it."""
        path, adapter = _path(of), TypeAdapter(kind)
        self._given.append(path)
        with suppress(OSError, ValueError):
            return adapter.validate_python(json.loads(path.read_text(encoding="utf-8")))
        made = make()
        text = json.dumps(adapter.dump_python(made))
        with suppress(OSError):  # a full disk or a read-only home: the study goes on all the same
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent)
            with writing(path, durable=False) as stream:
                stream.write(text.encode())
        return made

    def forget(self) -> None:
        """Remove what was kept of all that was given: the study is done."""
        for path in self._given:
            remove(path)


def _path(of: object) -> Path:
    import torch

    text = json.dumps([of, made_by(torch.device("cpu"), 1)], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    return cache_folder() / "unfinished" / f"{digest}.json"
