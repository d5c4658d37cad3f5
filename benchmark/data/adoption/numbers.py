"""Whether a column of texts is one of numbers; or nearly so, which is the file's fault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.faults import MISSING_CELLS
from benchmark.data.rewrite import rewritten
from benchmark.data.times import FIRST_LINE
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

NEARLY = 0.9
"""Share of a column's cells that are numbers, from which on the others are mistakes in it."""

_THOUSANDS = r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"
_EITHER = r"[-+]?[1-9]\d{0,2},\d{3}"
_DECIMAL = r"[-+]?\d+(?:,\d+)?"


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
        return "counts the rows"
    return ""


def number_fault(path: Path, column: str, texts: pd.Series[Any]) -> UserError | None:
    """Describe a column that is one of numbers but for their commas, or but for a few cells.

    A column that is left out without a word would be missed by nobody but its owner.

    Args:
        path: the file.
        column: its column's name.
        texts: the column's cells.
    """
    cells, texts = texts, texts.str.strip()
    texts = texts[~texts.isin(MISSING_CELLS)]
    grouped = texts.str.fullmatch(_THOUSANDS).to_numpy(dtype=bool)
    numbers = _numbers(texts.where(~grouped, texts.str.replace(",", "")))
    wrong: NDArray[np.bool_] = ~np.isfinite(numbers)
    if not wrong.any() and grouped.any():
        at, kind = grouped, "has commas between its thousands"
        cure: str = (line := rewritten(path, thousands=","))
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
        if wrong.sum() > 1 and len({mark.strip() for mark in marks}) == 1:
            cure = rewritten(path, "have them missing", na_values=list(marks))
    else:
        return None
    place = int(at.argmax())
    where = f"{path}: line {int(texts.index[place]) + FIRST_LINE}, column '{column}'"
    return UserError(where, f"{texts.iloc[place]!r:.40} {kind}", cure)


def _numbers(texts: pd.Series[Any]) -> NDArray[np.float64]:
    import pandas as pd

    return pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)


def _kind(number: float) -> str:
    return "infinite" if np.isinf(number) else "no number"
