"""A Parquet file is added like a CSV, and its faults are told of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from users_table import table, written_anew

from benchmark.data.adoption.adopt import adopt, propose
from benchmark.data.adoption.mend import mend
from benchmark.data.card import load_card
from benchmark.data.frames import as_csv
from benchmark.data.load import load
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
    "float16 and Float32": lambda frame: frame.assign(
        load=frame["load"].astype("float16"), heat=frame["heat"].astype("Float32")
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


@pytest.mark.parametrize("name", ["date", None])
def test_an_index_that_is_a_column_too_is_told_of_a_parquet_file(
    name: str | None, user: Path
) -> None:
    pytest.importorskip("pyarrow")
    path = user / "my.parquet"
    table().set_index(pd.DatetimeIndex(table()["date"], name=name)).to_parquet(path)
    told = r"user/my\.parquet: has 'date' as its index and as a column; drop the one"
    with pytest.raises(UserError, match=told), as_csv(path):
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


PERIODS = {"W": "W", "W-WED": "W", "D": "D", "M": "MS", "Q": "3MS", "Y": "12MS", "h": "h"}


def of_periods(step: str, name: str | None) -> pd.DataFrame:
    periods = pd.period_range("1850-01-07", periods=200, freq=step, name=name)
    return table()[["load", "heat"]].set_index(periods)


@pytest.mark.parametrize("step", PERIODS)
@pytest.mark.parametrize("name", ["when", None])
@pytest.mark.parametrize("column", [False, True])
def test_periods_are_read_as_the_times_they_start_at(
    step: str, name: str | None, column: bool, user: Path
) -> None:
    pytest.importorskip("pyarrow")
    frame = of_periods(step, name)
    starts = pd.DatetimeIndex(frame.index.start_time).to_numpy()
    path = user / "my.parquet"
    (frame.rename_axis("when").reset_index() if column else frame).to_parquet(path)
    with as_csv(path) as csv:
        found = propose(csv).found
    assert found.card.time_column == ("when" if column else name or "date")
    assert found.card.frequency == PERIODS[step]
    np.testing.assert_array_equal(found.table.timestamps, starts)
    np.testing.assert_array_equal(found.table.values, frame.to_numpy())


def test_an_index_of_weeks_is_none_of_years_where_no_parquet_was_written_before(
    user: Path,
) -> None:
    pytest.importorskip("pyarrow")
    path = user / "my.parquet"
    of_periods("W", "when").to_parquet(path)
    code = """
import sys
from pathlib import Path
from benchmark.data.frames import as_csv
with as_csv(Path(sys.argv[1])) as csv:
    print(csv.read_text())
"""
    command = [sys.executable, "-c", code, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("when,load,heat\n1850-01-07,")


@pytest.mark.parametrize("kind", ["a column", "the index", "an index without a name", "periods"])
def test_the_cures_for_a_parquet_file_lead_to_a_data_set(kind: str, user: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = table()
    if kind == "periods":
        frame = (1000 * of_periods("W", None)).map("{:,.1f}".format)
    else:
        frame["date"] = frame["date"].dt.tz_localize("Europe/Berlin", nonexistent="shift_forward")
        if kind != "a column":
            frame = frame.set_index("date")
        if kind == "an index without a name":
            frame.index.name = None
    path = user / "my.parquet"
    frame.to_parquet(path)
    told = r"my\.parquet: .*: benchmark datasets mend \S+my\.parquet$"
    with pytest.raises(UserError, match=told), as_csv(path) as csv:
        propose(csv)
    with as_csv(path) as csv:
        mend(csv, user / "my_clean.csv")
    found = propose(user / "my_clean.csv").found
    assert found.card.time_column == "date"
    assert found.table.timestamps[0] == (
        np.datetime64("1850-01-07") if kind == "periods" else np.datetime64("2021-02-28T23")
    )


def test_a_parquet_file_of_dates_that_can_be_read_either_way_is_written_as_text(
    user: Path,
) -> None:
    frame = table(250)
    frame["date"] = frame["date"].dt.strftime("%d/%m/%Y %H:%M")
    path = user / "my.parquet"
    frame.to_parquet(path)
    with pytest.raises(UserError, match="write it as CSV") as caught, as_csv(path) as csv:
        propose(csv)
    line = re.search(r"pd\.read_parquet.*", caught.value.cure)
    assert line is not None
    eval(line[0], {"pd": pd})
    with pytest.raises(UserError, match=r"then use my_text_clean\.csv instead") as caught:
        propose(user / "my_text.csv")
    assert propose(written_anew(caught.value.cure)).card.frequency == "h"
