"""DataFrames and Parquet files: read by being written as a CSV, so that they are judged as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.card import PARQUET, DatasetCard
from benchmark.data.rewrite import Rewriting, assigned, mend_command
from benchmark.data.rows import TIME_COLUMN
from benchmark.errors import UserError, retelling

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def frame_as_csv(frame: pd.DataFrame, card: DatasetCard) -> Iterator[Path]:
    """Hand over a DataFrame as a CSV, its times among its columns or its index.

    Args:
        frame: the DataFrame.
        card: of the data set that it is to be read as: its months may be known by their last days.

    Raises:
        UserError: what is raised while the CSV is in use, as said of the DataFrame.
    """
    with TemporaryDirectory() as folder:
        csv = Path(folder) / "frame.csv"
        _write(frame, csv, "the DataFrame", last_days=card.step.unit == "ME", flags=True)
        with retelling(lambda fault: _of_frame(fault, csv)):
            yield csv


def _of_frame(fault: UserError, csv: Path) -> UserError:
    """Tell a fault of the CSV that was written of the DataFrame: a cure may name what is gone."""
    cure = fault.cure
    if isinstance(cure, Rewriting):
        cure = cure.deed
    elif str(csv) in cure:
        cure = cure.partition(" with pandas")[0]
    return UserError(fault.where.replace(str(csv), "the DataFrame as CSV"), fault.what, cure)


def _check_names(frame: pd.DataFrame, where: str) -> None:
    """Refuse a name that two columns have, or the index and a column."""
    names = [str(name) for name in frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(where, f"has several columns {twice!r}", "rename all but one")
    index = (str(name) for name in frame.index.names if name is not None)
    both = next((name for name in index if name in names), None)
    if both is not None:
        what = f"has {both!r} as its index and as a column"
        raise UserError(where, what, "drop the one: .reset_index(drop=True)")


@contextmanager
def as_csv(path: Path) -> Iterator[Path]:
    """Hand over a CSV for any file: itself, or what a Parquet file holds, written as one.

    Raises:
        UserError: there is no such file, it is no Parquet file, or pyarrow is not installed; or
            what is raised while the CSV is in use, as said of the file itself.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise UserError(str(path), what, "name a CSV or Parquet file")
    if path.suffix.lower() not in PARQUET:
        yield path
        return
    with TemporaryDirectory() as folder:
        csv = Path(folder) / f"{path.stem}.csv"
        made = _convert(path, csv)
        with retelling(lambda fault: _of_parquet(fault, csv, path, made)):
            yield csv


def _of_parquet(fault: UserError, csv: Path, path: Path, made: str) -> UserError:
    """Tell a fault of the CSV that was written of the Parquet file that it was made from."""
    cure = fault.cure
    if isinstance(cure, Rewriting):
        cure = f"{cure.deed}: {mend_command(path)}"
    elif str(csv) in cure:  # a line of pandas that reads what is gone by then
        new = str(path.with_name(f"{path.stem}_text.csv"))
        cure = "write it as CSV with pandas, and add that to be told how to mend it: "
        cure += f"{made}.to_csv({new!r}, index=False)"
    return UserError(fault.where.replace(str(csv), str(path)), fault.what, cure)


def _convert(path: Path, csv: Path) -> str:
    """Write a Parquet file as CSV; return the pandas that makes the same table of it."""
    import pandas as pd

    try:
        import pyarrow as arrow
    except ModuleNotFoundError:
        what = "needs pyarrow to be read, which is not installed"
        raise UserError(str(path), what, "pip install pyarrow, or write the data as CSV") from None
    try:  # by pandas: to pyarrow alone an index of periods is one of integers
        frame = pd.read_parquet(path, engine="pyarrow")
    except (arrow.ArrowException, OSError, ValueError) as error:
        what = f"cannot be read as Parquet ({str(error).splitlines()[0]:.100})"
        raise UserError(str(path), what, "write it anew, or as CSV") from None
    return f"pd.read_parquet({str(path)!r})" + _write(frame, csv, str(path))


def _write(
    frame: pd.DataFrame, csv: Path, where: str, last_days: bool = False, flags: bool = False
) -> str:
    """Write a DataFrame as CSV; return the pandas that is to be added to it to do the same.

    Args:
        frame: the DataFrame.
        csv: where to.
        where: what to call it in an error.
        last_days: whether a period's last day stands for it, instead of its start.
        flags: whether what is true or false is 1 or 0, as it is to numpy, instead of a text.
    """
    import pandas as pd

    made, frame = "", frame.copy(deep=False)
    index = frame.index  # times are often the index, and without a name
    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex) and index.name is None:
        frame.index.name = TIME_COLUMN
        made += f".rename_axis({TIME_COLUMN!r})"
    _check_names(frame, where)
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
        made += ".reset_index()"
    for column in frame.columns:
        kind = frame[column].dtype
        if isinstance(kind, pd.PeriodDtype):  # a week's text would be its first and last day
            periods = frame[column].dt
            frame[column] = periods.end_time.dt.normalize() if last_days else periods.start_time
            made += assigned(column, f"t[{column!r}].dt.start_time")
        elif flags and kind.kind == "b":
            frame[column] = frame[column].astype("Int8")
        elif pd.api.types.is_float_dtype(kind):  # a narrow one's digits are another float64's
            plain = isinstance(kind, np.dtype)
            frame[column] = frame[column].astype("float64" if plain else "Float64")
    frame.to_csv(csv, index=False)
    return made
