"""Finding the first line of a data file that is at fault, for the error message alone."""

from __future__ import annotations

import csv
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from math import isfinite, isnan
from pathlib import Path

from benchmark.data.card import DatasetCard
from benchmark.data.files import REPLACE_FILE, STATE_ENCODING, encoding_of, opened_text
from benchmark.data.header import encoding_fault
from benchmark.data.marks import MISSING_CELLS
from benchmark.data.rewrite import rewritten
from benchmark.errors import UserError, retelling
from benchmark.words import counted


def find_fault(card: DatasetCard, path: Path, columns: Sequence[str]) -> UserError | None:
    """Walk through the lines of a file and describe the first fault; None where there is none."""
    texts = {card.time_column, *card.left_out}
    numeric = [column not in texts for column in columns]
    passed = MISSING_CELLS if card.missing != "error" else set()
    rows = csv_rows(card, path)
    try:
        if card.header:
            next(rows)
        for line, row in rows:
            place = f"{path}: line {line}"
            if len(row) != len(columns):
                return _wrong_length(place, len(row), len(columns), next(rows, None) is None)
            for cell, column, is_number in zip(row, columns, numeric, strict=True):
                what = cell_fault(cell) if is_number and cell.strip() not in passed else None
                if what:
                    cure = "write a number, or leave the channel out of the file and its card"
                    return UserError(f"{place}, column '{column}'", what, cure)
    except UserError as error:
        return error
    return None


def csv_rows(
    card: DatasetCard, path: Path, instead: str = REPLACE_FILE
) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of every row of a file, its header too, after the line in which it ends.

    Args:
        card: says how the file is encoded.
        path: the file.
        instead: the cure where a line is none of a CSV.

    Raises:
        UserError: a line is none, or not in that encoding.
    """
    with opened_text(path) as stream:
        # each line to its end, so that one that the file's end cuts is told by its own number
        decode = getincrementaldecoder(card.codec)().decode
        rows = csv.reader((decode(line, True) for line in stream), strict=True)
        try:
            for row in rows:
                yield rows.line_num, row
        except UnicodeDecodeError as error:
            raise encoding_fault(card, f"{path}: line {rows.line_num + 1}", error) from None
        except csv.Error as error:
            where = f"{path}: line {rows.line_num}"
            raise UserError(where, f"is not CSV ({error})", instead) from None


def without_card(path: Path) -> AbstractContextManager[None]:
    """Tell the faults of a user's own file, which no card describes, with cures that it has."""

    def tell(fault: UserError) -> UserError:
        cure = fault.cure
        if cure == REPLACE_FILE:
            cure = "write it anew"
        elif cure == STATE_ENCODING:
            options = {"encoding": encoding_of(path), "dtype": "str"}
            cure = rewritten(path, "write it as utf-8", **options)
        return UserError(fault.where, fault.what, cure)

    return retelling(tell)


def _wrong_length(place: str, found: int, expected: int, is_last: bool) -> UserError:
    if found == 0:
        return UserError(place, "is blank", "delete the line")
    what = f"has {counted(found, 'cell')}, the file has {expected} columns"
    if is_last and found < expected:
        return UserError(place, f"{what}: the file was cut short", REPLACE_FILE)
    return UserError(place, what, "mend the line")


def cell_fault(cell: str) -> str | None:
    """Say what keeps a cell from being a finite number; None where it is one."""
    if not cell.strip():
        return "is empty"
    try:
        number = float(cell.replace("_", "?"))  # Python's own digit groups are no CSV number
    except ValueError:
        return f"{cell!r:.60} is not a number"
    if isnan(number):
        return f"{cell!r:.60} is not a number"
    return None if isfinite(number) else f"{cell!r:.60} is infinite"
