"""Parquet files: read by being written as a CSV, so that they are judged as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmark.data.rows import TIME_COLUMN
from benchmark.errors import UserError

PARQUET = (".parquet", ".pq")


@contextmanager
def as_csv(path: Path) -> Iterator[Path]:
    """Hand over a CSV for any file: itself, or what a Parquet file holds, written as one.

    Raises:
        UserError: there is no such file, it is no Parquet file, or pyarrow is not installed.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise UserError(str(path), what, "name a CSV or Parquet file")
    if path.suffix.lower() not in PARQUET:
        yield path
        return
    with TemporaryDirectory() as folder:
        csv = Path(folder) / f"{path.stem}.csv"
        indexed = _convert(path, csv)
        try:
            yield csv
        except UserError as error:
            raise error.retold(lambda fault: _of_parquet(fault, csv, path, indexed)) from None


def _of_parquet(fault: UserError, csv: Path, path: Path, indexed: bool) -> UserError:
    """Tell a fault of the CSV that was written of the Parquet file that it was made from."""
    cure = fault.cure
    if str(csv) in cure:  # a line of pandas that reads what is gone by then
        new = str(path.with_name(f"{path.stem}_text.csv"))
        cure = "write it as CSV with pandas, and add that to be told how to mend it: "
        cure += f"pd.read_parquet({str(path)!r}).to_csv({new!r}, index={indexed})"
    return UserError(fault.where.replace(str(csv), str(path)), fault.what, cure)


def _convert(path: Path, csv: Path) -> bool:
    """Write a Parquet file as CSV; return whether its index is a column there."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        what = "needs pyarrow to be read, which is not installed"
        raise UserError(str(path), what, "pip install pyarrow, or write the data as CSV") from None
    try:
        frame = parquet.read_table(path).to_pandas()
    except (arrow.ArrowException, OSError, ValueError) as error:
        what = f"cannot be read as Parquet ({str(error).splitlines()[0]:.100})"
        raise UserError(str(path), what, "write it anew, or as CSV") from None
    # Times are often the index, and without a name.
    if frame.index.nlevels == 1 and frame.index.dtype.kind == "M" and frame.index.name is None:
        frame.index.name = TIME_COLUMN
    indexed = any(name is not None for name in frame.index.names)
    if indexed:
        frame = frame.reset_index()
    for column in frame.columns:
        if frame[column].dtype == np.float32:  # its shortest digits would be another float64
            frame[column] = frame[column].astype(np.float64)
    frame.to_csv(csv, index=False)
    return indexed
