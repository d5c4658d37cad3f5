"""The line of pandas that makes of a user's file one that can be read, under another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.data.files import is_zipped
from benchmark.files import exact_floats


def rewritten(path: Path, deed: str = "mend it", change: str = "", **options: Any) -> str:
    """Say how to write a file anew: the user's own stays as it is.

    Args:
        path: the file.
        deed: what that does.
        change: what is done to the table once it is read, e.g. ``.dropna()``.
        options: of `pandas.read_csv`.
    """
    new = path.with_name(f"{stem(path)}_clean.csv")
    told = options | exact_floats()  # or the new file's numbers could differ in the last digit
    read = ", ".join([repr(str(path)), *(f"{name}={value!r}" for name, value in told.items())])
    line = f"pd.read_csv({read}){change}.to_csv({str(new)!r}, index=False)"
    return f"{deed} with pandas, then use {new.name} instead: {line}"


def assigned(column: str, expression: str) -> str:
    """A change of one column, by an expression of the table `t`."""
    return f".assign(**{{{column!r}: lambda t: {expression}}})"


def in_time_order(column: str) -> str:
    """A change of the rows' order; not as texts, or 2024/1/10 would stand before 2024/1/9."""
    key = "lambda times: pd.to_datetime(times, format='mixed')"
    return f".sort_values({column!r}, kind='stable', key={key})"


def stem(path: Path) -> str:
    """The name of a file without its ``.csv`` or ``.csv.gz``."""
    return Path(path.stem).stem if is_zipped(path) else path.stem
