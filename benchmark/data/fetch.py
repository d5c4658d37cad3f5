"""Finding a data set's file, or fetching it once. No network is touched where the file is there."""

from __future__ import annotations

import time
from pathlib import Path

from benchmark.data import cache, checksum
from benchmark.data.card import DATA_VARIABLE, DatasetCard, data_folder, data_folders, places_of
from benchmark.data.files import writable
from benchmark.data.header import read_columns
from benchmark.errors import UserError
from benchmark.files import FULL, private_name, remove, sweep

WAITS_SECONDS = (1.0, 4.0)
"""Pauses before the second and the third try."""

_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 1 << 16


class DatasetUnavailable(UserError):  # noqa: N818 - names a state, as UserError names a cause
    """A data set's file is not here and cannot be fetched: a suite may go on with another one."""


def locate(card: DatasetCard) -> Path | None:
    """Return the data set's file, plain or gzipped, where it is already on this machine.

    Raises:
        UserError: ``$BENCHMARK_DATA`` names no folder.
    """
    return next((path for path in places_of(card.file) if path.is_file()), None)


def fetch(card: DatasetCard, progress: bool = True) -> Path:
    """Return the data set's file, verified; fetch it first where it is not on this machine.

    Args:
        card: the data set.
        progress: whether to draw a progress bar on standard error while fetching.

    Raises:
        DatasetUnavailable: the file is not here and cannot be fetched: what came is another.
        UserError: the file that is here is another than the card's, or the disk is full.
    """
    path = locate(card)
    if path is None:
        return _download(card, progress)
    checksum.verify(card, path)
    return path


def _download(card: DatasetCard, progress: bool) -> Path:
    """Fetch into a folder aside, check, and move into place: all of the file, or nothing."""
    folder = data_folder()
    target = folder / card.file
    where = f"dataset '{card.name}'"
    url = card.source.url
    if url is None:
        looked = " or ".join(dict.fromkeys(str(each) for each in data_folders() if each.is_dir()))
        what = f"no file '{card.file}' in {looked}, and its card gives no address to fetch it from"
        raise DatasetUnavailable(where, what, f"put the file there or set {DATA_VARIABLE}")
    if not writable(folder):
        what = f"is not here, and cannot be fetched: {folder} is no folder that can be written"
        raise DatasetUnavailable(where, what, f"set {DATA_VARIABLE} to one that can")
    try:
        aside = cache.beside(folder)
        aside.mkdir(exist_ok=True)
        sweep(aside)
        temporary = aside / private_name("writing", card.file)
        temporary.mkdir()
        try:
            part = temporary / card.file
            _get(card, url, part, target, progress)
            _check(card, url, part, folder)
            checksum.record(card, part, folder)
            part.replace(target)
        finally:
            remove(temporary)
    except OSError as error:
        full = error.errno in FULL
        what = "the disk is full" if full else f"cannot be written ({error.strerror or error})"
        cure = f"free some space, or set {DATA_VARIABLE} to another folder"
        raise UserError(str(folder), f"{what} while fetching {url}", cure) from None
    checksum.verify(card, target)
    return target


def _check(card: DatasetCard, url: str, part: Path, folder: Path) -> None:
    """Refuse what is another file than the card's; it is told by its address, as it is not kept.

    A page that says why there is no file, under a card that knows no checksum, would else be taken
    for the file from then on.

    Raises:
        DatasetUnavailable: its checksum is wrong; or none is known, and its columns are not the
            card's.
    """
    verdict = checksum.expectation(card, folder)[1]
    cure = "nothing of it is kept; open that address to see what it sends, or correct the card"
    if verdict == "as first fetched":
        cure += f", or delete {checksum.record_path(card, folder)} to accept it"
    try:
        checksum.check(card, part, folder)
        if verdict == "none in the card":
            read_columns(card, part)
    except UserError as error:
        where = error.where.replace(str(part), url)
        raise DatasetUnavailable(where, error.what, cure) from None


def _get(card: DatasetCard, url: str, part: Path, target: Path, progress: bool) -> None:
    """Transfer the file, trying again where that may help."""
    import pooch
    import requests

    download = pooch.HTTPDownloader(
        progressbar=progress, chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_SECONDS
    )
    for wait in (*WAITS_SECONDS, None):
        try:
            download(url, str(part), None)
            return
        except (requests.RequestException, ValueError) as error:  # the latter of headers it reads
            response = getattr(error, "response", None)
            if response is not None:
                response.close()
            refused = response is not None and response.status_code < 500
            if wait is None or refused:
                reason = f"HTTP {response.status_code}" if response is not None else _reason(error)
                raise DatasetUnavailable(
                    f"dataset '{card.name}'",
                    f"could not be fetched from {url} ({reason})",
                    f"try again later, or download it by hand from there to {target}",
                ) from None
            time.sleep(wait)


def _reason(error: Exception) -> str:
    """Say in a few words why a transfer failed; the library's own text is a paragraph."""
    kind = type(error).__name__
    if kind == "ConnectionError" and "timed out" in str(error):  # after its first bytes
        kind = "ReadTimeout"
    known = {
        "ConnectionError": "no connection",
        "ConnectTimeout": "no answer in time",
        "ReadTimeout": "no answer in time",
        "ChunkedEncodingError": "the transfer broke off",
        "ValueError": "the answer is not what HTTP has",
        "ContentDecodingError": "the answer is not packed as it says",
        "SSLError": "the server's certificate is not trusted",
        "ProxyError": "the proxy refused",
    }
    return known.get(kind, kind)
