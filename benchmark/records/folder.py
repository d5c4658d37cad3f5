"""A run's folder: that it holds nothing but its own, and the row that it holds."""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmark.config import validate
from benchmark.errors import UserError
from benchmark.records import layout
from benchmark.records.checksums import open_checked
from benchmark.records.record import RunRecord

MAX_RECORD = 1_000_000
"""Bytes of a record: an error's text is the longest part of one."""


def check_own(folder: Path) -> None:
    """Refuse a run's folder that leads elsewhere: all in it must be files and folders of its own.

    A link would show another's file as a run's, and reading a pipe or a device never ends.

    Raises:
        UserError: the folder is a link, or holds one or something else that is no file; names it.
        OSError: it cannot be read.
    """
    if folder.is_symlink():
        raise UserError(str(folder), "is a link, not a run's own folder", "copy the run there")
    with os.scandir(folder) as entries:
        for entry in entries:
            own = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
            if not own:
                kind = "a link" if entry.is_symlink() else "no regular file"
                raise UserError(entry.path, f"is {kind}", "put the file itself there")


def load_record(folder: Path, run_id: str) -> RunRecord | None:
    """Read one run's row; None where there is no such folder.

    Raises:
        UserError: the folder holds no valid record of this run, or leads out of itself.
        OSError: it cannot be read.
    """
    path = folder / layout.RECORD
    for attempt in (1, 2):
        try:
            check_own(folder)
            with open_checked(path, MAX_RECORD) as stream:
                text = stream.read(MAX_RECORD).decode("utf-8")
            break
        except FileNotFoundError:
            # Absent, or just being replaced by another process: then a second look finds it.
            if not os.path.lexists(folder):
                return None
            if attempt == 2:
                raise UserError(str(path), "no such file") from None
        except UnicodeDecodeError:
            raise UserError(str(path), "is not UTF-8 text") from None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(str(path), "is not JSON, or only part of it") from None
    if not isinstance(data, dict):
        raise UserError(str(path), "is not a record")
    # Another version may have known more of a run than this one asks.
    known = {key: value for key, value in data.items() if key in RunRecord.model_fields}
    record = validate(RunRecord, known, str(path))
    if record.run_id != run_id:
        raise UserError(str(path), f"is the record of run '{record.run_id}'")
    return record
