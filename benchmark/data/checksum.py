"""Checksums of data files, the same whatever the line ends and whether or not gzipped.

The same CSV circulates with LF and with CRLF line ends, plain and gzipped. Those copies hold the
same data, so each counts as right; anything else does not.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from benchmark.data import cache
from benchmark.data.card import DatasetCard
from benchmark.data.files import is_zipped, opened
from benchmark.errors import UserError
from benchmark.files import writing

Verdict = Literal["sha256 ok", "git blob ok", "as first fetched", "none in the card"]

_CHUNK_BYTES = 1 << 20


def record_path(card: DatasetCard, folder: Path) -> Path:
    """Return where the checksum of a first fetch is recorded, for cards that know none."""
    return folder / f"{card.file}.sha256"


def verify(card: DatasetCard, path: Path) -> Verdict:
    """Check a data file against its card, or against the checksum recorded when it was fetched.

    A right checksum is remembered until the file changes, so that the next start reads nothing.

    Returns:
        which checksum was right, or that none is known.

    Raises:
        UserError: the checksum is wrong, or the file cannot be read.
    """
    expected, verdict = expectation(card, path.parent)
    if verdict == "none in the card":
        return verdict
    key = cache.file_key(path, {"expected": expected})
    if not cache.is_verified(path, key):
        check(card, path, path.parent)
        cache.keep_verified(path, key)
    return verdict


def check(card: DatasetCard, path: Path, folder: Path) -> None:
    """Read a file's content and compare its checksum with the one expected of `folder`'s copy.

    Raises:
        UserError: the checksum is wrong, or the file cannot be read.
    """
    expected, verdict = expectation(card, folder)
    if verdict == "none in the card":
        return
    algorithm, hashes = ("git blob", git_blobs) if verdict == "git blob ok" else ("sha256", sha256s)
    found = hashes(card, path)
    if expected not in found:
        raise UserError(
            str(path),
            f"is not the file that card '{card.name}' names: {algorithm} is {found[0]}, "
            f"expected {expected}",
            _cure(card, path, folder, verdict),
        )


def record(card: DatasetCard, path: Path, folder: Path) -> None:
    """Write down a first fetch's checksum in `folder`, where the card knows none."""
    if expectation(card, folder)[1] == "none in the card":
        line = f"{sha256s(card, path)[0]}\n".encode()
        with writing(record_path(card, folder)) as stream:
            stream.write(line)


def expectation(card: DatasetCard, folder: Path) -> tuple[str, Verdict]:
    """Return the checksum that a file in `folder` must have, and what to call a right one."""
    if card.source.sha256:
        return card.source.sha256, "sha256 ok"
    if card.source.git_blob:
        return card.source.git_blob, "git blob ok"
    recorded = record_path(card, folder)
    if not recorded.is_file():
        return "", "none in the card"
    with opened(recorded, decompress=False) as stream:
        return stream.read(200).decode("ascii", "replace").strip(), "as first fetched"


def sha256s(card: DatasetCard, path: Path) -> list[str]:
    """Return the SHA-256 of the content as it is, with LF and with CRLF line ends."""
    hashes = [hashlib.sha256() for _ in range(3)]
    for variants in _variants(card, path):
        for sha256, chunk in zip(hashes, variants, strict=True):
            sha256.update(chunk)
    return [sha256.hexdigest() for sha256 in hashes]


def git_blobs(card: DatasetCard, path: Path) -> list[str]:
    """Return git's blob id of the content as it is, with LF and with CRLF line ends."""
    lengths = [0, 0, 0]  # git hashes the length first, so the content is read twice
    for variants in _variants(card, path):
        lengths = [n + len(chunk) for n, chunk in zip(lengths, variants, strict=True)]
    hashes = [hashlib.sha1(b"blob %d\0" % n, usedforsecurity=False) for n in lengths]
    for variants in _variants(card, path):
        for sha1, chunk in zip(hashes, variants, strict=True):
            sha1.update(chunk)
    return [sha1.hexdigest() for sha1 in hashes]


def _variants(card: DatasetCard, path: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the content in chunks: as it is, with LF, with CRLF line ends."""
    held = b""  # a CR at a chunk's end, whose LF may come next
    with opened(path, decompress=is_zipped(path) and path.name != card.file) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            text = held + chunk
            held = b"\r" if text.endswith(b"\r") else b""
            lf = text.removesuffix(held).replace(b"\r\n", b"\n")
            yield chunk, lf, lf.replace(b"\n", b"\r\n")
    if held:
        yield b"", held, held


def _cure(card: DatasetCard, path: Path, folder: Path, verdict: Verdict) -> str:
    if verdict == "as first fetched":
        return f"delete it and fetch it again, or delete {record_path(card, folder)} to accept it"
    if card.source.url is None:
        words = ["benchmark", "datasets", "add", str(path), "--name", card.name, "--force"]
        return f"restore it, or if the change is yours, write the card anew: {shlex.join(words)}"
    return f"delete it and fetch it again from {card.source.url}"
