"""CSV files of results, written exactly and read strictly.

A float is written so that reading it gives the same bits. Reading guesses nothing: a column has the
type its name says, ``NA`` and ``007`` stay texts, and what does not fit is refused with its line.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config import nearest
from benchmark.errors import UserError, raise_faults
from benchmark.files import write_atomically
from benchmark.records import layout
from benchmark.records.csv_rows import MAX_ROW, CsvRows, parse_csv_rows, read_csv_rows
from benchmark.records.record import (
    COLUMNS,
    OF_THE_MACHINE,
    RunRecord,
    column_bounds,
    column_kinds,
    is_run_id,
)
from benchmark.records.sound import NUMBER, WHOLE, read_sound, whole_text

if TYPE_CHECKING:
    from pandas import DataFrame, Series

REQUIRED = (
    "run_id", "status", "dataset", "lookback", "horizon", "model", "seed", "mse", "mae",
    "fingerprint", "error",
)  # fmt: skip
"""Columns a results file must have; the others of `COLUMNS` read as empty where they are absent."""

_ALIKE, _ROUNDED = 0.01, 0.001  # of a table that was rounded on its way
_MAY_BE_EMPTY = frozenset(("mse", "mae", "error"))
_SPECIAL = re.compile(r'[",\r\n]')
_WHOLE = re.compile(rf"(?:{WHOLE})(?:\.0)?")  # pandas writes 1.0 beside empty cells
_NUMBER = re.compile(NUMBER)


def write_csv(path: Path, records: Iterable[RunRecord]) -> None:
    """Write records as CSV, atomically, one row each in the order given.

    Raises:
        UserError: the file cannot be written.
    """
    write_rows(path, map(row_text, records))


def write_rows(path: Path, rows: Iterable[str]) -> None:
    """Write rows that `row_text` made, atomically; where they are there already, nothing is.

    So a table that is up to date can be had of a folder that can only be read.

    Raises:
        UserError: the file cannot be written.
    """
    text = _below_header(rows)
    try:
        there = path.read_bytes()
    except OSError:
        there = None
    if there != text.encode():
        write_atomically(path, text)


def holds_results(path: Path) -> bool:
    """Whether a file begins as a CSV of results does, whatever follows; a spreadsheet's, too."""
    if not path.is_file():  # a pipe would wait for who writes into it
        return False
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            header = stream.readline(MAX_ROW)
    except OSError:  # who writes it will be told
        return False
    return set(REQUIRED) <= set(header.replace('"', "").strip().split(","))


def csv_text(records: Iterable[RunRecord]) -> str:
    """Return records as the text of a CSV file."""
    return _below_header(map(row_text, records))


def row_text(record: RunRecord) -> str:
    """Return one record as a row of a CSV file, without its end."""
    return ",".join(_cell(getattr(record, column)) for column in COLUMNS)


def _below_header(rows: Iterable[str]) -> str:
    return "\n".join([",".join(COLUMNS), *rows]) + "\n"


def _cell(value: str | float | None) -> str:
    """Write one value; the csv module would leave a lone carriage return unquoted."""
    if value is None:
        return ""
    text = repr(value) if isinstance(value, float) else str(value)
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def read_results(path: Path) -> DataFrame:
    """Read a results CSV for the reports.

    Of rows that differ only in where and when the same run was made, the first is kept: machines
    that share a suite each run what has no randomness.

    Returns:
        One row a run. Texts are never missing ("" where empty); float columns are float64 with NaN
        and optional whole numbers Int64 with NA where empty; unknown columns follow, as texts.

    Raises:
        UserError: the file is missing, unreadable, no CSV, without runs, without a required column,
            too large, holds a value that does not fit its column, a run id that could not be a
            folder's name, a score of a failed run, a done run without one, or one run twice; every
            column's first fault, each with its line.
    """
    frame = _sound(whole_text(path))
    return _results(read_csv_rows(path)) if frame is None else frame


def parse_results(text: str, name: str) -> DataFrame:
    """Read the text of a results CSV that lies in no file of its own.

    Args:
        text: what `read_results` would find in the file.
        name: what to call it in errors, e.g. ``main:results/results.csv``.

    Raises:
        UserError: as `read_results`.
    """
    frame = _sound(text)
    if frame is None:
        return _results(parse_csv_rows(Path(name), io.StringIO(text, newline="")))
    return frame


def _sound(text: str | None) -> DataFrame | None:
    """Read a text of which one look says that it holds no fault; None where it does not."""
    kinds = column_kinds()
    found = None if text is None else read_sound(text, kinds, REQUIRED, _MAY_BE_EMPTY)
    if found is None:
        return None
    absent = (name for name in kinds if name not in found)
    frame = found.assign(**{n: _series(("",) * len(found), kinds[n], False) for n in absent})
    frame = _once(frame[[*kinds, *(name for name in found if name not in kinds)]])
    frame = frame.reset_index(drop=True)
    return None if any(wrong.any() for _, wrong, _, _ in _checks(frame)) else frame


def _results(raw: CsvRows) -> DataFrame:
    if {"rank", "metric", "mean"} <= set(raw.header) and "run_id" not in raw.header:
        beside = raw.path.with_name(layout.RESULTS)
        raise UserError(str(raw.path), "is a leaderboard and has no runs", f"name {beside}")
    frame = _once(_typed(raw, column_kinds(), REQUIRED, _MAY_BE_EMPTY))
    faults = []
    for column, wrong, what, cure in _checks(frame):
        if wrong.any():
            row = frame.index.tolist()[int(wrong.to_numpy().argmax())]
            got = raw.rows[row][raw.header.index(column)]
            faults.append(raw.fault(row, column, f"{what}, got {got!r:.60}", cure))
    raise_faults(faults)
    return frame.reset_index(drop=True)


def _once(frame: DataFrame) -> DataFrame:
    """Drop the later of rows that are one run; the others keep their index."""
    if not frame["run_id"].duplicated().any():
        return frame
    return frame.drop_duplicates([name for name in frame if name not in OF_THE_MACHINE])


def _checks(frame: DataFrame) -> list[tuple[str, Series, str, str]]:
    """Column, the rows that are wrong, what is wrong with them and its cure."""
    failed = frame["status"] == "failed"
    checks: list[tuple[str, Series, str, str]] = [
        ("status", ~frame["status"].isin(["done", "failed"]), "is neither 'done' nor 'failed'", ""),
        ("run_id", frame["run_id"].duplicated(), "is there twice", "keep one row a run"),
        ("run_id", ~frame["run_id"].map(is_run_id), "is no name of a run's folder", "mend it"),
    ]
    for column, (least, greatest) in column_bounds().items():
        values, cure = frame[column], "mend the cell: is it one of another column?"
        checks += [
            (column, (values < least).fillna(False), f"is below {least}", cure),
            (column, (values > greatest).fillna(False), f"is above {greatest}", cure),
        ]
    for column in ("mse", "mae"):
        score = frame[column]
        checks += [
            (column, ~failed & score.isna(), "is empty in a done run", "a done run has a score"),
            (column, failed & score.notna(), "is a score of a failed run", "empty the cell"),
        ]
    unlike = (frame["rmse"] - frame["mse"] ** 0.5).abs() > _ALIKE * frame["rmse"] + _ROUNDED
    cure = "mend the one or the other: is one of another column or run?"
    checks.append(("rmse", unlike, "is not the root of the row's mse", cure))
    return checks


def read_table(
    path: Path, kinds: Mapping[str, type], may_be_empty: Sequence[str] = ()
) -> DataFrame:
    """Read any CSV file whose columns are known, as strictly as `read_results`.

    Args:
        path: the file.
        kinds: str, int or float for each column; all of them must be there.
        may_be_empty: columns whose cells may be empty.

    Raises:
        UserError: as `read_results`, for the file, its columns and its cells.
    """
    return _typed(read_csv_rows(path), kinds, tuple(kinds), frozenset(may_be_empty))


def _typed(
    raw: CsvRows, kinds: Mapping[str, type], required: Sequence[str], may_be_empty: frozenset[str]
) -> DataFrame:
    """Give every known column its type; collect the first fault of each."""
    import pandas as pd

    missing = [name for name in required if name not in raw.header]
    if missing:
        if set(REQUIRED) <= set(missing):
            what = "is no results CSV: it has none of the columns that a run writes"
            raise UserError(str(raw.path), what, "name such a file, e.g. results/results.csv")
        misspelt = [name[:60] for name in raw.header if name not in kinds]
        hint = nearest(missing[0], misspelt) if misspelt else "name the file that a run wrote"
        what = f"has no column {', '.join(missing)}"
        raise UserError(f"{raw.path}: line 1", what, f"'{missing[0]}': {hint}")
    if not raw.rows:
        raise UserError(str(raw.path), "has a header but no rows", "run a benchmark first")
    cells = dict(zip(raw.header, zip(*raw.rows, strict=True), strict=True))
    data: dict[str, Series] = {}
    faults = []
    for name, kind in kinds.items():
        column = cells.get(name, ("",) * len(raw.rows))
        full = name in required and name not in may_be_empty
        row = _first_misfit(column, kind, full)
        if row is None:
            data[name] = _series(column, kind, full)
        else:
            wanted = {int: "a whole number", float: "a finite number", str: "a text"}[kind]
            got = f"got {column[row]!r:.60}" if column[row] else "it is empty"
            faults.append(raw.fault(row, name, f"must be {wanted}, {got}", "mend the cell"))
    raise_faults(faults)
    extra = {name: pd.Series(cells[name], dtype="str") for name in raw.header if name not in kinds}
    return pd.DataFrame({**data, **extra})


def _first_misfit(column: Sequence[str], kind: type, full: bool) -> int | None:
    """Return the first row whose cell does not fit the column's type, or None."""
    for row, cell in enumerate(column):
        if not cell:
            fits = not full
        elif kind is int:
            fits = _WHOLE.fullmatch(cell) is not None
        elif kind is float:
            fits = _NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))
        else:
            fits = True
        if not fits:
            return row
    return None


def _series(column: Sequence[str], kind: type, full: bool) -> Series:
    import pandas as pd

    if kind is float:
        return pd.Series([float(cell) if cell else math.nan for cell in column], dtype="float64")
    if kind is int and full:
        return pd.Series([_integer(cell) for cell in column], dtype="int64")
    if kind is int:
        return pd.Series([_integer(cell) if cell else pd.NA for cell in column], dtype="Int64")
    return pd.Series(column, dtype="str")


def _integer(cell: str) -> int:
    return int(cell.removesuffix(".0"))
