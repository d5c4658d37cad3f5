"""From a data file to a checked table: what a series may not have is found here, once.

The file is read in one go by pandas. Only where that fails, or something in it cannot be right,
`faults` walks through the lines to name the first one at fault.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.data.card import DatasetCard
from benchmark.data.faults import find_fault
from benchmark.data.files import REPLACE_FILE, opened_text
from benchmark.data.header import codec, read_columns
from benchmark.data.missing import add_absent_rows
from benchmark.data.table import Table
from benchmark.data.times import check_steps, counted_times, read_times
from benchmark.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def parse(card: DatasetCard, path: Path) -> Table:
    """Read a data file and check everything that a card says of it, but the splits.

    Raises:
        UserError: the file is not what the card says; names line, column and value.
    """
    columns = read_columns(card, path)
    frame = _read(card, path, columns)
    channels = card.channels
    if isinstance(channels, int):
        others = (card.time_column, *card.left_out)
        channels = tuple(column for column in columns if column not in others)
    values = np.ascontiguousarray(frame[list(channels)].to_numpy(dtype=np.float64))
    _check_values(card, path, columns, values)
    if card.time_column is None:
        timestamps = counted_times(card, len(frame))
    else:
        timestamps = read_times(card, path, frame[card.time_column])
        if card.missing == "error":
            check_steps(card, path, timestamps)
        else:
            timestamps, values = add_absent_rows(card, path, timestamps, values)
    timestamps.flags.writeable = values.flags.writeable = False
    return Table(timestamps, values, channels)


def _read(card: DatasetCard, path: Path, columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    options: dict[str, Any] = {}
    if tuple(int(part) for part in pd.__version__.split(".")[:2]) < (3, 1):
        options["float_precision"] = "round_trip"  # later versions are exact and refuse the word
    kinds: dict[str, Any] = {
        column: str if column in (card.time_column, *card.left_out) else "float64"
        for column in columns
    }
    try:
        with opened_text(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # more cells than columns
            frame: pd.DataFrame = pd.read_csv(
                stream,
                names=columns,
                header=0 if card.header else None,
                index_col=False,
                dtype=kinds,
                encoding=codec(card),
                skip_blank_lines=False,
                skipinitialspace=card.missing != "error",  # a blank cell is an empty one
                **options,
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        fault = find_fault(card, path, columns)
        if fault is None:
            what = f"cannot be read as CSV: {str(error).strip()}"
            raise UserError(str(path), what, REPLACE_FILE) from None
        raise fault from None
    if frame.empty:
        raise UserError(str(path), "holds no rows", REPLACE_FILE)
    return frame


def _check_values(
    card: DatasetCard, path: Path, columns: list[str], values: NDArray[np.float64]
) -> None:
    finite = np.isfinite(values)
    sound = finite if card.missing == "error" else finite | np.isnan(values)
    # pandas reads a column of the words true and false as 1 and 0, so such a column is looked at
    two_valued = ((values == 0) | (values == 1)).all(axis=0)
    if finite.all() and not two_valued.any():
        return
    fault = find_fault(card, path, columns)
    if fault is None and not sound.all():
        fault = UserError(str(path), "has a cell that pandas reads as no number", REPLACE_FILE)
    if fault is not None:
        raise fault
