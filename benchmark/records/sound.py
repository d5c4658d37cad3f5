r"""Results files of which one look says that they are sound, read by pandas in half the time.

One regular expression, made of the columns that the first line names, fits every row where each
cell is plainly what its column says: then nothing is left to guess, and pandas reads it. What
does not fit is not yet wrong (a line may end with ``\r\n``): `benchmark.records.table` reads it
cell by cell, and tells the faults.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.files import exact_floats
from benchmark.records import csv_rows

if TYPE_CHECKING:
    from pandas import DataFrame, Series

WHOLE = r"-?[0-9]{1,18}"
NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"

_NAME = re.compile(r"[a-z0-9_]+")
_NO_TEXT = r"\r\n\0\ud800-\udfff"
_CELL = {
    int: WHOLE,
    float: rf"(?=[^,\n]{{1,40}}(?:[,\n]|\Z)){NUMBER}",
    str: rf'(?!,|\n|\Z|""(?!"))(?:"(?:[^"{_NO_TEXT}]|"")*"|[^",{_NO_TEXT}]*)',
}
"""A cell that is not empty; numbers are no longer than ``repr`` writes them, and some."""


def whole_text(path: Path) -> str | None:
    """Return the text of a file; None where it is too large, or there is anything amiss."""
    try:
        if not path.is_file() or path.stat().st_size > csv_rows.MAX_CHARACTERS:
            return None
        with open(path, encoding="utf-8-sig", newline="") as stream:
            return stream.read(csv_rows.MAX_CHARACTERS)
    except (OSError, UnicodeDecodeError):
        return None


def read_sound(
    text: str, kinds: Mapping[str, type], required: Sequence[str], may_be_empty: frozenset[str]
) -> DataFrame | None:
    """Read the text of a CSV file, if it is plainly sound.

    Args:
        text: all of it.
        kinds: str, int or float for each column that is known; any other is of texts.
        required: columns that must be there.
        may_be_empty: those of them whose cells may be empty, as those of any other column may.

    Returns:
        The columns in the file's order, of the types that `benchmark.records.table` gives them;
        None where only a closer look can tell.
    """
    import numpy as np

    first = text[: max(text.find("\n"), 0)]
    names = first.split(",")
    plain = all(map(_NAME.fullmatch, names)) and len(set(names)) == len(names)
    if not plain or not set(required) <= set(names) or _is_large(text, names):
        return None
    filled = set(required) - may_be_empty
    column = {name: kinds.get(name, str) for name in names}
    cells = (
        _CELL[kind] if name in filled else f"(?:{_CELL[kind]})?" for name, kind in column.items()
    )
    if not _all_fit(re.compile(rf"\n{','.join(cells)}"), text, len(first)):
        return None
    types = {
        name: "float64" if kind is float else "int64" if kind is int and name in filled else "str"
        for name, kind in column.items()
    }
    frame = _parsed(text, types)
    if np.isinf(frame.select_dtypes("float64").to_numpy()).any():
        return None
    optional = [name for name, kind in column.items() if kind is int and name not in filled]
    return frame.assign(**{name: _whole_or_empty(frame[name]) for name in optional})


def _all_fit(row: re.Pattern[str], text: str, start: int) -> bool:
    """Whether from `start` on there are rows and nothing else.

    One at a time, so that none is gone back to. A possessive pattern of them all would say the
    same, but not in the Python 3.11.2 of Debian 12 (CPython issue 106052, mended in 3.11.5).
    """
    stop = len(text) - text.endswith("\n")
    at = start
    while at < stop:
        found = row.match(text, at, stop)
        if found is None:
            return False
        at = found.end()
    return at > start


def _is_large(text: str, names: Sequence[str]) -> bool:
    return (
        len(names) > csv_rows.MAX_COLUMNS
        or len(text) > csv_rows.MAX_CHARACTERS
        or text.count("\n") > csv_rows.MAX_ROWS
        or max(map(len, text.split("\n"))) >= csv_rows.MAX_ROW
    )


def _whole_or_empty(texts: Series) -> Series:
    empty = texts == ""
    return texts.mask(empty, "0").astype("int64").astype("Int64").mask(empty)


def _parsed(text: str, types: Mapping[str, str]) -> DataFrame:
    import pandas as pd

    options: dict[str, Any] = exact_floats()
    frame: DataFrame = pd.read_csv(
        io.BytesIO(text.encode()),
        index_col=False,
        dtype=dict(types),
        keep_default_na=False,
        na_values={name: [""] for name, kind in types.items() if kind == "float64"},
        low_memory=False,
        **options,
    )
    return frame
