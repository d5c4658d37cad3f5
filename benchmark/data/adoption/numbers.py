"""Whether a column of texts is one of numbers; or nearly so, which is the file's fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.marks import GROUPED, MISSING_CELLS, kept_as_texts, unmarked
from benchmark.data.rewrite import Rewriting, assigned, rewritten
from benchmark.data.times import FIRST_LINE
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

NEARLY = 0.9
"""Share of a column's cells that are numbers, from which on the others are mistakes in it."""

COUNTS = "counts the rows"
FEW = 10
"""Steps up to which numbers may be evenly spaced by chance."""
WRITTEN = 1e-3
"""Share of a step that a count may be off by, as it is written with few digits."""

_EITHER = r"[-+]?[1-9]\d{0,2},\d{3}"
_WITH_UNIT = r"^[-+]?([$€£¥]?)\s*[-+]?\d[\d.,]*\s*([^\d.,]*)$"
_DECIMAL = r"[-+]?\d+(?:,\d+)?"
_LIKE_NUMBER = r"[-+.,\s\d]*\d[-+.,\s\d]*"
_SIGNS = "-", "+"
"""Some programs write them behind a number, which would be another one without."""


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


def texts_fault(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> UserError | None:
    """Describe columns of numbers that are written otherwise, or nearly so; None where none is.

    A column that is left out without a word would be missed by nobody but its owner.

    Args:
        path: the file.
        frame: its cells.
        columns: those that are not of numbers alone.
    """
    fault = _style_fault(path, frame, columns) or _unit_fault(path, frame, columns)
    if fault:
        return fault
    faults = _number_faults(path, frame, columns)
    return UserError.join(faults) if faults else None


@dataclass(frozen=True)
class _Style:
    """A way to write numbers that pandas knows no option for.

    Attributes:
        what: of a cell so written.
        sign: a pattern of such a cell, which no other number is like.
        like: of all numbers of such a column.
        plain: of a column and the table `t`, the expression that writes its numbers otherwise.
    """

    what: str
    sign: str
    like: str
    plain: Callable[[str], str]


def _beside(number: str) -> str:
    return rf"[-+(]?\s*[$€£¥]?\s*[-+]?{number}[^\d.,]*"


def _replaced(pattern: str, by: str) -> Callable[[str], str]:
    return lambda column: f"t[{column!r}].str.replace({pattern!r}, {by!r}, regex=True)"


_ANY = _beside(r"\d[\d.,]*")
_STYLES = (
    _Style(
        "has other marks between its thousands than commas",
        _beside(r"[1-9]\d{0,2}([\s'\u2019]\d{3})+([.,]\d+)?"),
        _beside(r"(\d+|[1-9]\d{0,2}([\s'\u2019]\d{3})+)([.,]\d+)?"),
        _replaced(r"(?<=\d)[\s'\u2019](?=\d{3})", ""),
    ),
    _Style("has its sign behind it", r"\d[\d.,]*\s*-", _ANY, _replaced(r"^(.*\d)\s*-$", r"-\1")),
    _Style(
        "is in brackets, as accounts write what is negative",
        r"\(\s*\d[\d.,]*\s*\)",
        _ANY,
        _replaced(r"^\(\s*(.*\d)\s*\)$", r"-\1"),
    ),
    _Style(
        "has points between its thousands",
        _beside(r"[1-9]\d{0,2}(\.\d{3})+,\d+"),
        _beside(r"(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"),
        lambda column: unmarked(column, ",", "."),
    ),
    _Style(
        "has a decimal comma",
        _beside(r"\d+,(\d{1,2}|\d{4,})"),
        _beside(r"\d+(,\d+)?"),
        lambda column: unmarked(column, ","),
    ),
)


def _style_fault(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> UserError | None:
    """Describe columns of numbers in one of `_STYLES`; None where there is none.

    A few cells may be no numbers: what they are is asked once the others can be read.
    """
    cells = {column: frame[column].str.strip() for column in columns}
    for style in _STYLES:
        found = {c: row for c, texts in cells.items() if (row := _first_in(style, texts)) >= 0}
        if found:
            change = "".join(assigned(column, style.plain(column)) for column in found)
            column, row = next(iter(found.items()))
            where = f"{path}: line {row + FIRST_LINE}, column '{column}'"
            others = [repr(each) for each in found if each != column]
            also = f"; so have cells of {' and '.join(others)}" if others else ""
            what = f"{frame[column].iloc[row]!r:.40} {style.what}{also}"
            return UserError(where, what, rewritten(path, change=change, dtype="str"))
    return None


def _first_in(style: _Style, texts: pd.Series[Any]) -> int:
    """Row of the first cell in a style, where nearly all are and the rest is no number; else -1."""

    def are(pattern: str) -> NDArray[np.bool_]:
        return texts.str.fullmatch(pattern).to_numpy(dtype=bool)

    styled, alike = are(style.sign), are(style.like)
    others = ~alike & ~texts.isin(MISSING_CELLS).to_numpy(dtype=bool)
    if (are(_DECIMAL) | ~(alike | others)).all():
        return -1  # pandas has an option for these: `_number_faults` tells it
    few = others.sum() <= (1 - NEARLY) * (others | alike).sum()
    sure = styled.any() and few and not are(_LIKE_NUMBER)[others].any()
    return int(styled.argmax()) if sure else -1


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
    marked = [column for column in columns if frame[column].str.contains(",", regex=False).any()]
    kept = kept_as_texts(((column, frame[column]) for column in marked), thousands=",")
    options: dict[str, Any] = {"thousands": ","} | ({"dtype": kept} if kept else {})
    grouped = rewritten(path, **options)
    faults = (_number_fault(path, column, frame[column], grouped) for column in columns)
    return list(filter(None, faults))


def _number_fault(
    path: Path, column: str, texts: pd.Series[Any], line: Rewriting
) -> UserError | None:
    cells, texts = texts, texts.str.strip()
    texts = texts[~texts.isin(MISSING_CELLS)]
    grouped = texts.str.fullmatch(GROUPED.pattern).to_numpy(dtype=bool)
    numbers = _numbers(texts.where(~grouped, texts.str.replace(",", "")))
    wrong: NDArray[np.bool_] = ~np.isfinite(numbers)
    if not wrong.any() and grouped.any():
        at, kind = grouped, "has commas between its thousands"
        cure: str = line
        if texts.str.fullmatch(_EITHER).all():
            kind = "has a comma between its thousands, or a decimal one"
            cure = f"{line.by_hand}; put decimal=',' for thousands=',' if it is decimal"
    elif wrong.any() and texts.str.fullmatch(_DECIMAL).all():
        at, kind = wrong, "has a decimal comma"
        cure = rewritten(path, decimal=",")
    elif 0 < wrong.sum() <= (1 - NEARLY) * len(texts):
        at, sound = wrong, len(texts) - int(wrong.sum())
        kind = f"is {_kind(numbers[wrong][0])}, unlike {sound:,} of the column's {len(texts):,}"
        cure = "empty the cell to have it missing, or remove the column"
        marks = cells[texts.index[wrong]].unique()
        alike = len({mark.strip() for mark in marks}) == 1
        if wrong.sum() > 1 and alike and not any(map(str.isdigit, marks[0])):
            cure = rewritten(path, "have them missing", na_values=list(marks))
    else:
        return None
    place = int(at.argmax())
    where = f"{path}: line {int(texts.index[place]) + FIRST_LINE}, column '{column}'"
    return UserError(where, f"{texts.iloc[place]!r:.40} {kind}", cure)


def _unit_fault(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> UserError | None:
    """Describe columns of numbers with a unit in each cell; None where there is none."""
    units = {column: unit for column in columns if (unit := _unit(frame[column].str.strip()))}
    if not units:
        return None
    plain = {c: f"t[{c!r}].str.replace({unit!r}, '').str.strip()" for c, unit in units.items()}
    cure = rewritten(path, "take it off", "".join(assigned(c, each) for c, each in plain.items()))
    column, unit = next(iter(units.items()))
    row = int((~frame[column].str.strip().isin(MISSING_CELLS)).to_numpy().argmax())
    where = f"{path}: line {row + FIRST_LINE}, column '{column}'"
    others = [repr(each) for each in units if each != column]
    also = f"; so has {' and '.join(others)}" if others else ""
    what = f"{frame[column].iloc[row]!r:.40} has a unit, {unit!r}, as all its numbers have{also}"
    return UserError(where, what, cure)


def _unit(texts: pd.Series[Any]) -> str:
    """What stands behind each number, or the currency before it; empty where that differs.

    Empty, too, where a few cells alone say something, or all say the same: that is a remark.
    """
    told = texts[~texts.isin(MISSING_CELLS)]
    numbers = told.str.extract(_WITH_UNIT).dropna()
    units = numbers.drop_duplicates()
    if len(units) != 1 or len(numbers) < NEARLY * len(told):
        return ""
    if 2 * len(told) < len(texts) or told.nunique() == 1:
        return ""
    before, behind = units.iloc[0]
    return "" if (before and behind) or behind in _SIGNS else str(before or behind)


def _numbers(texts: pd.Series[Any]) -> NDArray[np.float64]:
    import pandas as pd

    return pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)


def _kind(number: float) -> str:
    return "infinite" if np.isinf(number) else "no number"
