"""From a data file to a checked table: what a series may not have is found here, once.

The file is read by pandas, some rows at a time. Only where that fails, or something in it cannot be
right, `faults` walks through the lines to name the first one at fault.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.card import DatasetCard
from benchmark.data.faults import find_fault
from benchmark.data.files import REPLACE_FILE, opened_text
from benchmark.data.header import read_columns
from benchmark.data.marks import MISSING_CELLS
from benchmark.data.missing import add_absent_rows
from benchmark.data.table import Table
from benchmark.data.times import FIRST_LINE, Times, check_steps, counted_times, read_times
from benchmark.errors import UserError
from benchmark.files import exact_floats

if TYPE_CHECKING:
    import pandas as pd

_PADDED = 24
"""Characters up to which a cell that stands for a missing value may be filled with blanks."""

AT_ONCE = 1 << 22
"""Cells of a file that are read at once; their texts take some 200 MB."""


def parse(card: DatasetCard, path: Path) -> Table:
    """Read a data file and check everything that a card says of it, but the splits.

    Raises:
        UserError: the file is not what the card says; names line, column and value.
    """
    columns = read_columns(card, path)
    channels = card.channels
    if isinstance(channels, int):
        others = (card.time_column, *card.left_out)
        channels = tuple(column for column in columns if column not in others)
    parts: list[NDArray[np.float64]] = []
    times: list[Times] = []
    rows, is_walked = 0, False
    for frame in filter(len, _frames(card, path, columns)):  # pandas makes one of no rows, too
        parts.append(frame[list(channels)].to_numpy(dtype=np.float64))
        is_walked = _check_values(card, path, columns, parts[-1], is_walked)
        if card.time_column is not None:
            times.append(read_times(path, frame[card.time_column], FIRST_LINE + rows))
        rows += len(frame)
    if not rows:
        raise UserError(str(path), "holds no rows", REPLACE_FILE)
    values = _joined(parts, rows, len(channels))
    if card.time_column is None:
        timestamps = counted_times(card, rows)
    else:
        timestamps = np.concatenate(times)
        if card.missing == "error":
            check_steps(card, path, timestamps)
        else:
            timestamps, values = add_absent_rows(card, path, timestamps, values)
    timestamps.flags.writeable = values.flags.writeable = False
    return Table(timestamps, values, channels)


def _joined(parts: list[NDArray[np.float64]], rows: int, channels: int) -> NDArray[np.float64]:
    """Put parts below one another, and let each go as it is copied."""
    values = np.empty((rows, channels))
    for part in reversed(range(len(parts))):
        values[rows - len(parts[part]) : rows] = parts[part]
        rows -= len(parts.pop())
    return values


def _frames(card: DatasetCard, path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    """Read the rows of a file, some at a time: all of them as texts would fill the memory."""
    import pandas as pd

    options: dict[str, Any] = exact_floats()
    if card.missing != "error":  # a blank cell is an empty one, blanks beside NA are none of it
        options["skipinitialspace"] = True
        options["na_values"] = [cell.ljust(n) for cell in MISSING_CELLS for n in range(_PADDED + 1)]
    kinds: dict[str, Any] = {
        column: str if column in (card.time_column, *card.left_out) else "float64"
        for column in columns
    }
    try:
        with opened_text(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # more cells than columns
            yield from pd.read_csv(
                stream,
                names=columns,
                header=0 if card.header else None,
                index_col=False,
                dtype=kinds,
                encoding=card.codec,
                skip_blank_lines=False,
                chunksize=max(1, AT_ONCE // len(columns)),
                **options,
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        what = f"cannot be read as CSV: {str(error).strip()}"
        fault = find_fault(card, path, columns) or UserError(str(path), what, REPLACE_FILE)
        raise fault from None


def _check_values(
    card: DatasetCard,
    path: Path,
    columns: list[str],
    values: NDArray[np.float64],
    is_walked: bool,
) -> bool:
    """Check some rows' values; return whether all lines of the file have been walked through."""
    finite = np.isfinite(values)
    sound = finite if card.missing == "error" else finite | np.isnan(values)
    # pandas reads a column of the words true and false as 1 and 0, so such a column is looked at
    two_valued = ((values == 0) | (values == 1)).all(axis=0)
    if finite.all() and not two_valued.any():
        return is_walked
    fault = None if is_walked else find_fault(card, path, columns)
    if fault is None and not sound.all():
        fault = UserError(str(path), "has a cell that pandas reads as no number", REPLACE_FILE)
    if fault is not None:
        raise fault
    return True
