"""A CSV file as rows of texts: as long as its header each, told with their lines, and not too many.

Whatever a file is, no more than the limits here is read of it, so that a wrong one costs a moment
and a line of text, not the memory.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from benchmark.errors import UserError

MAX_CHARACTERS = 250_000_000
MAX_ROWS = 250_000
MAX_ROW = 1_000_000  # characters; the longest cell is an error of 100,000
MAX_COLUMNS = 1_000
"""What is larger is no file of results, and is not read to its end."""


@dataclass(frozen=True)
class CsvRows:
    """A CSV file as texts: every row as long as the header; `lines[i]` is where row i begins."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def fault(self, row: int, column: str, what: str, cure: str) -> UserError:
        """Describe what is wrong with a cell."""
        return UserError(f"{self.path}: line {self.lines[row]}, column {column}", what, cure)


def read_csv_rows(path: Path) -> CsvRows:
    """Read a CSV file.

    Raises:
        UserError: the file is missing, unreadable, no CSV, empty or too large.
    """
    where = str(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            return parse_csv_rows(path, stream)
    except FileNotFoundError:
        raise UserError(where, "no such file", "check the path, or run a benchmark first") from None
    except IsADirectoryError:
        raise UserError(where, "is a folder", "name the CSV file in it") from None
    except UnicodeDecodeError:
        raise UserError(where, "is not UTF-8 text", "name a CSV file") from None
    except OSError as error:
        raise UserError(where, f"cannot be read ({error.strerror})", "check permissions") from None


class _Lines:
    """The lines of a file that is no larger than results are.

    Attributes:
        in_row: characters since the row that is being read began; its reader sets it back.

    Raises:
        UserError: a row, or the file, is too long.
    """

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._stream = path, stream
        self.in_row = self._total = self._number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_ROW + 1)
        self._number += 1
        self.in_row += len(line)
        self._total += len(line)
        if self.in_row > MAX_ROW:
            where = f"{self._path}: line {self._number}"
            raise _too_large(where, f"a row is longer than {MAX_ROW:,} characters")
        if self._total > MAX_CHARACTERS:
            raise _too_large(str(self._path), f"is longer than {MAX_CHARACTERS:,} characters")
        if not line:
            raise StopIteration
        return line


def _too_large(where: str, what: str) -> UserError:
    return UserError(where, what, "name a CSV file of results")


def _check_header(path: Path, header: Sequence[str]) -> None:
    if len(header) > MAX_COLUMNS:
        what = f"has {len(header):,} columns, more than {MAX_COLUMNS:,}"
        raise _too_large(f"{path}: line 1", what)
    marks = {";": "semicolons", "\t": "tabs"}
    between = next((mark for mark in marks if mark in header[0]), None)
    if len(header) == 1 and between is not None:  # as a spreadsheet saves it
        what = f"has {marks[between]} between its columns"
        read = f"pd.read_csv({str(path)!r}, sep={between!r})"
        cure = f"write it with commas: {read}.to_csv('commas.csv', index=False)"
        raise UserError(f"{path}: line 1", what, cure)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UserError(f"{path}: line 1", f"has column {twice[0]!r:.60} twice", "remove one")


def parse_csv_rows(path: Path, stream: TextIO) -> CsvRows:
    """Read the text of a CSV file.

    Args:
        path: what to call it in errors.
        stream: its text.

    Raises:
        UserError: the text is no CSV, empty or too large.
    """
    text = _Lines(path, stream)
    reader = csv.reader(text, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    begin = 1
    try:
        for row in reader:
            line, begin = begin, reader.line_num + 1
            text.in_row = 0
            if not row:
                continue  # an empty line
            if not header:
                _check_header(path, row)
                header = row
                continue
            if row == header:  # files were put one after the other
                raise UserError(f"{path}: line {line}", "repeats the header", "remove the line")
            if len(row) != len(header):
                what = f"has {len(row)} cells, the header has {len(header)}"
                raise UserError(f"{path}: line {line}", what, "mend or remove the line")
            rows.append(row)
            lines.append(line)
            if len(rows) > MAX_ROWS:
                raise _too_large(str(path), f"has more than {MAX_ROWS:,} rows")
    except csv.Error as error:
        raise UserError(f"{path}: line {begin}", f"is no CSV: {error}", "mend the line") from None
    if not header:
        raise UserError(str(path), "is empty", "name a CSV file with a header and rows")
    return CsvRows(path, header, rows, lines)
