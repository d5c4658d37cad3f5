"""Whether a column of texts is one of numbers; or nearly so, which is the file's fault."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.adoption.styles import DECIMAL_COMMAS, NEARLY, columns_fault, style_fault
from benchmark.data.marks import GROUPED, MISSING_CELLS, Marks
from benchmark.data.rewrite import assigned, rewritten
from benchmark.data.times import FIRST_LINE
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

COUNTS = "counts the rows"
FEW = 10
"""Steps up to which numbers may be evenly spaced by chance."""
WRITTEN = 1e-3
"""Share of a step that a count may be off by, as it is written with few digits."""

_THOUSANDS = "has commas between its thousands"
_DECIMAL = "has a decimal comma"
_EITHER_WAY = "has a comma between its thousands, or a decimal one"
_EITHER = r"[-+]?[1-9]\d{0,2},\d{3}"
_WITH_UNIT = r"^[-+]?([$€£¥]?)\s*[-+]?\d[\d.,]*\s*([^\d.,]*)$"
_SIGNS = re.compile(r"[-+\u2212\u2013()]")
"""They may stand behind a number, which would be another one without."""


def no_numbers(texts: pd.Series[Any]) -> str:
    """Say why a column is no channel; empty where it is one."""
    texts = texts.str.strip()
    missing = texts.isin(MISSING_CELLS).to_numpy(dtype=bool)
    if missing.all():
        return "is empty"
    numbers = _numbers(texts)
    wrong: NDArray[np.bool_] = ~np.isfinite(numbers) & ~missing
    if wrong.any():
        row = int(wrong.argmax())
        return f"{texts.iloc[row]!r:.40} in line {row + FIRST_LINE} is {_kind(numbers[row])}"
    if len(numbers) > 1 and bool((np.diff(numbers) == 1).all()):
        return COUNTS
    return ""


def known_cells(texts: pd.Series[Any]) -> pd.Series[Any]:
    """The cells that stand for no missing value, without blanks around them."""
    texts = texts.str.strip()
    return texts[~texts.isin(MISSING_CELLS)]


def no_channel(path: Path, reasons: dict[str, str]) -> UserError:
    """Describe a file none of whose columns is a channel, by why the first is none."""
    column, reason = next(iter(reasons.items()))
    what = f"has no column of numbers beside its times ('{column}': {reason})"
    return UserError(str(path), what, "add a column of numbers")


def texts_fault(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> UserError | None:
    """Describe columns of numbers that are written otherwise, or nearly so; None where none is.

    A column that is left out without a word would be missed by nobody but its owner.

    Args:
        path: the file.
        frame: its cells.
        columns: those that are not of numbers alone.
    """
    fault = style_fault(path, frame, columns) or _unit_fault(path, frame, columns)
    if fault:
        return fault
    faults = _number_faults(path, frame, columns)
    return UserError.join(faults) if faults else None


def told_apart(frame: pd.DataFrame, reasons: dict[str, str]) -> dict[str, str]:
    """Say, too, of columns that go up or down by the same from row to row, that they count.

    An elapsed time or an epoch measures nothing; where all columns do so, they may be the data.

    Args:
        frame: the cells.
        reasons: why a column is no channel, or nothing.
    """
    counts = {c: COUNTS for c, reason in reasons.items() if not reason and _even(frame[c])}
    return reasons | counts if "" in (reasons | counts).values() else reasons


def _even(texts: pd.Series[Any]) -> bool:
    with np.errstate(all="ignore"):  # of the largest numbers
        steps = np.diff(_numbers(texts))
        if len(steps) < FEW or not steps.any():
            return False
        return bool(np.allclose(steps, steps.mean(), rtol=WRITTEN, atol=0))


def _number_faults(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> list[UserError]:
    """Describe columns that are of numbers but for their commas, or but for a few cells."""
    told = {column: known_cells(frame[column]) for column in columns}
    kinds = {column: _commas(texts) for column, texts in told.items()}
    faults = []
    for column, texts in told.items():
        kind = kinds[column]
        if not kind:
            faults.append(_others_fault(path, column, frame[column], texts))
            continue
        # An option is the whole file's, so columns that are written otherwise are kept from it.
        kept = {c: "str" for c, other in kinds.items() if other not in ("", kind)}
        option = "decimal" if kind == _DECIMAL else "thousands"
        if option == "thousands":
            others = ((c, told[c]) for c in told if not kinds[c])
            kept |= Marks(thousands=",").kept_as_texts(others)
        options: dict[str, Any] = {option: ","} | ({"dtype": kept} if kept else {})
        line = rewritten(path, **options)
        cure: str = line
        if kind == _EITHER_WAY:
            cure = f"{line.by_hand}; put decimal=',' for thousands=',' if it is decimal"
        at = texts.str.contains(",", regex=False)
        faults.append(_fault(path, column, texts, at, kind, cure))
    return list(filter(None, faults))


def _commas(texts: pd.Series[Any]) -> str:
    """What the commas are in a column of numbers; empty where there are none, or it is another."""
    sound = bool(np.isfinite(_ungrouped(texts)).all())
    if sound and texts.str.fullmatch(GROUPED.pattern).any():
        unmarked = texts.str.fullmatch(r"[-+]?\d{4,}").any()
        return _EITHER_WAY if unmarked or texts.str.fullmatch(_EITHER).all() else _THOUSANDS
    return _DECIMAL if not sound and texts.str.fullmatch(DECIMAL_COMMAS).all() else ""


def _others_fault(
    path: Path, column: str, cells: pd.Series[Any], texts: pd.Series[Any]
) -> UserError | None:
    """Describe a few cells that are none in a column of numbers."""
    numbers = _ungrouped(texts)
    wrong: NDArray[np.bool_] = ~np.isfinite(numbers)
    if not 0 < wrong.sum() <= (1 - NEARLY) * len(texts):
        return None
    sound = len(texts) - int(wrong.sum())
    kind = f"is {_kind(numbers[wrong][0])}, unlike {sound:,} of the column's {len(texts):,}"
    cure = "empty the cell to have it missing, or remove the column"
    marks = cells[texts.index[wrong]].unique()
    alike = len({mark.strip() for mark in marks}) == 1
    if wrong.sum() > 1 and alike and not any(map(str.isdigit, marks[0])):
        empty = f"t[{column!r}].mask(t[{column!r}].isin({list(marks)!r}))"
        cure = rewritten(path, "have them missing", assigned(column, empty), dtype="str")
    return _fault(path, column, texts, wrong, kind, cure)


def _fault(
    path: Path, column: str, texts: pd.Series[Any], at: Any, kind: str, cure: str
) -> UserError:
    place = int(np.argmax(at))
    where = f"{path}: line {int(texts.index[place]) + FIRST_LINE}, column '{column}'"
    return UserError(where, f"{texts.iloc[place]!r:.40} {kind}", cure)


def _unit_fault(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> UserError | None:
    """Describe columns of numbers with a unit in each cell; None where there is none."""
    units = {column: unit for column in columns if (unit := _unit(frame[column]))}
    if not units:
        return None
    change = "".join(assigned(column, _without(column, unit)) for column, unit in units.items())
    cure = rewritten(path, "take it off", change, dtype="str")
    rows = {column: int(known_cells(frame[column]).index[0]) for column in units}
    what = f"has a unit, {next(iter(units.values()))!r}, as all its numbers have"
    return columns_fault(path, frame, rows, what, "so has", cure)


def _without(column: str, unit: str) -> str:
    """A column's numbers without their unit, before or behind: an expression of the table `t`."""
    told = re.escape(unit)
    around = rf"(?<=\d)\s*{told}\s*$|{told}\s*(?=[-+]?\d)"
    return f"t[{column!r}].str.replace({around!r}, '', regex=True)"


def _unit(texts: pd.Series[Any]) -> str:
    """What stands behind each number, or the currency before it; empty where that differs.

    Empty, too, where a few cells alone say something, or all say the same: that is a remark.
    """
    told = known_cells(texts)
    numbers = told.str.extract(_WITH_UNIT).dropna()
    units = numbers.drop_duplicates()
    if len(units) != 1 or len(numbers) < NEARLY * len(told):
        return ""
    if 2 * len(told) < len(texts) or told.nunique() == 1:
        return ""
    before, behind = units.iloc[0]
    return "" if (before and behind) or _SIGNS.search(behind) else str(before or behind)


def _ungrouped(texts: pd.Series[Any]) -> NDArray[np.float64]:
    """The numbers, commas between thousands or none."""
    grouped = texts.str.fullmatch(GROUPED.pattern)
    return _numbers(texts.where(~grouped, texts.str.replace(",", "")))


def _numbers(texts: pd.Series[Any]) -> NDArray[np.float64]:
    import pandas as pd

    return pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)


def _kind(number: float) -> str:
    return "infinite" if np.isinf(number) else "no number"
