"""The checksums of a run's files, kept with them: what has changed on the disk since is found.

``SHA256SUMS`` in a run's folder has a line for each of its other files, as ``sha256sum`` writes and
checks them. A run of an earlier version has no such file: what it holds is read unchecked.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import IO

from benchmark.errors import UserError

SUMS_FILE = "SHA256SUMS"
MAX_SUMS = 1_000_000  # bytes; a run has a handful of files

_CURE = "give the command that made that run again: a damaged run is made anew"
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^\n]+)")


def write_sums(folder: Path) -> None:
    """Write down the checksum of every file of a run.

    Raises:
        OSError: the disk refuses.
    """
    lines = [f"{_digest(folder / name)}  {name}\n" for name in _files(folder)]
    (folder / SUMS_FILE).write_text("".join(lines), encoding="utf-8", newline="")


def open_checked(path: Path, longest: int | None = None) -> IO[bytes]:
    """Open a file of a run for reading, at its begin; it is what was written.

    Args:
        path: in the run's folder.
        longest: bytes that it may have.

    Raises:
        UserError: it, or the file of checksums, is not what was written; or it is too long.
        OSError: it cannot be read.
    """
    while True:
        which, sums = _state(path.parent)
        stream = open(path, "rb")  # noqa: SIM115 - the caller closes it
        try:
            if longest is not None and os.fstat(stream.fileno()).st_size > longest:
                raise UserError(str(path), f"is longer than {longest:,} bytes")
            # Found as a line, not parsed: there may be 100,000 records to read.
            if sums is None or f"\n{_digest_of(stream)}  {path.name}\n".encode() in b"\n" + sums:
                stream.seek(0)
                return stream
            if _state(path.parent) == (which, sums):
                raise _changed(path)  # else: another process has just replaced the run
        except BaseException:
            stream.close()
            raise
        stream.close()


def check_file(path: Path, longest: int | None = None) -> None:
    """Make sure that a file of a run is what was written, before something else reads it.

    Args:
        path: in the run's folder.
        longest: bytes that it may have.

    Raises:
        UserError: as `open_checked`; or it cannot be read.
    """
    try:
        open_checked(path, longest).close()
    except OSError as error:
        raise UserError(str(path), f"cannot be read ({error.strerror})") from error


def check_folder(folder: Path) -> None:
    """Make sure that all files of a run are there and are what was written.

    Files that were added since are let be. Only what is found in the folder is opened, whatever
    the file of checksums names.

    Raises:
        UserError: names the files that are not.
        OSError: one cannot be read.
    """
    while True:
        which, content = _state(folder)
        if content is None:
            return
        sums = _parsed(folder / SUMS_FILE, content)
        found = {name: _digest(folder / name) for name in _files(folder) if name in sums}
        wrong = [name for name, digest in sums.items() if found.get(name) != digest]
        if not wrong:
            return
        if _state(folder) == (which, content):
            raise UserError.join(_changed(folder / name) for name in wrong)


def _changed(path: Path) -> UserError:
    what = f"is damaged (it is not what {SUMS_FILE} beside it says was written)"
    return UserError(str(path), what, _CURE)


def _state(folder: Path) -> tuple[tuple[int, int], bytes | None]:
    """Tell which folder it is, and what its file of checksums holds.

    Another folder that has taken its place is told from it, even with the same files in it. A run
    of an earlier version has no checksums: None.
    """
    found = os.stat(folder)
    which = found.st_ino, found.st_ctime_ns
    try:
        with open(os.path.join(folder, SUMS_FILE), "rb") as stream:
            return which, stream.read(MAX_SUMS)
    except FileNotFoundError:
        return which, None


def _parsed(path: Path, content: bytes) -> dict[str, str]:
    """The checksums by the files' names."""
    lines = content.decode("utf-8", errors="replace").split("\n")
    found = [_LINE.fullmatch(line) for line in lines[:-1]]
    if lines[-1] or not found or None in found:
        raise UserError(str(path), "is damaged (it is no list of checksums)", _CURE)
    return {line["name"]: line["digest"] for line in found if line}


def _files(folder: Path) -> list[str]:
    """The names of a run's files, without that of the checksums; links are none of them."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.name != SUMS_FILE)


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return _digest_of(stream)


def _digest_of(stream: IO[bytes]) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
