"""The arrays of a run's ``.npz``, read as numbers and texts alone: nothing in a file is run.

A file may be damaged or made to harm: its arrays could be pickles, which run code when they are
read, or a few kilobytes that unpack to more than the memory holds. Both are refused.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError
from benchmark.records.checksums import open_checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES = 1 << 30
"""Of a file and of all its arrays unpacked: errors of 860 channels in 150,000 windows are fewer."""

_DAMAGE = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, MemoryError,
    RuntimeError, SyntaxError, tokenize.TokenError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What NumPy and zipfile raise for one damage or another."""

_NONE: Mapping[str, str] = {}


def read_arrays(
    path: Path, kinds: Mapping[str, str], optional: Mapping[str, str] = _NONE
) -> dict[str, NDArray[Any]]:
    """Read some arrays of a file; others are not looked at.

    Args:
        path: the ``.npz``.
        kinds: for each array, NumPy's letters of the kinds it may have and its number of
            dimensions: ``f2`` is a matrix of floating point, ``iu1`` a list of whole numbers,
            ``U1`` one of texts.
        optional: the same for arrays that may be absent.

    Raises:
        UserError: the file is damaged or not what the run wrote, lacks an array, holds one of
            another kind or that is no plain numbers or texts, or unpacks to more than `MAX_BYTES`.
    """
    import numpy as np

    try:
        with open_checked(path, MAX_BYTES) as stream:
            _check_size(stream)
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                there = {name: kind for name, kind in optional.items() if name in archive}
                arrays = {name: archive[name] for name in (*kinds, *there)}
        for name, kind in (*kinds.items(), *there.items()):
            found = f"{arrays[name].dtype.kind}{arrays[name].ndim}"
            if found[0] not in kind or found[1:] != kind[-1]:
                raise ValueError(f"'{name}' is {found}, not {kind}")
    except _DAMAGE as error:
        raise damaged(path, error) from error
    return arrays


def damaged(path: Path, reason: object) -> UserError:
    """Return the error for a file of a run that cannot be used."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    return UserError(str(path), f"is damaged ({text:.200})", "run that model again with --force")


def _check_size(stream: Any) -> None:
    """Sum what the archive says it unpacks to; zipfile reads no more of a member than that."""
    with zipfile.ZipFile(stream) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"it unpacks to {size:,} bytes, more than {MAX_BYTES:,}")
