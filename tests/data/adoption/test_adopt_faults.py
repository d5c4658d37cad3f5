"""Every way a user's file, or an option, can be wrong is one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from users_table import lines_of, table, written_anew

from benchmark.data.adoption.adopt import propose
from benchmark.data.frames import as_csv
from benchmark.errors import UserError


def changed(line: int, text: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[: line - 1], text, *lines[line:]]


FAULTS: dict[str, tuple[Callable[[list[str]], list[str]], dict[str, Any], str]] = {
    "short line": (changed(5, "2021-03-01 03:00:00,1"), {}, "line 5: has 2 cells, the file has 3"),
    "long line": (changed(5, "2021-03-01 03:00:00,1,2,3"), {}, "line 5: has 4 cells"),
    "blank line": (changed(5, ""), {}, "line 5: is blank; delete the line"),
    "semicolons": (lambda lines: [line.replace(",", ";") for line in lines], {}, "has no comma"),
    "no header": (lambda lines: ["2020,1,2", *lines[1:]], {}, "line 1: holds numbers, where"),
    "name twice": (changed(1, "date,load,load"), {}, "line 1: names column 'load' twice"),
    "no name": (changed(1, "date,load,"), {}, "line 1: column 3 has no name; name it, or take it"),
    "nothing": (lambda lines: [""], {}, "line 1: is empty; write it anew$"),
    "header alone": (lambda lines: lines[:1], {}, "holds no rows"),
    "one row": (lambda lines: lines[:2], {}, "holds a single row"),
    "five rows": (lambda lines: lines[:5], {}, "is too short: the test split is empty"),
    "day first": (
        lambda lines: [lines[0], *(f"13/03/2021 {line[11:]}" for line in lines[1:])],
        {},
        "line 2, column 'date': '13/03/2021 00:00:00' begins with the day; mend it: benchmark",
    ),
    "one bad number": (
        changed(9, "2021-03-01 07:00:00,1,n/a?"),
        {},
        "line 9, column 'heat': 'n/a.' is no number, unlike 199 of the column's 200; empty",
    ),
    "one infinite": (
        changed(9, "2021-03-01 07:00:00,inf,1"),
        {},
        "line 9, column 'load': 'inf' is infinite, unlike 199 of the column's 200; empty",
    ),
    "one bad time": (changed(9, "soon,1,2"), {}, "line 9, column 'date': 'soon' is no time"),
    "time zone": (changed(9, "2021-03-01 07:00:00Z,1,2"), {}, "line 9, .*has a time zone"),
    "zones, in a column of any name": (
        lambda lines: ["Zeit,load,heat", *(line.replace(",", "+01:00,", 1) for line in lines[1:])],
        {},
        "line 2, column 'Zeit': .* has a time zone; write all times in UTC: benchmark",
    ),
    "no times": (
        lambda lines: [line.partition(",")[2] for line in lines],
        {},
        "line 1: names no column whose cells are times; write times as",
    ),
    "no numbers": (
        lambda lines: [f"{line.partition(',')[0]},a" for line in lines],
        {},
        "has no column of numbers beside its times .'a': 'a' in line 2 is no number",
    ),
    "twice": (
        changed(9, "2021-03-01 06:00:00,1,2"),
        {},
        "line 9, .*06:00:00 stands there twice; sort its rows, the first alone of those that share",
    ),
    "unordered": (changed(9, "2021-03-01 01:00:00,1,2"), {}, "line 9, .*01:00:00 stands after"),
    "off the grid": (
        changed(9, "2021-03-01 07:10:00,1,2"),
        {},
        "line 9, .*is 1:10:00 after .*, not h; mend the file, or give the step with --frequency",
    ),
    "other step": (list, {"frequency": "2h"}, "line 3, .* is 1:00:00 after .*, not 2h; mend the"),
    "finer step": (
        list,
        {"frequency": "min"},
        "holds 200 of the 11,941 times .*; mend the file, or give another step with --frequency$",
    ),
    "no step": (list, {"frequency": "month"}, "--frequency: is no step in s"),
    "no such column": (list, {"time_column": "dat"}, "--time-column: .*'dat'; did you mean 'date'"),
    "a column of numbers": (list, {"time_column": "heat"}, "line 2, column 'heat': .* is no time"),
    "season too long": (list, {"season": 140}, "--season: 140 steps do not fit into the train spl"),
    "name": (list, {"name": "a/b"}, "--name: is not a plain name"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_file_or_an_option_is_one_line_that_names_it(
    fault: str, folder: Path, write_csv: Callable[..., Path]
) -> None:
    change, options, message = FAULTS[fault]
    path = write_csv(change(lines_of(table())))
    with pytest.raises(UserError, match=message) as caught:
        propose(path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or str(caught.value).startswith("--")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("step", "period"), [("BMS", "month"), ("BQE", "quarter"), ("BYS", "year")]
)
def test_rows_of_no_one_day_of_a_month_are_written_as_of_its_first(
    step: str, period: str, write_csv: Callable[..., Path]
) -> None:
    frame = table(100, step, "1950-01-01").drop(index=50)
    told = f"column 'date': has about a row a {period}, but not on one day of it"
    with pytest.raises(UserError, match=f"{told}; let the first day of each {period}") as caught:
        propose(write_csv(frame))
    found = propose(written_anew(caught.value.cure)).found
    assert found.card.frequency == {"month": "MS", "quarter": "3MS", "year": "12MS"}[period]
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found.table.values).any(axis=1)), [50])
    rows = found.table.values[[*range(50), *range(51, 100)]]
    np.testing.assert_array_equal(rows, frame[["load", "heat"]])
    again = frame.loc[[48]].assign(date=frame["date"] + pd.Timedelta("1h"))
    twice = pd.concat([frame.loc[:48], again, frame.loc[49:]])
    with pytest.raises(UserError, match=f"{told}: lines 50 and 51 are of the same {period}; keep"):
        propose(write_csv(twice))


def test_a_column_that_counts_is_no_year_unless_it_is_called_so(
    write_csv: Callable[..., Path],
) -> None:
    frame = table(200, "MS", "2001-01-01").rename(columns={"date": "when"})
    frame.insert(0, "id", range(1001, 1201))
    card = propose(write_csv(frame)).card
    assert (card.time_column, card.frequency) == ("when", "MS")
    with pytest.raises(UserError, match="line 1: names no column whose cells are times"):
        propose(write_csv(frame.drop(columns="when")))
    years = frame.drop(columns="when").rename(columns={"id": "year"}).drop(index=[50])
    card = propose(write_csv(years)).card
    assert (card.time_column, card.frequency, card.missing) == ("year", "12MS", "mask")


def test_a_saturday_among_working_days_is_told_with_its_line(
    write_csv: Callable[..., Path],
) -> None:
    frame = table(200, "B", "2020-01-01")
    frame.loc[100, "date"] += pd.Timedelta("1D") * (5 - frame.loc[100, "date"].weekday())
    path = write_csv(frame.drop(index=[101, 102, 103, 104]))
    day = f"{frame.loc[100, 'date']:%Y-%m-%d}"
    with pytest.raises(UserError, match=f"line 102, .*{day} 00:00:00 is a Saturday, and the step"):
        propose(path)
    assert propose(path, frequency="D").card.frequency == "D"


@pytest.mark.parametrize("frequency", ["B", "D"])
def test_days_keep_their_date_where_their_times_of_day_differ(
    frequency: str, write_csv: Callable[..., Path]
) -> None:
    frame = table(200, "B", "2020-01-01")
    days = frame["date"].copy()
    frame["date"] = days + pd.Timedelta("16h")
    frame.loc[[30, 90], "date"] -= pd.Timedelta("3h")
    with pytest.raises(UserError, match="leave out its times of day with pandas") as caught:
        propose(write_csv(frame), frequency=frequency)
    found = propose(written_anew(caught.value.cure), frequency=frequency).found
    assert np.isin(days.to_numpy(), found.table.timestamps).all()
    known = np.isfinite(found.table.values).all(axis=1)
    np.testing.assert_array_equal(found.table.values[known], frame[["load", "heat"]])


def test_days_of_one_length_with_a_gap_are_a_fixed_step(write_csv: Callable[..., Path]) -> None:
    for step in ("30D", "91D", "365D"):
        frame = table(100, step, "1950-01-01").drop(index=[50, 51])
        assert propose(write_csv(frame)).card.frequency in (step, "13W")


def test_a_file_that_is_not_there_is_named(user: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv: no such file"), as_csv(user / "none.csv"):
        pass
    with pytest.raises(UserError, match="is a folder, not a file"), as_csv(user):
        pass
