"""A Parquet file is added like a CSV, and its faults are told of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from users_table import table

from benchmark.data.adoption.adopt import adopt, propose
from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.data.parquet import as_csv
from benchmark.errors import UserError

PARQUETS = {
    "a column of times": lambda frame: frame,
    "times as the index": lambda frame: frame.set_index("date"),
    "times as an index without a name": lambda frame: frame.set_index(
        pd.DatetimeIndex(frame["date"], name=None)
    ).drop(columns="date"),
    "an index that is no column": lambda frame: frame.set_index(frame.index + 7),
    "float32 and integers": lambda frame: frame.assign(
        load=frame["load"].astype("float32"), heat=(100 * frame["heat"]).astype(int)
    ),
    "gaps": lambda frame: frame.assign(heat=frame["heat"].where(frame.index != 7)),
}


@pytest.mark.parametrize("kind", PARQUETS)
def test_a_parquet_file_becomes_the_same_series(kind: str, folder: Path, user: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = PARQUETS[kind](table())
    path = user / "my.parquet"
    frame.to_parquet(path)
    with as_csv(path) as csv:
        adopt(propose(csv))
    values = load(load_card("my")).values
    np.testing.assert_array_equal(values, frame[["load", "heat"]].to_numpy(dtype=np.float64))
    with as_csv(path) as csv:
        assert adopt(propose(csv)) == "unchanged"


def test_what_is_wrong_with_a_parquet_file_is_said_of_it(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    path = user / "my.parquet"
    path.write_bytes(b"no parquet at all")
    with (
        pytest.raises(UserError, match=r"user/my\.parquet: cannot be read as Parquet"),
        as_csv(path),
    ):
        pass
    table().assign(date="soon").to_parquet(path)
    with pytest.raises(UserError, match=r"user/my\.parquet: line 2, .*'soon'"), as_csv(path) as csv:
        propose(csv)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow to be read, .*; pip ins"), as_csv(path):
        pass


def test_all_faults_of_a_parquet_file_are_told_at_once(user: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = table().astype({"load": str, "heat": str})
    frame.loc[[3, 5], ["load", "heat"]] = "?"
    frame.to_parquet(user / "my.parquet")
    with pytest.raises(UserError) as caught, as_csv(user / "my.parquet") as csv:
        propose(csv)
    told = str(caught.value).split("\n")
    for line, column in zip(told, ("load", "heat"), strict=True):
        assert line.startswith(f"{user}/my.parquet: line 5, column '{column}': '?' is no number")
