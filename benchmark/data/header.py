"""The first line of a data file: whether it is a CSV at all, and has the columns of its card."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from benchmark.config import nearest
from benchmark.data.card import DatasetCard
from benchmark.data.files import REPLACE_FILE, STATE_ENCODING, opened_text
from benchmark.data.rewrite import rewritten
from benchmark.data.separators import UTF_16, separator_fault
from benchmark.errors import UserError, raise_faults

_BINARY = "is binary data, not text", "name a CSV file, or a .gz of one"
_OTHER_FILES = {
    b"PK\3\4": ("is a zip archive or a workbook", "unpack it, or save its sheet as CSV (UTF-8)"),
    b"\xd0\xcf\x11\xe0": ("is a workbook of Excel", "save its sheet as CSV (UTF-8)"),
    b"\x1f\x8b": _BINARY,
    b"{": ("is JSON, not a CSV file", "write it as CSV, a row for each time"),
    b"[{": ("is JSON, not a CSV file", "write it as CSV, a row for each time"),
}
"""How files begin that users take for one of a table, what they are, and the cure."""


def read_columns(card: DatasetCard, path: Path) -> list[str]:
    """Return the names of the file's columns, in its order, after checking them.

    Raises:
        UserError: the first line is not one of a CSV, or names other columns than the card.
    """
    where = f"{path}: line 1"
    cells = read_header(card, path)
    if not card.header:
        assert not isinstance(card.channels, int)  # the card's own check
        if len(cells) != len(card.channels):
            what = f"has {len(cells)} columns, the card names {len(card.channels)} channels"
            raise UserError(where, what, "correct the card or the file")
        return list(card.channels)
    twice = sorted(cell for cell, count in Counter(cells).items() if count > 1)
    if twice:
        raise UserError(where, f"names column '{twice[0]}' twice", "rename one of them")
    if card.time_column is not None and card.time_column not in cells:
        what = f"time column '{card.time_column}' is missing"
        channels = () if isinstance(card.channels, int) else card.channels
        others = [cell for cell in cells if cell not in channels]
        hint = f" ({nearest(card.time_column, others)})" if others else ""
        raise UserError(where, what + hint, "correct the header, or time_column in the card")
    found = [cell for cell in cells if cell not in (card.time_column, *card.left_out)]
    if isinstance(card.channels, int):
        if len(found) != card.channels:
            what = f"names {len(found)} channels, the card says {card.channels}"
            raise UserError(where, what, "correct the card or the file")
    else:
        raise_faults(_channel_faults(where, card.channels, found))
    return cells


def read_header(card: DatasetCard, path: Path, instead: str = REPLACE_FILE) -> list[str]:
    """Take the first line apart, whatever columns it names; blanks around a name are none of it.

    Args:
        card: says how it is encoded.
        path: the file.
        instead: the cure where it is no table at all.

    Raises:
        UserError: it is not one of a CSV; tells what the file is.
    """
    where = f"{path}: line 1"
    with opened_text(path) as stream:
        line, second = stream.readline(), stream.readline()
    if not line.strip():
        raise UserError(where, "is empty", instead)
    fault = _other_file(path, line, instead)
    if fault is None and card.header:
        fault = separator_fault(path, line)
    if fault:
        raise fault
    try:
        cells = next(csv.reader([line.decode(card.codec).rstrip("\r\n")], strict=True))
    except UnicodeDecodeError as error:
        raise encoding_fault(card, where, error) from None
    except csv.Error as error:
        if _one_row(line + second, card.codec):
            change = ".rename(columns=lambda name: ' '.join(name.split()))"
            instead = rewritten(path, change=change, dtype="str")
            what = "ends inside a column's name: names must not hold line breaks"
            raise UserError(where, what, instead) from None
        raise UserError(where, f"is not CSV ({error})", instead) from None
    if len(cells) == 1:
        what = f"has no comma: {cells[0]!r:.60}"
        raise UserError(where, what, "separate the columns with commas")
    return [cell.strip() for cell in cells]


def _other_file(path: Path, line: bytes, instead: str) -> UserError | None:
    """Say what a file is that is no table of text; None where its first line is one's."""
    where = f"{path}: line 1"
    for begins, (what, cure) in _OTHER_FILES.items():
        if line.startswith(begins):
            return UserError(where, what, cure)
    if b"\0" in line and not line.startswith(UTF_16):
        return UserError(where, *_BINARY)
    if line.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return UserError(where, "is a web page, not a CSV file", instead)
    if b"\r" in line.strip() and b"\n" not in line:  # all of it is one line
        convert = f"convert them: tr '\\r' '\\n' < {path} > {path.with_suffix('.lf.csv').name}"
        return UserError(str(path), "its lines end in CR alone, as on an old Mac", convert)
    return None


def encoding_fault(card: DatasetCard, where: str, error: UnicodeDecodeError) -> UserError:
    """Say that a line is not in the card's encoding, and by which byte that was seen."""
    what = f"is not {card.encoding} text (byte 0x{error.object[error.start]:02x})"
    return UserError(where, what, STATE_ENCODING)


def _one_row(lines: bytes, encoding: str) -> bool:
    """Say whether two lines are one row: a cell in quotes begins in one and ends in the other."""
    try:
        return bool(next(csv.reader(StringIO(lines.decode(encoding)), strict=True)))
    except (UnicodeDecodeError, csv.Error):
        return False


def _channel_faults(where: str, expected: tuple[str, ...], found: list[str]) -> Iterator[UserError]:
    missing = set(expected) - set(found)
    extra = set(found) - set(expected)
    for name in expected:
        if name in missing:
            cure = nearest(name, extra) if extra else ""
            yield UserError(where, f"channel '{name}' is missing", cure)
    for name in found:
        if name in extra:
            what = f"column '{name}' is not in the card"
            yield UserError(where, what, "add it to channels or left_out")
