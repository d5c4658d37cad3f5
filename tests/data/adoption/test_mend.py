"""A file is written anew by every line it would be told, one after the other, and no other way."""

from __future__ import annotations

import gzip
import pickle
import shlex
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from users_table import table

from benchmark.data.adoption.adopt import propose
from benchmark.data.adoption.mend import mend
from benchmark.errors import UserError

FRAME = table(480)
ROUNDED = FRAME.round({"load": 3, "heat": 3})


def lines(frame: pd.DataFrame) -> list[str]:
    return frame.to_csv(index=False).splitlines()


def test_what_is_wrong_is_mended_in_turn(write_csv: Callable[..., Path], user: Path) -> None:
    text = FRAME.assign(date=FRAME["date"].dt.strftime("%d.%m.%Y %H:%M"))
    names, *rows = text.to_csv(sep=";", decimal=",", index=False).splitlines()
    path, new = write_csv(["Meter 7", names, *reversed(rows)]), user / "new.csv"
    before = path.read_bytes()
    done = mend(path, new)
    assert [(one.place, one.what.partition(":")[0]) for one in done] == [
        ("line 1", "stands above the columns' names, which are in line 2"),
        ("line 3, column 'date'", "2021-03-20 22"),
    ]
    assert done[1].how.shown.startswith(
        "sort its rows: pd.read_csv(..., dtype='str').sort_values('date', "
    )
    found = propose(new).found.table
    np.testing.assert_array_equal(found.timestamps, FRAME["date"].to_numpy())
    np.testing.assert_array_equal(found.values, FRAME[["load", "heat"]].to_numpy())
    assert path.read_bytes() == before
    assert mend(new, user / "again.csv") == []
    assert (user / "again.csv").read_bytes() == new.read_bytes()


def written(name: str, when: pd.Series) -> dict[str, pd.Series]:
    """The columns that hold times in one of the ways in which they are found."""
    day = when.dt
    if name == "seconds":
        return {"date": (when - pd.Timestamp(0)) // pd.Timedelta("1s")}
    if name == "parts":
        return {part: getattr(day, part) for part in ("year", "month", "day", "hour")}
    if name == "two columns":
        return {"date": day.strftime("%Y-%m-%d"), "clock": day.strftime("%H:%M")}
    return {"date": day.strftime(name)}


@given(
    times=st.sampled_from(
        ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y%m%d%H%M", "%Y-%m-%dT%H:%MZ"]
        + ["seconds", "parts", "two columns"]
    ),
    long=st.booleans(),
    newest_first=st.booleans(),
    overlap=st.booleans(),
    mark=st.sampled_from([",", ";", "\t", "|"]),
    decimal_comma=st.booleans(),
    around=st.sets(st.sampled_from(["title", "units", "blank rows", "surplus"])),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_done_to_a_table_it_comes_back(
    times: str,
    long: bool,
    newest_first: bool,
    overlap: bool,
    mark: str,
    decimal_comma: bool,
    around: set[str],
    encoding: str,
) -> None:
    frame = ROUNDED.melt("date", var_name="id") if long else ROUNDED
    frame = pd.concat([frame, frame[5:30]]) if overlap else frame
    frame = frame[::-1] if newest_first else frame
    frame = pd.concat(
        [pd.DataFrame(written(times, frame["date"])), frame.drop(columns="date")], axis=1
    )
    text = frame.to_csv(
        index=False, sep=mark, decimal="," if decimal_comma and mark != "," else "."
    )
    names, *rows = text.splitlines()
    nothing = mark * names.count(mark)
    above = ["Meter 7"] if "title" in around else []
    units = [nothing.replace(mark, f"{mark}kW")] if "units" in around else []
    blank = [nothing] * 3 if "blank rows" in around else []
    tail = 2 * mark if "surplus" in around else ""
    with TemporaryDirectory() as folder:
        path, new = Path(folder) / "my.csv", Path(folder) / "new.csv"
        whole = [line + tail for line in [*above, names, *units, *rows, *blank]]
        path.write_text("\n".join(whole) + "\n", encoding=encoding)
        mend(path, new)
        found = propose(new).found.table
    np.testing.assert_array_equal(found.timestamps, FRAME["date"].to_numpy())
    own = ROUNDED[sorted(found.channels)].to_numpy()
    order = [found.channels.index(channel) for channel in sorted(found.channels)]
    np.testing.assert_array_equal(found.values[:, order], own)


def test_a_meters_export_with_its_owner_on_top_and_an_empty_last_column_is_read(
    user: Path, write_csv: Callable[..., Path]
) -> None:
    hours = FRAME["date"].dt
    columns = {"TYPE": "Electric usage", "DATE": hours.date, "START": hours.strftime("%H:%M")}
    ends = {"END": (FRAME["date"] + pd.Timedelta("59min")).dt.strftime("%H:%M"), "UNITS": "kWh"}
    cost = {"COST": [f"${value:.2f}" for value in FRAME["load"]], "NOTES": ""}
    export = pd.DataFrame(columns | ends | {"USAGE": ROUNDED["heat"]} | cost)
    above = ["Name,Jo Doe", 'Address,"1 Main St"', ""]
    mend(write_csv([*above, *lines(export)]), user / "new.csv")
    found = propose(user / "new.csv").found.table
    assert found.channels == ("USAGE", "COST")
    np.testing.assert_array_equal(found.timestamps, FRAME["date"].to_numpy())
    np.testing.assert_allclose(found.values[:, 1], FRAME["load"], atol=0.0051)


def test_seconds_with_fractions_are_times_to_the_second(
    user: Path, write_csv: Callable[..., Path]
) -> None:
    seconds = (FRAME["date"] - pd.Timestamp(0)) // pd.Timedelta("1s") + 0.123
    mend(write_csv(FRAME.assign(date=seconds)), user / "new.csv")
    found = propose(user / "new.csv").found.table
    np.testing.assert_array_equal(found.timestamps, FRAME["date"].to_numpy())


def test_the_time_column_that_is_named_may_be_joined_to_another(
    write_csv: Callable[..., Path], user: Path
) -> None:
    date = FRAME["date"].dt
    parts = FRAME.drop(columns="date").assign(year=date.year, month=date.month, day=date.day)
    path = write_csv(parts.assign(hour=date.hour))
    mend(path, user / "new.csv", "year")
    assert propose(user / "new.csv").card.time_column == "date"


def test_what_only_the_user_can_mend_is_told_of_the_new_file(
    write_csv: Callable[..., Path], user: Path
) -> None:
    frame = FRAME.astype({"load": str})
    frame.loc[5, "load"] = "broken"
    path, new = write_csv([line.replace(",", ";") for line in lines(frame)]), user / "new.csv"
    with pytest.raises(UserError) as caught:
        mend(path, new)
    assert str(caught.value).startswith(f"{new}: line 7, column 'load': 'broken' is no number")
    assert new.read_text().splitlines() == lines(frame)


def test_a_decision_is_left_to_the_user(write_csv: Callable[..., Path], user: Path) -> None:
    frame = FRAME[:250].assign(date=FRAME["date"].dt.strftime("%d/%m/%Y %H:%M"))
    path, new = write_csv(frame), user / "my_new.csv"
    with pytest.raises(UserError, match=f"^{path}: .* is 1 March or 3 January, and no day above"):
        mend(path, new)
    assert not new.exists()
    path.write_text(path.read_text().replace("heat", "wärme"), encoding="cp1252")
    with pytest.raises(UserError, match=f"^{new}: .* no day above 12 tells which") as caught:
        mend(path, new)
    assert f"then use my_new_clean.csv instead: pd.read_csv('{new}'" in caught.value.cure
    assert new.is_file()


def test_a_zipped_file_is_written_plain(user: Path) -> None:
    path = user / "my.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines(FRAME)).encode()))
    assert mend(path, user / "new.csv") == []
    assert (user / "new.csv").read_text().splitlines() == lines(FRAME)


def test_few_rows_can_be_mended_to_be_forecast_from(
    write_csv: Callable[..., Path], user: Path
) -> None:
    path = write_csv(FRAME[:3][::-1])
    (done,) = mend(path, user / "new.csv")
    assert "not in time order" in done.what
    assert (user / "new.csv").read_text().splitlines() == lines(FRAME[:3])


def test_a_line_may_name_what_stands_in_the_file_however_it_is_called(
    write_csv: Callable[..., Path], user: Path
) -> None:
    name = """it's "x" + __import__('os').getcwd() {0} \\n"""
    long = FRAME.melt("date", var_name=name).replace("heat", "he'at")
    mend(write_csv(long), user / "new.csv")
    assert propose(user / "new.csv").found.table.channels == ("he'at", "load")


def test_a_cure_passes_between_processes(write_csv: Callable[..., Path]) -> None:
    with pytest.raises(UserError) as caught:
        propose(write_csv(FRAME[::-1]))
    passed = pickle.loads(pickle.dumps(caught.value))
    assert str(passed) == str(caught.value)
    assert passed.cure.shown == caught.value.cure.shown


def test_the_command_says_what_it_did_and_what_comes_next(command, workplace: Path) -> None:
    FRAME[::-1].to_csv("my file.csv", index=False)
    answer = command("datasets", "mend", "my file.csv")
    assert (answer.code, answer.err) == (0, "")
    fault, deed, written, following = answer.out.splitlines()
    assert fault.startswith("line 3, column 'date': 2021-03-20 22:00:00 stands after 2021-03-20 23")
    assert deed.startswith("    sort its rows: pd.read_csv(..., dtype='str').sort_values('date'")
    assert written == "Written: my file_clean.csv"
    assert following == "Next: benchmark datasets add 'my file_clean.csv' --name my_file"
    added = command(*shlex.split(following)[2:])
    assert added.out.splitlines()[-1].startswith("Next: benchmark run ridge --set dataset=my_file ")
    refused = command("datasets", "mend", "my file.csv")
    assert refused.err == (
        "error: my file_clean.csv: is there already; remove it, or name another: --output\n"
    )
    told = command("datasets", "mend", "my file_clean.csv", "--output", "new/plain.csv")
    assert told.out.splitlines()[0] == "Nothing to mend: my file_clean.csv"
    assert Path("new/plain.csv").read_bytes() == Path("my file_clean.csv").read_bytes()
    Path("left.csv").write_text(FRAME.to_csv(index=False, sep=";") + ";x;1\n")
    left = command("datasets", "mend", "left.csv")
    assert (left.code, left.err[:25]) == (2, "error: left_clean.csv: li")
    assert left.out.splitlines()[1] == "    mend it: pd.read_csv(..., sep=';')"
    assert command("datasets", "mend", ".").err.startswith("error: .: is a folder, not a file; ")
    assert command("datasets", "mend", "nix.csv").err.startswith("error: nix.csv: no such file; ")
    for output, what in (("my file.csv", "is what this command reads"), ("x.txt", "does not end")):
        refused = command("datasets", "mend", "my file.csv", "--output", output)
        assert refused.code == 2
        assert what in refused.err


@pytest.mark.parametrize("column", [{"word": "x"}, {"empty": np.nan}], ids=["words", "empty"])
def test_a_file_without_any_number_is_refused_and_not_copied(
    column: dict[str, Any], command, workplace: Path
) -> None:
    FRAME[["date"]].assign(**column).to_csv("my.csv", index=False)
    told = command("datasets", "mend", "my.csv", "--time-column", "date")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: my.csv: has no column of numbers beside its times")
    assert not Path("my_clean.csv").exists()
    FRAME[["date"]].assign(**column)[::-1].to_csv("my.csv", index=False)  # this can be mended
    told = command("datasets", "mend", "my.csv", "--time-column", "date")
    assert told.code == 2
    assert told.err.startswith("error: my_clean.csv: has no column of numbers beside its times")


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (lambda f: f, ""),
        (lambda f: f.head(3), "is too short: "),
        (lambda f: f.assign(date=f["date"] + pd.to_timedelta(np.arange(len(f)) % 3, "s")), "line"),
        (lambda f: f[["date"]].assign(number=range(len(f))), "has no column of numbers beside"),
    ],
)
def test_what_cannot_be_added_is_told_with_its_reason_instead_of_what_comes_next(
    change: Callable[[pd.DataFrame], pd.DataFrame], refused: str, command, workplace: Path
) -> None:
    change(FRAME).to_csv("my.csv", index=False)
    told = command("datasets", "mend", "my.csv", "--time-column", "date")
    assert (told.code, told.err) == (0, "")  # to forecast from it may do
    first, written, last = told.out.splitlines()
    assert (first, written) == ("Nothing to mend: my.csv", "Written: my_clean.csv")
    added = command("datasets", "add", "my_clean.csv", "--name", "my")
    if not refused:
        assert (last, added.code) == ("Next: benchmark datasets add my_clean.csv --name my", 0)
        return
    assert last == f"Note: it cannot be added as it is: {added.err.removeprefix('error: ')}".strip()
    assert refused in last
