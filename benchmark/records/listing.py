"""The runs of a results folder by name, also while other processes replace some of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import replaced, storage_fault, sweep

LOOKS, BETWEEN_LOOKS = 20, 0.005  # seconds


def list_runs(runs: Path) -> dict[str, int]:
    """Name and inode of every entry of ``runs`` that is no temporary and not set aside, by name.

    Between the two renames that replace a run it is not there: that moment is waited for, a tenth
    of a second at most. Where the process died between them, the earlier run is put back.

    Raises:
        UserError: the folder cannot be read.
    """
    for looks_left in reversed(range(LOOKS)):
        entries = _entries(runs)
        names = {name: inode for name, inode in entries.items() if name[0] != "."}
        on_their_way = {replaced(name) for name in entries.keys() - names.keys()} - {None}
        if on_their_way <= names.keys() or not looks_left:
            break
        sweep(runs)
        time.sleep(BETWEEN_LOOKS)
    return dict(sorted(names.items()))


def _entries(runs: Path) -> dict[str, int]:
    try:
        with os.scandir(runs) as entries:
            return {entry.name: entry.inode() for entry in entries}
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise storage_fault(runs.parent, error) from error
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise UserError(str(runs), what, "name a results folder") from error
