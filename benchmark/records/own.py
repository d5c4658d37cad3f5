"""Whether a run's folder holds nothing but what is its own."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.errors import UserError


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
