"""Files and folders that are there whole or not at all, and storage faults in a user's words.

Everything is first written under a name that starts with ``.writing-`` and says which host and
process writes it; fsync and rename then make it visible in one step. What a killed process leaves
behind carries its name, so that `sweep` removes the dead's leftovers and never the living's.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from benchmark.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
_NO_FOLDER = (errno.EEXIST, errno.ENOTDIR)


def _host() -> str:
    """Name where this process's id counts: a host, or one of the containers that bear its name."""
    name = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname()) or "localhost"
    with suppress(OSError):  # as on other systems than Linux
        name += f".{os.stat('/proc/self/ns/pid').st_ino}"
    return name


_HOST = _host()
_LEFTOVER = re.compile(
    r"\.(?P<purpose>writing|replaced)-(?P<name>.+)"
    r"-(?P<host>[A-Za-z0-9._]+)-(?P<pid>\d+)-[0-9a-f]{8}"
)


class StorageFault(UserError):  # noqa: N818 - names a state, as UserError names a cause
    """The operating system refuses to store something: what comes next could not be kept either."""


def storage_fault(where: Path, error: OSError) -> StorageFault:
    """Say an operating system's refusal in a user's words, with a cure."""
    what, cure = f"cannot be written ({error.strerror or error})", "check the path and the disk"
    if error.errno in FULL:
        what = "the disk is full"
        cure = "free some space and run the same command again; finished runs are kept"
    elif error.errno in _DENIED:
        cure = "choose a folder you may write to"
    elif error.errno in _NO_FOLDER:
        what, cure = "is a file, or lies below one", "name a folder or a path that is not taken"
    elif error.errno == errno.EISDIR:
        what, cure = "is a folder, not a file", "remove it or choose another path"
    return StorageFault(str(where), what, cure)


@contextmanager
def storage_faults(where: Path) -> Iterator[None]:
    """Turn every OSError of the block into a `StorageFault` about `where`.

    Raises:
        StorageFault: the operating system refused to store something.
    """
    try:
        yield
    except OSError as error:
        raise storage_fault(where, error) from error


def private_name(purpose: str, name: str) -> str:
    """Name a temporary of this process: ``.<purpose>-<name>-<host>-<pid>-<random>``."""
    return f".{purpose}-{name}-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}"


def replaced(entry: str) -> str | None:
    """Say what a temporary holds the earlier state of; None where it is no such temporary."""
    found = _LEFTOVER.fullmatch(entry)
    return found["name"] if found and found["purpose"] == "replaced" else None


def sync(path: Path) -> None:
    """Force a file, or a folder's list of names, out to the disk.

    Raises:
        OSError: the disk refuses, e.g. because it is full.
    """
    if os.name == "nt" and path.is_dir():
        return  # Windows has no handle for a folder's list of names
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems, as of network shares, do not know that order for a folder.
        if error.errno not in _NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Force a folder and all that is in it out to the disk, the contents before the names.

    Raises:
        OSError: the disk refuses.
    """
    for inner, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(inner, name))
        sync(Path(inner))


@contextmanager
def writing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Give a stream to fill; it becomes the file when the block ends, or vanishes if it fails.

    Args:
        path: the file; its folder must be there.
        durable: whether it outlives the machine's sudden stop; needless where damage is noticed.

    Raises:
        OSError: the path cannot be written or the disk is full; the old file is untouched.
    """
    temporary = path.with_name(private_name("writing", path.name))
    try:
        with temporary.open("xb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def write_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file that is the old one or the new one at every moment.

    Raises:
        UserError: the path cannot be written or the disk is full; the old file is untouched.
    """
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # one may write into a folder and not list it
            sweep(path.parent)
        with writing(path) as stream:
            stream.write(text.encode())


def check_writable(path: Path) -> None:
    """Find out before the work, not after it, whether a file can be written; makes its folder.

    Raises:
        UserError: it cannot.
    """
    with storage_faults(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        try_folder(path.parent)


def try_folder(folder: Path) -> None:
    """Make a folder, where it is not there, and a file in it that leaves no trace.

    Raises:
        OSError: either is refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder):
        pass


def is_same(path: Path, other: Path) -> bool:
    """Say whether two paths lead to one file, whatever they are called; not where one is not."""
    return path.exists() and other.exists() and path.samefile(other)


def remove(path: Path) -> None:
    """Remove a file or a folder; one that is gone already, or half gone, is no fault.

    What cannot be removed keeps its private name, so that no reader takes it for a result.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def sweep(folder: Path) -> None:
    """Remove what dead processes of this host left half-written in a folder.

    What one of them had taken away, and had not yet put another in the place of, is put back.
    Another host's processes cannot be seen from here, so their temporaries stay.
    """
    for entry in folder.iterdir():
        owner = _LEFTOVER.fullmatch(entry.name)
        if owner and owner["host"] == _HOST and not _alive(int(owner["pid"])):
            if owner["purpose"] == "replaced" and not os.path.lexists(folder / owner["name"]):
                with suppress(OSError):  # where nothing can be written, it stays as it is
                    entry.rename(folder / owner["name"])
            else:
                remove(entry)


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # there, os.kill(pid, 0) would not ask but interrupt
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # someone else's process
    return True


def exact_floats() -> dict[str, str]:
    """The option by which `pandas.read_csv` gives every float the bits that its text means.

    Later versions do so anyhow, and refuse the word.
    """
    import pandas as pd

    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    return {"float_precision": "round_trip"} if version < (3, 1) else {}
