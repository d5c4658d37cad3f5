"""Looking at a user's file: which column is its time, how far apart its rows are, what to forecast.

Nothing is written here, and what is found is only proposed: `adopt` makes a card of it.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.config import nearest, validate
from benchmark.data.adoption.layout import repeat_fault, wide_fault
from benchmark.data.adoption.margins import empty_rows_fault, trailing_commas_fault, units_fault
from benchmark.data.adoption.numbers import COUNTS, no_channel, no_numbers, texts_fault, told_apart
from benchmark.data.adoption.steps import calendar_fault, most_frequent_step, step_cure
from benchmark.data.card import DatasetCard, card_of
from benchmark.data.dates import WHOLE_DATE, date_fault
from benchmark.data.faults import find_fault, without_card
from benchmark.data.files import opened_text
from benchmark.data.header import read_header
from benchmark.data.missing import add_absent_rows, without_values
from benchmark.data.parse import parse
from benchmark.data.rewrite import in_time_order, rewritten
from benchmark.data.table import Table
from benchmark.data.times import Times, read_times, step_fault
from benchmark.data.zones import put_back_cure
from benchmark.errors import UserError, cured

if TYPE_CHECKING:
    import pandas as pd

SPLITS = {"train": 0.7, "val": 0.1, "test": 0.2}
FEW_REPEATED = 0.05
"""Share of rows up to which those that share their time with another may be left out."""

_TIME_NAME = re.compile(
    r"date|time|stamp|year|month|quarter|week|day|period|^ds$|^dt$", re.IGNORECASE
)
_NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?")
_NO_TIMES = "write times as 2016-07-01 00:15:00 into a column, and name it with --time-column"


@dataclass(frozen=True, eq=False)
class Look:
    """What a file holds.

    Attributes:
        card: what a card must say to read the file; missing values are masked, where there are any.
        table: its channels, on a regular grid.
        absent: rows of the grid whose time the file does not have.
        left_out: columns that are no channels, and why.
    """

    card: DatasetCard
    table: Table
    absent: int
    left_out: dict[str, str]


def look(path: Path, time_column: str | None = None, frequency: str | None = None) -> Look:
    """Read a CSV, or a gzip of one, whose first line names its columns.

    Args:
        path: the file.
        time_column: its column of times; None finds it.
        frequency: the time step; None takes the most frequent one.

    Raises:
        UserError: the file is no such CSV, has no times or no numbers; names line and column.
    """
    with without_card(path):
        card, times, reasons = _survey(path, time_column)
        off_grid = step_cure(path, str(card.time_column), times, frequency)
        frequency = frequency or str(most_frequent_step(times))
        return _settled(card, path, times, frequency, off_grid, reasons)


def survey(path: Path, time_column: str | None = None) -> None:
    """Find out whether a file is such a table, however few rows it has, and however far apart.

    Args:
        path: the file.
        time_column: see `look`.

    Raises:
        UserError: as `look`.
    """
    with without_card(path):
        _survey(path, time_column)


def _survey(path: Path, time_column: str | None) -> tuple[DatasetCard, Times, dict[str, str]]:
    """Read a card's beginning, the times, and why a column is no channel, or nothing."""
    card = _provisional()
    columns = read_header(card, path)
    if fault := wide_fault(path, columns):
        raise fault
    _check_header(path, columns)
    frame = _read_text(card, path, columns)
    if fault := units_fault(path, frame):
        raise fault
    reasons = {column: no_numbers(frame[column]) for column in columns}
    if time_column is None:
        time_column = _find_time_column(path, frame, reasons)
    elif time_column not in columns:
        what = f"{path} has no column '{time_column}'"
        raise UserError("--time-column", what, nearest(time_column, columns))
    try:
        times = read_times(path, frame[time_column])
    except UserError as error:
        raise date_fault(path, frame, [time_column]) or error from None
    reasons = told_apart(frame, {c: why for c, why in reasons.items() if c != time_column})
    texts = [column for column in reasons if reasons[column]]
    if fault := texts_fault(path, frame, texts):
        raise fault
    channels = [column for column, reason in reasons.items() if not reason]
    if "" in channels:
        what = f"column {columns.index('') + 1} has no name"
        raise UserError(f"{path}: line 1", what, "name it, or take it out")
    card = card.model_copy(update={"time_column": time_column})
    _check_order(card, path, times, frame, channels)
    if not channels and COUNTS not in reasons.values():  # to forecast from, a count may do
        raise no_channel(path, reasons)
    return card, times, reasons


def _settled(
    card: DatasetCard,
    path: Path,
    times: Times,
    frequency: str,
    off_grid: str,
    reasons: dict[str, str],
) -> Look:
    """Read the file as it will be read, and drop channels that a split knows nothing of."""
    channels = [column for column, reason in reasons.items() if not reason]
    left_out = {column: reason for column, reason in reasons.items() if reason}
    if not channels:
        raise no_channel(path, reasons)
    fields = card.model_dump(mode="json") | {"frequency": frequency, "missing": "mask"}
    fields |= {"channels": channels, "left_out": list(left_out)}
    card = card_of(fields, "--frequency")
    with cured(off_grid):
        add_absent_rows(card, path, times, np.empty((len(times), 0)))
    table = parse(card, path)
    try:
        borders = card.splits.borders(len(table.values))
    except ValueError as error:
        raise UserError(str(path), f"is too short: {error}", "add rows") from None
    unknown: dict[str, str] = {}
    for split, channel in without_values(table.values, borders):
        unknown.setdefault(channels[channel], f"no value in the {split} rows")
    if unknown:
        return _settled(card, path, times, frequency, off_grid, reasons | unknown)
    if not np.isnan(table.values).any():
        card = card.model_copy(update={"missing": "error"})
    return Look(card, table, len(table.values) - len(times), left_out)


def _provisional() -> DatasetCard:
    """A card that says nothing yet of the file, for the parts that read by a card."""
    fields: dict[str, Any] = dict.fromkeys(("title", "file", "licence", "citation"), "none")
    fields |= {"name": "none", "frequency": "h", "time_column": "none", "channels": 1, "season": 1}
    return validate(DatasetCard, fields | {"splits": SPLITS}, "")


def _check_header(path: Path, columns: list[str]) -> None:
    where = f"{path}: line 1"
    twice = next((column for column, times in Counter(columns).items() if times > 1), None)
    if twice is not None:
        fault = trailing_commas_fault(path, columns) if twice == "" else None
        if fault:
            raise fault
        raise UserError(where, f"names column '{twice}' twice", "rename one of them")
    numbers = [column.strip() for column in columns if _NUMBER.fullmatch(column.strip())]
    named = any(_TIME_NAME.search(column) for column in columns) or _count(numbers)
    if numbers and (columns[0].strip()[:1].isdigit() or not named):
        what = "holds numbers, where the columns' names should stand"
        raise UserError(where, what, "add a first line that names them")


def _count(numbers: list[str]) -> bool:
    """Whether they count from 0 or 1, as channels do that have no names: ``date,0,1,OT``."""
    whole = [int(number) for number in numbers if number.isdigit()]
    return whole[:1] in ([0], [1]) and whole == [whole[0] + n for n in range(len(numbers))]


def _read_text(card: DatasetCard, path: Path, columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    everything = card.model_copy(update={"left_out": tuple(columns)})
    try:
        with opened_text(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # more cells than columns
            frame = pd.read_csv(
                stream,
                names=columns,
                header=0,
                index_col=False,
                dtype=str,
                encoding=card.codec,
                keep_default_na=False,
                skip_blank_lines=False,
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        fault = trailing_commas_fault(path, columns) or find_fault(everything, path, columns)
        what = f"cannot be read as CSV: {str(error).strip()}"
        raise (fault or UserError(str(path), what, "mend the file")) from None
    if frame.empty:
        raise UserError(str(path), "holds no rows", "add rows")
    blank = empty_rows_fault(path, frame)
    if blank or frame.isna().to_numpy().any():  # short lines: no cell of a text is read as missing
        fault = find_fault(everything, path, columns) or blank
        if fault:
            raise fault
    return frame


def _find_time_column(path: Path, frame: pd.DataFrame, reasons: dict[str, str]) -> str:
    """The first column of texts whose first cell is a time, or of any that is called like one.

    One of numbers comes last: what is called downtime may be 1500, which is a year as well.
    """
    named = [column for column in frame.columns if _TIME_NAME.search(column)]
    counts = [c for c in frame.columns if frame[c].str.fullmatch(r"\s*\d+\s*").all()]
    others = set(counts) - set(named)  # 1001, 1002, ... is a year of nothing that is not called so
    texts = [column for column in frame.columns if reasons[column] and column not in others]
    texts.sort(key=lambda column: column not in named)
    for readable, written in ((texts, [*named, *texts]), (named, list(frame.columns))):
        for column in readable:
            with suppress(UserError):
                read_times(path, frame[column].iloc[:1])
                return str(column)
        if fault := date_fault(path, frame, written):
            raise fault
    dated = [column for column in texts if WHOLE_DATE.match(frame[column].iloc[0])]
    for column in [*dated, *named]:  # its own fault is the better answer
        read_times(path, frame[column])
    raise UserError(f"{path}: line 1", "names no column whose cells are times", _NO_TIMES)


def _check_order(
    card: DatasetCard, path: Path, times: Times, frame: pd.DataFrame, channels: list[str]
) -> None:
    """Refuse times that do not go on from row to row, or go on by the calendar."""
    time_column = str(card.time_column)
    if len(times) < 2:
        raise UserError(str(path), "holds a single row", "add rows")
    steps = np.diff(times).astype(np.int64)
    if (steps <= 0).any():
        if fault := repeat_fault(path, frame, time_column, channels):
            raise fault
        with cured(_order_cure(path, frame, time_column, times)):
            raise step_fault(card, path, times, steps <= 0)
    if fault := calendar_fault(path, time_column, times):
        raise fault


def _order_cure(path: Path, frame: pd.DataFrame, time_column: str, times: Times) -> str:
    """How to put rows into order; where many share their time, no line that would drop them.

    Rows that are the same throughout are no loss: two exports may overlap. An hour that stands
    there twice because a clock was put back is one.
    """
    put_back = put_back_cure(path, time_column, times)
    if put_back:
        return put_back
    repeated = len(times) - len(np.unique(times))
    deed, change = "sort its rows", in_time_order(time_column)
    if repeated == frame.duplicated().sum() > 0:
        deed += ", each of them once"
        change = f".drop_duplicates(){change}"
    elif repeated > FEW_REPEATED * len(times):
        return "mend the file: sort its rows, and have one for each time"
    elif repeated:
        deed += ", the first alone of those that share a time"
        change = f".drop_duplicates({time_column!r}){change}"
        return rewritten(path, deed, change, dtype="str").by_hand
    return rewritten(path, deed, change, dtype="str")
