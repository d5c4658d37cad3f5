"""Rows of a file that a fitted model is used on: its channels, whatever else the file holds.

A data set's own file is what its card says, or it is refused. Here further columns may stand, in
any order, and only the rows that are used need to be whole. Where the card says what a missing
value means, it means the same here, and all rows are used: a value may be held from any before.
Rows after the last value are times to come, and no part of the past that is read.

Shapes: T rows used, C channels.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.config import nearest
from benchmark.data.card import DatasetCard
from benchmark.data.dates import date_fault
from benchmark.data.faults import cell_fault, csv_rows, without_card
from benchmark.data.header import read_header
from benchmark.data.marks import MISSING_CELLS
from benchmark.data.missing import add_absent_rows, settle
from benchmark.data.table import Table
from benchmark.data.times import FIRST_LINE, Times, check_steps, read_times, step_fault
from benchmark.data.zones import put_back_cure
from benchmark.errors import UserError, cured, raise_faults
from benchmark.words import counted

TIME_COLUMN = "date"
"""Where the data set's own file has no times."""

NAME_A_CSV = "name a CSV file whose first line names its columns"
MEND = "mend the line"
LEAVE_OUT = "leave out all rows up to it"


@dataclass(frozen=True, eq=False)
class Rows:
    """Evenly spaced rows of a file.

    Attributes:
        timestamps: ``(T,)``, datetime64[s].
        values: ``(T, C)``, in each channel's own unit; finite, or NaN where the card masks missing
            values.
        ignored: the file's other columns.
    """

    timestamps: Times
    values: NDArray[np.float64]
    ignored: tuple[str, ...]


def time_column(card: DatasetCard) -> str:
    """Return the name of the column of times."""
    return TIME_COLUMN if card.time_column is None else card.time_column


def read_rows(
    card: DatasetCard, channels: Sequence[str], path: Path, needed: int, *, whole: bool
) -> Rows:
    """Read the last rows of a CSV, or of a gzip of one.

    Args:
        card: of the data set that the model was fitted on.
        channels: its channels, C.
        path: the file.
        needed: rows it must have, absent times included where the card allows them.
        whole: whether to read all of its rows, instead of the last `needed`; so it is anyhow where
            the card masks or fills missing values.

    Raises:
        UserError: a column is missing, there are too few rows, or one of those used has no time,
            is not one step after the one before, or has a cell that is no number, unless the card
            allows it; names the line.
    """
    with without_card(path):
        return _read_rows(card, channels, path, needed, whole)


def _read_rows(
    card: DatasetCard, channels: Sequence[str], path: Path, needed: int, whole: bool
) -> Rows:
    card = card.model_copy(update={"time_column": time_column(card), "irregular_steps": 0})
    wanted = (time_column(card), *channels)
    header = read_header(card, path, NAME_A_CSV)
    raise_faults(_column_faults(f"{path}: line 1", wanted, header))
    place = {column: number for number, column in enumerate(header)}
    time, *places = (place[column] for column in wanted)
    strict = card.missing == "error"
    lines = _up_to_the_last_value(_lines(card, path), len(header), places)
    used = deque(lines, maxlen=needed if strict and not whole else None)
    if len(used) < (needed if strict else 1):
        raise _too_few(path, len(used), needed)
    first, last = used[0][0], used[-1][0]

    def cure(line: int) -> str:
        return _cure(line - FIRST_LINE, last - line, needed)

    values = np.array([_numbers(card, path, line, row, header, places, cure) for line, row in used])
    times = _times(card, path, [row[time] for _, row in used], first)
    table = _evenly_spaced(card, path, Table(times, values, tuple(channels)), first, needed)
    if len(table.values) < needed:
        raise _too_few(path, len(table.values), needed)
    used_columns = set(wanted)
    ignored = tuple(column for column in header if column not in used_columns)
    return Rows(table.timestamps, table.values, ignored)


def _too_few(path: Path, rows: int, needed: int) -> UserError:
    what = f"holds {counted(rows, 'row')} up to its last value, {needed:,} are needed"
    return UserError(str(path), what, "add earlier rows")


def _cure(before: int, behind: int, needed: int) -> str:
    """Say what to do about a line, by how many rows are left before it, or behind it."""
    if behind >= needed:
        return f"{MEND}, or {LEAVE_OUT}"
    if before >= needed:
        return f"{MEND}, or leave {'out all rows from it on' if behind else 'it out'}"
    return MEND


def _column_faults(where: str, wanted: Sequence[str], header: Sequence[str]) -> Iterator[UserError]:
    times = Counter(header)
    others = times.keys() - set(wanted)
    for column in wanted:
        if column not in times:
            cure = nearest(column, others) if others else "add it"
            if cure.startswith("known"):  # of no other is it a misspelling
                cure = f"the file has {', '.join(islice(times, 30))}"
            yield UserError(where, f"column '{column}' is missing", cure)
        elif times[column] > 1:
            yield UserError(where, f"names column '{column}' twice", "rename one of them")


def _lines(card: DatasetCard, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of every line after the header."""
    return islice(csv_rows(card, path, NAME_A_CSV), 1, None)


def _up_to_the_last_value(
    lines: Iterable[tuple[int, list[str]]], width: int, channels: Sequence[int]
) -> Iterator[tuple[int, list[str]]]:
    """Leave out the rows at the end in which no channel has a value; a broken one is told later.

    Args:
        lines: number and cells of each.
        width: cells of a whole line.
        channels: which of them are the channels'.
    """
    held = []
    for line, row in lines:
        held.append((line, row))
        if len(row) != width or any(row[c].strip() not in MISSING_CELLS for c in channels):
            yield from held
            held.clear()


def _numbers(
    card: DatasetCard,
    path: Path,
    line: int,
    row: list[str],
    header: Sequence[str],
    places: Sequence[int],
    cure: Callable[[int], str],
) -> list[float]:
    """The numbers of one line, of each channel; NaN where the card allows a missing value."""
    if len(row) != len(header):
        what = f"has {len(row)} cells, the file has {len(header)} columns" if row else "is blank"
        raise UserError(f"{path}: line {line}", what, MEND if row else "delete it")
    numbers = []
    for place in places:
        if card.missing != "error" and row[place].strip() in MISSING_CELLS:
            numbers.append(nan)
            continue
        fault = cell_fault(row[place])
        if fault:
            raise UserError(f"{path}: line {line}, column '{header[place]}'", fault, cure(line))
        numbers.append(float(row[place]))
    return numbers


def _times(card: DatasetCard, path: Path, texts: list[str], first_line: int) -> Times:
    import pandas as pd

    cells = pd.Series([text or None for text in texts], dtype="str", name=card.time_column)
    try:
        return read_times(path, cells, first_line)
    except UserError as error:
        raise _date_fault(card, path) or error from None


def _date_fault(card: DatasetCard, path: Path) -> UserError | None:
    """Describe times that are written otherwise; all of the file tells the day from the month."""
    import pandas as pd

    header = read_header(card, path, NAME_A_CSV)
    cells = [row for _, row in _lines(card, path) if len(row) == len(header)]
    frame = pd.DataFrame(cells, columns=header, dtype="str")
    named_once = ~frame.columns.duplicated(keep=False)
    return date_fault(path, frame.loc[:, named_once], [time_column(card)])


def _evenly_spaced(
    card: DatasetCard, path: Path, table: Table, first_line: int, needed: int
) -> Table:
    """Check that rows are one step apart; or see to it, and to what is missing, as the card says.

    Args:
        card: says so.
        path: the file, for errors.
        table: its rows as they stand there.
        first_line: where the first of them stands, for errors.
        needed: rows that are, for errors.
    """
    times, values = table.timestamps, table.values
    steps = np.diff(times).astype(np.int64)
    mended_by_a_line = (steps < 0).any() or (
        (steps == 0).any() and put_back_cure(path, str(card.time_column), times)
    )
    if mended_by_a_line:
        raise step_fault(card, path, times, steps <= 0, first_line)
    cure = f"{MEND}, or {LEAVE_OUT}"
    odd = np.flatnonzero(card.step.between(times) != 1) + 1
    if card.missing == "error" and odd.size:  # otherwise a time may be absent
        cure = _cure(first_line - FIRST_LINE + int(odd[0]), len(times) - 1 - int(odd[0]), needed)
    with cured(f"the model reads rows in time order, frequency {card.frequency}: {cure}"):
        if card.missing == "error":
            check_steps(card, path, times, first_line)
        else:
            times, values = add_absent_rows(card, path, times, values)
    with cured("fill them in the file, or leave out all rows up to there"):
        values, _ = settle(card, path, Table(times, values, table.channels), {})
    return Table(times, values, table.channels)
