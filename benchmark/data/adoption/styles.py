"""Styles of numbers that pandas knows no option for, each with what writes them plainly.

A style is seen in one column, and changes that column alone. Where another cell of it is a number
in some other style, or where what is seen may as well be something else, nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.marks import LIKE_NUMBER, MISSING_CELLS, Marks, beside
from benchmark.data.rewrite import assigned, rewritten
from benchmark.data.times import FIRST_LINE
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

NEARLY = 0.9
"""Share of a column's cells that are numbers, from which on the others are mistakes in it."""

DECIMAL_COMMAS = r"[-+]?\d+(?:,\d+)?"
"""A column of nothing else is read by an option of pandas."""

_NUMBER = r"\d(?:[\d.,]*\d)?"
_ANY = beside(r"\d[\d.,]*")
_MINUS = "\u2212"
_GAP = "[\\s'\u2019]"  # the character itself: not all that match for pandas know its escape
_BEFORE_GAPS = r"[-(]?\s*[$€£¥]?\s*-?"  # no plus: +49 172 464 280 is dialled
_NO_GRADE = r".*(\d{3}|[.,]\d).*"


@dataclass(frozen=True)
class _Style:
    """A way to write numbers.

    Attributes:
        what: of a cell so written.
        sign: a pattern of such a cell, which no other number is like.
        like: of all numbers of such a column.
        plain: of a column and the table `t`, the expression that writes its numbers otherwise.
        never: of a cell beside which the sign means something else.
        proof: what one of the cells must be like: a 2- may be a grade.
    """

    what: str
    sign: str
    like: str
    plain: Callable[[str], str]
    never: str = r"(?!)"
    proof: str = ""


def _replaced(pattern: str, by: str, behind: str = "") -> Callable[[str], str]:
    return lambda column: (
        f"t[{column!r}].str.strip().str.replace({pattern!r}, {by!r}, regex=True){behind}"
    )


_STYLES = (
    _Style(
        "has a minus sign as it is printed",
        rf"[$€£¥]?\s*{_MINUS}\s*{_NUMBER}[^\d.,]*",
        rf"({_MINUS}\s*)?{_ANY}",
        _replaced(_MINUS, "-"),
    ),
    _Style(
        "has other marks between its thousands than commas",
        rf"{_BEFORE_GAPS}[1-9]\d{{0,2}}({_GAP}\d{{3}})+([.,]\d+)?[^\d.,]*",
        rf"{_BEFORE_GAPS}(\d+|[1-9]\d{{0,2}}({_GAP}\d{{3}})+)([.,]\d+)?[^\d.,]*",
        _replaced(rf"(?<=\d){_GAP}(?=\d{{3}})", "", ".str.replace(',', '.')"),
    ),
    _Style(
        "has its sign behind it",
        rf"[$€£¥]?\s*{_NUMBER}\s*-\s*[^\d.,+-]*",
        _ANY,
        _replaced(r"^(\D*)(\d.*\d|\d)\s*-", r"-\1\2"),
        never=r"\D*[-+]\s*[$€£¥]?\s*\d.*|.*\d\s*\+.*",
        proof=_NO_GRADE,
    ),
    _Style(
        "is in brackets, as accounts write what is negative",
        r"\(\s*[$€£¥]?\s*(0|0[.,]\d+|[1-9](?:[\d.,]*\d)?)\s*\)[^\d.,]*",
        _ANY,
        _replaced(r"^\(\s*(.*\d)\s*\)", r"-\1"),
        never=r"\D*-.*|.*\d\s*-.*",
        proof=_NO_GRADE,
    ),
    _Style(
        "has points between its thousands",
        beside(r"[1-9]\d{0,2}((\.\d{3})+,\d+|(\.\d{3}){2})"),
        beside(r"(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?"),
        Marks(",", ".").removed,
    ),
    _Style(
        "has a decimal comma",
        beside(r"\d+,(\d{1,2}|\d{4,})"),
        beside(r"\d+(,\d+)?"),
        Marks(",").removed,
    ),
)


def style_fault(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> UserError | None:
    """Describe columns of numbers in one of `_STYLES`; None where there is none.

    A few cells may be no numbers: what they are is asked once the others can be read.

    Args:
        path: the file.
        frame: its cells.
        columns: those that are not of numbers alone.
    """
    cells = {column: frame[column].str.strip() for column in columns}
    for style in _STYLES:
        found = {c: row for c, texts in cells.items() if (row := _first_in(style, texts)) >= 0}
        if found:
            change = "".join(assigned(column, style.plain(column)) for column in found)
            cure = rewritten(path, change=change, dtype="str")
            return columns_fault(path, frame, found, style.what, "so have cells of", cure)
    return None


def columns_fault(
    path: Path, frame: pd.DataFrame, rows: Mapping[str, int], what: str, also: str, cure: str
) -> UserError:
    """Describe what is wrong with several columns by a cell of the first, and name the others.

    Args:
        path: the file.
        frame: its cells.
        rows: of each column, the row of a cell that shows it.
        what: is said of that cell.
        also: stands before the others' names.
        cure: of all of them.
    """
    column, row = next(iter(rows.items()))
    others = " and ".join(repr(each) for each in rows if each != column)
    where = f"{path}: line {row + FIRST_LINE}, column '{column}'"
    told = f"{frame[column].iloc[row]!r:.40} {what}" + (f"; {also} {others}" if others else "")
    return UserError(where, told, cure)


def _first_in(style: _Style, texts: pd.Series[Any]) -> int:
    """Row of the first cell in a style, where nearly all are and the rest is no number; else -1."""

    def are(pattern: str) -> NDArray[np.bool_]:
        return texts.str.fullmatch(pattern).to_numpy(dtype=bool)

    styled = are(style.sign)
    if not styled.any() or are(style.never).any() or not are(style.proof or ".*")[styled].any():
        return -1
    alike = are(style.like)
    others = ~alike & ~texts.isin(MISSING_CELLS).to_numpy(dtype=bool)
    if (are(DECIMAL_COMMAS) | ~(alike | others)).all():
        return -1
    few = others.sum() <= (1 - NEARLY) * (others | alike).sum()
    return int(styled.argmax()) if few and not are(LIKE_NUMBER)[others].any() else -1
