"""The line of pandas that makes of a user's file one that can be read, under another name.

It is told with the fault, and `benchmark.data.adoption.mend` carries it out.
"""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data.files import is_zipped
from benchmark.files import exact_floats

if TYPE_CHECKING:
    import pandas as pd


class Rewriting(str):
    """A cure that needs no decision: as a text it tells the command and the line that do it.

    A text that is made of it, to say more, is none: what stands there has to be read first.

    Attributes:
        deed: what is done.
        change: to the table, once it is read, e.g. ``.dropna()``.
        options: of `pandas.read_csv`.
        by_hand: the text where a person has to decide, and no command does.
    """

    deed: str
    change: str
    options: dict[str, Any]
    by_hand: str

    @property
    def shown(self) -> str:
        """What is done, in few words and in pandas."""
        read = ", ".join(["...", *(f"{name}={value!r}" for name, value in self.options.items())])
        return f"{self.deed}: pd.read_csv({read}){self.change}"

    def table(self, path: Path) -> pd.DataFrame:
        """Do with a file what the line does, short of writing it.

        Raises:
            Warning: rows have more cells than there are names, which would be lost.
        """
        import pandas as pd

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # times of no one form are read one by one
            warnings.simplefilter("error", pd.errors.ParserWarning)  # more cells than columns
            names = {"pd": pd, "table": pd.read_csv(path, **_exactly(self.options))}
            changed: pd.DataFrame = eval(f"table{self.change}", names)
        return changed


def rewritten(path: Path, deed: str = "mend it", change: str = "", **options: Any) -> Rewriting:
    """Say how to write a file anew: the user's own stays as it is.

    Args:
        path: the file.
        deed: what that does.
        change: what is done to the table once it is read, e.g. ``.dropna()``. It is run as it
            stands: what is taken from the file stands in it as `repr` writes it.
        options: of `pandas.read_csv`.
    """
    new = cleaned(path)
    told = [f"{name}={value!r}" for name, value in _exactly(options).items()]
    read = ", ".join([repr(str(path)), *told])
    line = f"pd.read_csv({read}){change}.to_csv({str(new)!r}, index=False)"
    made = Rewriting(f"{deed}: {mend_command(path)}; or with pandas: {line}")
    made.deed, made.change, made.options = deed, change, options
    made.by_hand = f"{deed} with pandas, then use {new.name} instead: {line}"
    return made


def _exactly(options: dict[str, Any]) -> dict[str, Any]:
    """Add to options of `pandas.read_csv` those by which it takes a cell for nothing else.

    Left to itself it takes the first column for names of the rows, where a separator stands behind
    every row; a text, as NA for Namibia, for a missing value; and in one part of a large file the
    label 007 for the number 7, in another, which has the label A01 as well, for a text.
    """
    always = {"index_col": False, "low_memory": False}
    texts = {"keep_default_na": False, "na_values": [""]} if options.get("dtype") == "str" else {}
    return options | always | texts | exact_floats()


def mend_command(path: Path) -> str:
    """The command that carries all rewritings of a file out."""
    return shlex.join(["benchmark", "datasets", "mend", str(path)])


def cleaned(path: Path) -> Path:
    """Where a mended copy of a file goes: beside it."""
    return path.with_name(f"{stem(path)}_clean.csv")


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
