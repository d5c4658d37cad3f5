"""Opening data files: every fault of a file system becomes one line."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from codecs import iterdecode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from benchmark.errors import UserError

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_TEXT_BYTES = 1 << 31
MAX_LINE_BYTES = 10_000_000
"""Of a data file, unpacked: memory has to hold it all, and a line is a row."""

MAX_RATIO = 200
"""Of a text to its gzip, above `RATIO_FREE_BYTES`: measurements are below 20, a trap near 1,000."""

RATIO_FREE_BYTES = 10_000_000

_CHUNK_BYTES = 1 << 16

REPLACE_FILE = "delete it and fetch it again, or write it anew where it is your own"

STATE_ENCODING = "write it as utf-8, or state its encoding in the card, e.g. cp1252"


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


@contextmanager
def opened_text(path: Path) -> Iterator[BinaryIO]:
    """Open the bytes of a text file, through gzip where its name says so.

    Raises:
        UserError: as `opened`; or from a read, that the text or a line of it is too long.
    """
    zipped = is_zipped(path)
    with opened(path, decompress=zipped) as stream:
        unpacked = MAX_RATIO * path.stat().st_size if zipped else MAX_TEXT_BYTES
        longest = min(max(unpacked, RATIO_FREE_BYTES), MAX_TEXT_BYTES)
        yield io.BufferedReader(_Bounded(stream, path, longest), _CHUNK_BYTES)


def encoding_of(path: Path) -> str:
    """Guess the encoding of a text that is not utf-8: that of Windows, where all bytes have one.

    In latin-1 every byte is a character, but what Windows takes for the euro sign is a control
    character there, which no name may hold.
    """
    with opened_text(path) as stream:
        try:
            for _ in iterdecode(stream, "cp1252"):
                pass
        except UnicodeDecodeError:
            return "latin-1"
    return "cp1252"


def is_zipped(path: Path) -> bool:
    """Say whether a name is one of a gzip; to pandas, too, ``.GZ`` is."""
    return path.suffix.lower() == ".gz"


class _Bounded(io.RawIOBase):
    """A text's bytes, as long as the text and each of its lines is one of data.

    What is read is small, so that one line without an end, or a few megabytes that unpack to
    terabytes, cost a moment and not the memory.
    """

    def __init__(self, stream: BinaryIO, path: Path, longest: int) -> None:
        super().__init__()
        self._stream, self._path, self._longest = stream, path, longest
        self._total = self._line_bytes = 0
        self._line = 1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._stream.read(min(len(view), _CHUNK_BYTES))
        self._total += len(chunk)
        if self._total > self._longest:
            what = f"holds more than {self._longest:,} bytes of text"
            raise UserError(str(self._path), what, "name a CSV file that memory can hold")
        ends = chunk.count(b"\n")  # a chunk is shorter than the longest line allowed
        self._line += ends
        rest = len(chunk) - chunk.rfind(b"\n") - 1
        self._line_bytes = rest if ends else self._line_bytes + rest
        if self._line_bytes > MAX_LINE_BYTES:
            what = f"is longer than {MAX_LINE_BYTES:,} bytes"
            raise UserError(f"{self._path}: line {self._line}", what, "name a CSV file of rows")
        view[: len(chunk)] = chunk
        return len(chunk)


def writable(folder: Path) -> bool:
    """Say whether files may be made in a folder.

    A folder without any write bit is read-only even for root, whom the system would let pass.
    """
    return (
        folder.is_dir()
        and bool(folder.stat().st_mode & 0o222)
        and os.access(folder, os.W_OK | os.X_OK)
    )
