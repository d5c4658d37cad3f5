"""A file that is laid out or written otherwise is told what it is; the line given mends a copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from users_table import table, written_anew

from benchmark.data.adoption.adopt import propose
from benchmark.data.adoption.mend import mend
from benchmark.data.frames import as_csv
from benchmark.data.rewrite import Rewriting
from benchmark.errors import UserError

FRAME = table(480).rename(columns={"date": "when"})
WHEN = FRAME["when"]
BEFORE = WHEN - pd.Timedelta("1h")
SECONDS = (WHEN - pd.Timestamp(0)) // pd.Timedelta("1s")
NOISE = pd.to_timedelta(np.random.default_rng(1).integers(0, 600, len(FRAME)), unit="s")


def long(frame: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    return frame.melt("when", var_name="series").sort_values(order, kind="stable")


def times(form: str) -> pd.DataFrame:
    return FRAME.assign(when=WHEN.dt.strftime(form))


def two_columns(form: str) -> pd.DataFrame:
    frame = times(form)
    frame.insert(1, "at", WHEN.dt.strftime("%H:%M"))
    return frame


def parts(names: str, **changes: Any) -> pd.DataFrame:
    """The times taken apart, a column for each part, behind one that counts the rows."""
    columns = {name: getattr(WHEN.dt, name.lower()) for name in names.split()}
    frame = FRAME.drop(columns="when").assign(**columns, **changes)
    return (
        frame[[*columns, *(c for c in frame if c not in columns)]].rename_axis("No").reset_index()
    )


def numbers(write: Callable[[float], str]) -> pd.DataFrame:
    return FRAME.assign(load=(FRAME["load"] * 1000).round(1).map(write))


FILES: dict[str, tuple[pd.DataFrame, dict[str, Any], str]] = {
    "long, time by time": (
        long(FRAME, ["when"]),
        {},
        "column 'when': is in long format: a time repeats for each value of 'series' (load; heat); "
        "make a column of each: benchmark datasets mend ",
    ),
    "long, series by series": (
        long(FRAME, ["series", "when"]),
        {"frequency": "h"},
        "column 'when': is in long format: a time repeats for each value of 'series' (heat; load)",
    ),
    "long, of series that begin at other times": (
        long(FRAME, ["series", "when"]).iloc[200:],
        {},
        "column 'when': is in long format: ",
    ),
    "long, by two columns": (
        pd.concat([FRAME.assign(site=s, kind=k) for s, k in ("Ax", "Ay", "Bx", "By")]),
        {},
        "column 'when': is in long format: a time repeats for each value of 'site' and 'kind' "
        "(A, x; A, y; B, x; ...); ",
    ),
    "long, by numbers": (
        pd.concat([FRAME.assign(unique_id=number) for number in (1, 2, 3)]),
        {},
        "column 'when': is in long format: a time repeats for each value of 'unique_id' (1; 2; 3);",
    ),
    "long, by numbers that are no count, time by time": (
        pd.concat(
            [FRAME.assign(unique_id=number).iloc[40 * n :] for n, number in enumerate((9, 30, 70))]
        ).sort_values("when", kind="stable"),
        {},
        "column 'when': is in long format: a time repeats for each value of 'unique_id' (9; 30; 70",
    ),
    "long, by two columns of numbers": (
        pd.concat([FRAME.assign(store=s, item=i) for s in (1, 2) for i in (1, 2, 3)]),
        {},
        "a time repeats for each value of 'store' and 'item' (1, 1; 1, 2; 1, 3; ...); make",
    ),
    "long, by a text and a number": (
        pd.concat([FRAME.assign(site=s, item=i, kind="x") for s in "AB" for i in (1, 2)]),
        {},
        "column 'when': is in long format: a time repeats for each value of 'site' and 'item' (A, ",
    ),
    "long, with a row that stands there twice": (
        pd.concat([(longer := long(FRAME, ["series", "when"])), longer[5:6]]),
        {},
        "a time repeats for each value of 'series' (heat; load); make a column of each, of rows",
    ),
    "date and time": (
        two_columns("%Y-%m-%d"),
        {},
        "column 'when': holds dates alone, and the time stands in column 'at'; join them:",
    ),
    "24:00 for midnight": (
        times("%Y-%m-%d %H:%M").assign(
            when=BEFORE.dt.strftime("%Y-%m-%d ") + (BEFORE.dt.hour + 1).map("{:02}:00".format)
        ),
        {},
        "line 2, column 'when': '2021-02-28 24:00' is past 23:59; write 0:00 of the next day: ",
    ),
    "date and time with dots": (
        two_columns("%d/%m/%Y").assign(at=WHEN.dt.strftime("%H.%M.%S")),
        {},
        "'01/03/2021' begins with the day, and the time stands in column 'at'; join them: ",
    ),
    "date without marks, and time": (two_columns("%Y%m%d"), {"time_column": "when"}, "join them"),
    "date with the day first, and time": (
        two_columns("%d.%m.%Y"),
        {},
        "line 2, column 'when': '01.03.2021' begins with the day, and the time stands in column "
        "'at'; join them",
    ),
    "day first": (
        times("%d.%m.%Y %H:%M"),
        {},
        "line 2, column 'when': '01.03.2021 00:00' begins with the day; mend it",
    ),
    "day first, named": (times("%d/%m/%Y %H:%M"), {"time_column": "when"}, "begins with the day"),
    "month first": (
        times("%m/%d/%Y %I:%M %p"),
        {},
        "line 2, column 'when': '03/01/2021 12:00 AM' begins with the month; mend it",
    ),
    "month first, without the time at midnight": (
        times("%m/%d/%Y %H:%M").replace(" 00:00$", "", regex=True),
        {},
        "line 2, column 'when': '03/01/2021' begins with the month; mend it",
    ),
    "date and hour": (
        times("%Y-%m-%d").assign(Hour=WHEN.dt.hour),
        {},
        "column 'when': holds dates alone, and the time stands in column 'Hour'; join them:",
    ),
    "date with the day first, and an hour of two digits": (
        times("%d.%m.%Y").assign(hr=WHEN.dt.strftime("%H")),
        {},
        "begins with the day, and the time stands in column 'hr'; join them:",
    ),
    "date without marks, and hours from 1 to 24": (
        FRAME.assign(when=BEFORE.dt.strftime("%Y%m%d"), HourEnding=BEFORE.dt.hour + 1),
        {"time_column": "when"},
        "the time stands in column 'HourEnding'; join them:",
    ),
    "year, month, day and hour": (
        parts("year month day hour"),
        {},
        "column 'year': is but a part of a time, whose parts stand in 'year', 'month', 'day', "
        "'hour'; join them:",
    ),
    "day, month, year and hour": (
        parts("Day Month Year Hour"),
        {},
        "in 'Year', 'Month', 'Day', 'H",
    ),
    "hours without marks": (
        times("%Y%m%d%H"),
        {},
        "line 2, column 'when': '2021030100' is a date and a time without marks between them; mend",
    ),
    "minutes without marks": (times("%Y%m%d%H%M"), {"time_column": "when"}, "without marks"),
    "seconds without marks, after blanks": (times("  %Y%m%d%H%M%S"), {}, "without marks"),
    "seconds": (
        FRAME.assign(when=SECONDS),
        {},
        "line 2, column 'when': '1614556800' counts seconds since 1970; mend it",
    ),
    "milliseconds": (
        FRAME.assign(when=1000 * SECONDS),
        {"time_column": "when"},
        "line 2, column 'when': '1614556800000' counts milliseconds since 1970; mend it",
    ),
    "off the grid": (
        FRAME.assign(when=WHEN + NOISE),
        {"frequency": "h"},
        "not h; mend the file, or round its times with pandas",
    ),
    "off the grid, by a clock that drifts": (
        FRAME.assign(when=WHEN + NOISE),
        {},
        "not h; mend the file, or round its times with pandas",
    ),
    "both ends of each step": (
        FRAME.assign(
            when=WHEN.dt.strftime("%d.%m.%Y %H:%M - ")
            + (WHEN + pd.Timedelta("1h")).dt.strftime("%d.%m.%Y %H:%M")
        ),
        {},
        "begins with the day, and an end follows each time; keep the beginnings: benchmark",
    ),
    "fractions of a second": (
        FRAME.assign(when=WHEN + pd.Timedelta("300ms")),
        {},
        "line 2, column 'when': '2021-03-01 00:00:00.300' is no time to the second; round them",
    ),
    "times as columns": (
        FRAME.set_index("when").T.rename_axis("series").assign(site="A").reset_index(),
        {},
        f"line 1: names {len(FRAME)} times, from '2021-03-01 00:00:00' on: a row is a series; turn",
    ),
    "units": (
        FRAME.assign(
            load=FRAME["load"].map("{:.1f} kW".format),
            heat=FRAME["heat"].map("${:.1f}".format),
            remark=["3 visits", *[""] * (len(FRAME) - 1)],
            phases="3 phases",
        ),
        {},
        "kW' has a unit, 'kW', as all its numbers have; so has 'heat'; take it off: benchmark",
    ),
    "thousands": (
        numbers(lambda value: f"{value:,.1f}"),
        {},
        "has commas between its thousands; mend it",
    ),
    "decimal commas": (
        numbers(lambda value: f"{value:.1f}".replace(".", ",")),
        {},
        "has a decimal comma; mend it",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_line_given_writes_a_file_that_can_be_added_and_leaves_the_users(
    kind: str, write_csv: Callable[..., Path]
) -> None:
    frame, options, told = FILES[kind]
    path = write_csv(frame)
    before = path.read_bytes()
    with pytest.raises(UserError) as caught:
        propose(path, **options)
    assert f"{path}: " in str(caught.value)
    assert told in str(caught.value)
    added = written_anew(caught.value.cure)
    assert (added.name, path.read_bytes()) == ("my_clean.csv", before)
    if isinstance(caught.value.cure, Rewriting):  # nothing is to be decided
        (mended,) = mend(path, path.with_name("new.csv"), options.get("time_column"))
        assert mended.how == caught.value.cure
        assert path.with_name("new.csv").read_bytes() == added.read_bytes()
    found = propose(added).found.table
    assert found.timestamps[0] == WHEN[0].to_datetime64()
    assert len(found.values) == len(FRAME)
    for channel, values in zip(found.channels, found.values.T, strict=True):
        column = channel.partition("_")[0]
        unit = 1000 if kind in ("thousands", "decimal commas") and column == "load" else 1
        known = ~np.isnan(values)
        np.testing.assert_allclose(values[known], unit * FRAME[column][known], atol=0.06, rtol=0)


def test_a_date_that_can_be_read_either_way_is_told_with_both(
    write_csv: Callable[..., Path],
) -> None:
    frame = times("%d/%m/%Y %H:%M")[:250]
    told = "'01/03/2021 00:00' is 1 March or 3 January, and no day above 12 tells which"
    for content in (frame, frame.to_csv(index=False).replace(",", ";").splitlines()):
        with pytest.raises(UserError, match=told) as caught:
            propose(write_csv(content))
        assert caught.value.cure.endswith("; leave out dayfirst=True if the month comes first")
        assert propose(written_anew(caught.value.cure)).card.frequency == "h"


def test_years_beside_a_column_of_times_are_channels(write_csv: Callable[..., Path]) -> None:
    years = [str(year) for year in range(2015, 2023)]
    frame = pd.DataFrame({year: FRAME["load"] + i for i, year in enumerate(years)})
    frame.insert(0, "date", WHEN)
    assert propose(write_csv(frame)).found.table.channels == tuple(years)


def test_a_comma_that_may_be_decimal_is_told_with_both(write_csv: Callable[..., Path]) -> None:
    frame = numbers(lambda value: f"{value:,.0f}")
    with pytest.raises(UserError, match=r"line 2, column 'load': .* thousands, or a decimal one"):
        propose(write_csv(frame))


def test_several_columns_of_numbers_are_told_at_once(write_csv: Callable[..., Path]) -> None:
    frame = FRAME.astype({"load": str, "heat": str})
    frame.loc[5, "load"] = frame.loc[7, "heat"] = "-"
    with pytest.raises(UserError) as caught:
        propose(write_csv(frame))
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "line 7, column 'load'",
        "line 9, column 'heat'",
    ]


def test_a_year_and_a_month_in_a_column_each_are_months(write_csv: Callable[..., Path]) -> None:
    frame = table(200, "MS", "2001-01-01")
    days = frame.pop("date")
    path = write_csv(frame.assign(YEAR=days.dt.year, MONTH=days.dt.month))
    with pytest.raises(UserError, match="whose parts stand in 'YEAR', 'MONTH'; join") as caught:
        propose(path)
    proposal = propose(written_anew(caught.value.cure))
    assert proposal.card.frequency == "MS"
    np.testing.assert_array_equal(proposal.found.table.timestamps, days.to_numpy())


@pytest.mark.parametrize(("name", "number_series"), [("site", True), ("Settlement Period", False)])
def test_numbers_up_to_24_that_are_called_no_hours_are_none(
    name: str, number_series: bool, write_csv: Callable[..., Path]
) -> None:
    frame = times("%Y-%m-%d").assign(**{name: WHEN.dt.hour})
    told = "is in long format" if number_series else "stands there twice; mend the file: sort its r"
    with pytest.raises(UserError, match=told):
        propose(write_csv(frame))


@pytest.mark.parametrize("apart", [0, 40])
def test_whole_numbers_that_were_measured_name_no_series(
    apart: int, write_csv: Callable[..., Path]
) -> None:
    counts = np.random.default_rng(1).integers(0, 30, (2, len(FRAME)))
    frames = [FRAME.assign(load=row + apart * n) for n, row in enumerate(counts)]
    told = "stands after .*; mend the file: sort its rows, and have one for each"
    with pytest.raises(UserError, match=told):
        propose(write_csv(pd.concat(frames)[["when", "load"]]))


def test_a_series_may_be_called_as_the_column_of_times(write_csv: Callable[..., Path]) -> None:
    frame = long(FRAME, ["when"]).replace({"series": {"load": "when"}})
    with pytest.raises(UserError, match=r"'series' \(when; heat\); make a column") as caught:
        propose(write_csv(frame))
    found = propose(written_anew(caught.value.cure)).found.table
    assert found.channels == ("value_heat", "value_when")
    np.testing.assert_array_equal(found.values, FRAME[["heat", "load"]])


def test_a_clock_put_back_is_no_long_format(write_csv: Callable[..., Path]) -> None:
    frame = FRAME.assign(zone=["CEST"] * 240 + ["CET"] * 240)
    frame.loc[240:, "when"] -= pd.Timedelta("1h")
    with pytest.raises(UserError, match=r"line 242, column 'when': .* stands there twice"):
        propose(write_csv(frame))


@pytest.mark.parametrize(
    ("zone", "told", "step"),
    [
        ("Europe/Paris", "Berlin", "15min"),
        ("Europe/Paris", "Berlin", "h"),
        ("Europe/London", "London", "h"),
        ("Europe/Athens", "Helsinki", "h"),
        ("America/Toronto", "New_York", "h"),
        ("Australia/Melbourne", "Sydney", "h"),
    ],
)
def test_an_hour_that_a_clock_put_back_repeats_is_kept_by_writing_utc(
    zone: str, told: str, step: str, write_csv: Callable[..., Path]
) -> None:
    frame = table(36000 if step == "15min" else 9000, step).rename(columns={"date": "when"})
    utc = frame["when"]
    frame["when"] = utc.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    with pytest.raises(UserError, match=r"; as an hour does where a clock is put back") as caught:
        propose(write_csv(frame))
    assert caught.value.cure.endswith(f"; put in its own zone if it is not that of {told}")
    found = propose(written_anew(caught.value.cure)).found
    assert (found.absent, found.card.frequency) == (0, step)
    np.testing.assert_array_equal(found.table.timestamps, utc.to_numpy())
    again = frame[100:103].assign(load=0)
    with pytest.raises(UserError, match="the first alone of those that share a time"):
        propose(write_csv(pd.concat([frame, again])))


@pytest.mark.parametrize("repeated", [0, 3])
@pytest.mark.parametrize("form", ["{:%Y-%m-%d %H:%M}", "{0:%Y}/{0.month}/{0.day} {0.hour}:{0:%M}"])
def test_rows_in_another_order_are_told_the_line_that_sorts_them(
    form: str, repeated: int, write_csv: Callable[..., Path]
) -> None:
    frame = FRAME.assign(when=WHEN.map(form.format))
    again = frame[100 : 100 + repeated].assign(load=0)
    frame = pd.concat([frame[200:], frame[:200], again])
    with pytest.raises(UserError, match=r"stands after .*; sort its rows") as caught:
        propose(write_csv(frame))
    assert ("the first alone" in caught.value.cure) == (repeated > 0)
    mended = propose(written_anew(caught.value.cure)).found.table
    assert mended.values.tolist() == FRAME[["load", "heat"]].to_numpy().tolist()


def test_of_two_exports_that_overlap_each_row_is_kept_once(write_csv: Callable[..., Path]) -> None:
    frame = pd.concat([FRAME[:300], FRAME[200:]])
    with pytest.raises(UserError, match=r"sort its rows, each of them once: benchmark") as caught:
        propose(write_csv(frame))
    mended = propose(written_anew(caught.value.cure)).found.table
    assert mended.values.tolist() == FRAME[["load", "heat"]].to_numpy().tolist()
    frame.iloc[310, 1] += 1  # what was measured is not the same
    with pytest.raises(UserError, match="; mend the file: sort its rows, and have one for each"):
        propose(write_csv(frame))


def test_rows_of_business_hours_are_told_that_most_times_are_absent(
    write_csv: Callable[..., Path],
) -> None:
    frame = FRAME[(WHEN.dt.hour >= 9) & (WHEN.dt.hour < 17)]
    told = "holds 160 of the 464 times .*; more than half of its times are absent"
    with pytest.raises(UserError, match=told):
        propose(write_csv(frame))


@pytest.mark.parametrize("mark", ["?", "-", " *", "n.v.", "inf"])
def test_what_stands_for_missing_in_many_cells_is_told_the_line_that_has_them_missing(
    mark: str, write_csv: Callable[..., Path]
) -> None:
    frame = FRAME.astype({"load": str, "heat": str})
    frame.loc[5:9, "load"] = mark
    with pytest.raises(UserError, match=r"line 7, .* 480; have them missing: benchmark") as caught:
        propose(write_csv(frame))
    values = propose(written_anew(caught.value.cure)).found.table.values
    assert np.flatnonzero(np.isnan(values[:, 0])).tolist() == [5, 6, 7, 8, 9]
    frame.loc[7, "load"] = "!"
    with pytest.raises(UserError, match="; empty the cell to have it missing"):
        propose(write_csv(frame))


def test_a_parquet_file_is_mended_as_it_is(user: Path) -> None:
    pytest.importorskip("pyarrow")
    path, new = user / "my.parquet", user / "new.csv"
    for frame in (long(FRAME, ["when"]), long(FRAME, ["when"]).set_index("when")):
        frame.to_parquet(path)
        told = r"user/my\.parquet: column 'when': is in long format.*: benchmark datasets mend \S+$"
        with pytest.raises(UserError, match=told), as_csv(path) as csv:
            propose(csv)
        with as_csv(path) as csv:
            (mended,) = mend(csv, new)
        assert (mended.place, mended.what[:17]) == ("column 'when'", "is in long format")
        assert propose(new).found.table.channels == ("heat", "load")


def test_hours_up_to_24_are_neither_joined_nor_columns_of_their_own(
    write_csv: Callable[..., Path],
) -> None:
    frame = two_columns("%Y-%m-%d").assign(at=[f"{n % 24 + 1}:00" for n in range(len(FRAME))])
    with pytest.raises(UserError, match="stands there twice; mend the file: sort its rows, and"):
        propose(write_csv(frame))


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.000%z", "%Y/%m/%d %H:%M %z"]
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("step", ["D", "MS"])
def test_midnights_of_a_zone_keep_the_date_of_its_calendar(
    step: str, zone: str, form: str, write_csv: Callable[..., Path]
) -> None:
    frame = table(200, step, "2001-01-01")
    days = frame["date"]
    frame["date"] = days.dt.tz_localize(zone).dt.strftime(form)
    with pytest.raises(UserError, match="has a time zone; keep the local dates alone") as caught:
        propose(write_csv(frame))
    found = propose(written_anew(caught.value.cure)).found
    assert found.card.frequency == step
    np.testing.assert_array_equal(found.table.timestamps, days.to_numpy())
    np.testing.assert_array_equal(found.table.values, frame[["load", "heat"]])
