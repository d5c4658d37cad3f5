"""The rows that results.csv was last made of, and of which state of a run's folder each one is.

Reading a hundred thousand runs to add one would take as long as reading them the first time. So
their rows are kept beside results.csv, each with what the file system says of the run's folder and
record: a row counts as long as that is the same. It is a cache and nothing else. Where it is
absent, damaged, of another version or copied from elsewhere, the folders are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmark.errors import UserError
from benchmark.files import write_atomically
from benchmark.records.record import COLUMNS, RunRecord
from benchmark.records.table import row_text

INDEX_FILE = ".results-index.json"
MAX_INDEX = 1 << 30  # bytes; 250,000 rows take a quarter of it
_FORMAT = [1, *COLUMNS]

Order = tuple[str, int, str, int, int, str]


class Row(NamedTuple):
    """A run's row.

    Attributes:
        state: of its folder and record, by inode, size and times.
        order: what rows are sorted by.
        text: its line of results.csv.
    """

    state: tuple[int, ...]
    order: Order
    text: str


def order_of(record: RunRecord) -> Order:
    """What the rows of results.csv are sorted by."""
    return (
        record.dataset,
        record.horizon,
        record.model,
        record.lookback,
        record.seed,
        record.run_id,
    )


def current_rows(
    known: Mapping[str, Row],
    files: Mapping[str, tuple[Path, int]],
    read: Callable[[str], Iterable[RunRecord]],
) -> dict[str, Row]:
    """Return the row of every run; only what is not known, or no longer the same, is read.

    Args:
        known: rows of before, by run id.
        files: each run's record, and the inode of its folder: a link in its place has another.
        read: gives a run's record, or none where it is damaged.
    """
    rows = {}
    for name, (path, folder) in files.items():
        state = _state(path, folder)  # before it is read: what is replaced then is read again
        row = known.get(name)
        if row is not None and state and row.state == state:
            rows[name] = row
            continue
        for record in read(name):
            rows[name] = Row(state, order_of(record), row_text(record))
    return rows


def _state(record: Path, folder: int) -> tuple[int, ...]:
    try:
        found = os.lstat(record)
    except OSError:
        return ()
    return folder, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def read_index(path: Path) -> dict[str, Row]:
    """Return the rows by run id; none where there is no index that could be used."""
    try:
        if path.stat().st_size > MAX_INDEX:
            return {}
        made_as, rows = json.loads(path.read_text(encoding="utf-8"))
        if made_as != _FORMAT:
            return {}
        return {
            name: Row(tuple(state), tuple(order), text)
            for name, (state, order, text) in rows.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def keep_index(path: Path, rows: Mapping[str, Row]) -> None:
    """Keep the rows; where they cannot be kept, the folders are read again next time."""
    with suppress(UserError):
        write_atomically(path, json.dumps([_FORMAT, rows], ensure_ascii=False))
