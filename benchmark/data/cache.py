"""What was read once from a data file: its parsed table, and that its checksum was right.

Entries lie in ``.cache`` beside the file, or in the user's cache folder where that one cannot be
written. An entry counts for one state of the file (path, size, time of change) and one way to read
it; anything else, or any damage, and it is as if it were not there. So no failure here is an
error: a cache that cannot be read is made again, one that cannot be written is done without.
The arrays are plain little-endian numbers without a header, which leaves nothing to misread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.files import writable
from benchmark.data.table import Table
from benchmark.files import sweep, writing
from benchmark.places import cache_folder, is_installed

CACHE_FORMAT = 1
"""Raise it when an entry's layout, or what parsing makes of a file, changes."""

_DAMAGE = (OSError, ValueError, KeyError, TypeError)
"""What reading an absent, truncated or altered entry raises."""


def file_key(path: Path, facts: Mapping[str, Any]) -> str:
    """Identify one state of a data file together with the facts that an entry depends on."""
    state = path.stat()
    key = [CACHE_FORMAT, str(path.absolute()), state.st_size, state.st_mtime_ns, dict(facts)]
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def beside(folder: Path) -> Path:
    """Return the cache folder that belongs to a data folder."""
    return folder / ".cache"


def recall_table(path: Path, key: str) -> Table | None:
    """Return the table kept under `key`, its values memory-mapped and read-only; None if none is.

    The digest is checked: altered bytes are noticed, not scored.
    """
    for folder in _folders(path):
        try:
            note = json.loads(_entry(folder, path, ".json").read_text(encoding="utf-8"))
            if note["key"] != key:
                continue
            channels = tuple(note["channels"])
            times = np.memmap(_entry(folder, path, ".times.i8"), "<M8[s]", mode="r")
            values = np.memmap(_entry(folder, path, ".values.f8"), "<f8", mode="r")
            table = Table(times, values.reshape(len(times), len(channels)), channels)
            if table.digest == note["digest"]:
                return table
        except _DAMAGE:
            continue
    return None


def keep_table(path: Path, key: str, table: Table) -> None:
    """Keep a table under `key`. The note is written last: without it there is no entry."""
    note = {"key": key, "digest": table.digest, "channels": table.channels}
    _write(
        path,
        {
            ".times.i8": _bytes(table.timestamps, "<M8[s]"),
            ".values.f8": _bytes(table.values, "<f8"),
            ".json": json.dumps(note).encode(),
        },
    )


def _bytes(values: NDArray[Any], dtype: str) -> memoryview:
    """The numbers as they lie in a file; a copy only where they do not lie so in memory."""
    return np.ascontiguousarray(values, dtype=dtype).view("u1").data.cast("B")


def is_verified(path: Path, key: str) -> bool:
    """Say whether the file's checksum was found right under `key` before."""
    for folder in _folders(path):
        try:
            if _entry(folder, path, ".verified").read_text(encoding="ascii") == key:
                return True
        except _DAMAGE:
            continue
    return False


def keep_verified(path: Path, key: str) -> None:
    """Remember that the file's checksum was found right."""
    _write(path, {".verified": key.encode()})


def _folders(path: Path) -> list[Path]:
    return [beside(path.parent), cache_folder()]


def _entry(folder: Path, path: Path, kind: str) -> Path:
    """One file of the entry; two data files of one name share a user's cache folder."""
    place = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]
    return folder / f"{path.name}-{place}{kind}"


def _write(path: Path, contents: Mapping[str, bytes | memoryview]) -> None:
    local, users = _folders(path)
    folder = local if writable(path.parent) and not is_installed(path) else users
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)  # as large as a table, where a process was killed while it wrote one
        for kind, content in contents.items():
            with writing(_entry(folder, path, kind), durable=False) as stream:
                stream.write(content)
    except OSError:
        return  # a full disk or a read-only home: the run goes on without a cache
