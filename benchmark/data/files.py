"""Opening data files and writing beside them: every fault of a file system becomes one line."""

from __future__ import annotations

import gzip
import os
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from benchmark.errors import UserError

REPLACE_FILE = "delete it and fetch it again"


@contextmanager
def opened(path: Path, *, decompress: bool) -> Iterator[BinaryIO]:
    """Open a file for reading bytes.

    Args:
        path: the file.
        decompress: whether to read through gzip.

    Raises:
        UserError: the file cannot be read, or is no whole gzip file; raised from within the
            ``with`` block also, where a read fails.
    """
    try:
        with cast(BinaryIO, gzip.open(path)) if decompress else path.open("rb") as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(str(path), f"is not a whole gzip file ({error})", REPLACE_FILE) from None
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise UserError(str(path), what, "check that it is there and may be read") from None


def opened_text(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open the bytes of a text file, through gzip where its name ends in ``.gz``."""
    return opened(path, decompress=path.suffix == ".gz")


def writable(folder: Path) -> bool:
    """Say whether files may be made in a folder.

    A folder without any write bit is read-only even for root, whom the system would let pass.
    """
    return (
        folder.is_dir()
        and bool(folder.stat().st_mode & 0o222)
        and os.access(folder, os.W_OK | os.X_OK)
    )


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file aside and move it into place: readers see the old one or the new one, whole.

    Raises:
        OSError: the folder cannot be written, or the disk is full; nothing is left behind.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("xb") as stream:
            write(stream)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
