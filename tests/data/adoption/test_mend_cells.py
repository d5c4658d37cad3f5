"""No cell becomes another as a file is mended; what may be read either way is left to the user."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from users_table import table

from benchmark.data import separators
from benchmark.data.adoption.adopt import propose
from benchmark.data.adoption.mend import mend
from benchmark.data.rewrite import rewritten
from benchmark.errors import UserError

FRAME = table(480)
ISO, GERMAN = (FRAME["date"].dt.strftime(form) for form in ("%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M"))
COUNT = np.arange(len(FRAME)) * 7 % len(FRAME)  # each once, and not in order
VALUES = (1000 + 7.5 * COUNT).tolist()
POINTS, GROUPED = ([form.format(value) for value in VALUES] for form in ("{:.1f}", "{:,.1f}"))
COMMAS = [text.replace(".", ",") for text in POINTS]
SWAPPED = [text.translate({44: ".", 46: ","}) for text in GROUPED]


@pytest.mark.parametrize(
    ("columns", "mark"),
    [
        ({"date": GERMAN, "load": SWAPPED, "heat": POINTS}, ";"),
        ({"date": GERMAN, "read at": GERMAN.str[:10], "load": SWAPPED}, ";"),
        ({"date": ISO, "load": GROUPED, "heat": COMMAS}, ","),
        ({"date": ISO, "heat": COMMAS, "load": GROUPED}, ","),
        ({"date": ISO, "heat": COMMAS, "load": GROUPED}, ";"),
        ({"from": ISO, "to": [*ISO[1:], "2021-03-21 00:00"], "load": POINTS, "last": ""}, ";"),
        ({"from": ISO, "to": [*ISO[1:], "2021-03-21 00:00"], "löad": POINTS, "last": ""}, ","),
    ],
)
def test_no_number_becomes_another_one(columns: dict[str, object], mark: str, user: Path) -> None:
    """By marks of another column, or by a separator behind every row but not behind the names."""
    path, new = user / "my.csv", user / "new.csv"
    text = pd.DataFrame(columns).to_csv(sep=mark, index=False)
    path.write_text(text.replace(f"{mark}last", "", 1), encoding="cp1252")
    mend(path, new)
    table = propose(new).found.table
    np.testing.assert_array_equal(table.timestamps, FRAME["date"].to_numpy())
    assert set(table.channels) == columns.keys() & {"load", "löad", "heat"}
    for column in table.values.T:
        np.testing.assert_array_equal(column, VALUES)


@pytest.mark.parametrize("other", ["k.A.", "-", "n.v. 3", "EUR"])
@pytest.mark.parametrize("unit", ["", " €"])
@pytest.mark.parametrize("place", [0, 200, 479])
def test_a_cell_that_is_no_number_leaves_no_marks_in_the_others(
    other: str, unit: str, place: int, user: Path
) -> None:
    """For pandas it makes texts of all of them: 1.007 would be read as one, the second time."""
    path, new = user / "my.csv", user / "new.csv"
    whole = [f"{1000 + n:,}{unit}".replace(",", ".") for n in COUNT]
    shares = [f"{n / 8:.3f}{unit}".replace(".", ",") for n in COUNT]
    columns = {"date": GERMAN, "load": SWAPPED, "whole": whole, "share": shares}
    frame = pd.DataFrame(columns)
    frame.loc[place, ["whole", "share"]] = other
    frame.to_csv(path, sep=";", index=False)
    with contextlib.suppress(UserError):  # what that cell means is the user's to say
        mend(path, new)
    new.write_text(new.read_text().replace(other, ""))
    mend(new, new)
    table = propose(new).found.table
    assert table.channels == ("load", "whole", "share")
    rows = np.delete(np.arange(480), place)
    expected = np.stack([VALUES, 1000 + COUNT, COUNT / 8], axis=1)
    if len(table.values) == 479:  # it was a row of units, above all others
        assert place == 0
        np.testing.assert_array_equal(table.values, expected[1:])
    else:
        np.testing.assert_array_equal(table.values[rows], expected[rows])
        np.testing.assert_array_equal(np.isnan(table.values[place]), [False, True, True])


def test_a_cell_that_is_no_number_may_stand_far_below(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(separators, "LOOKED_AT", 100_000)
    path, new = user / "my.csv", user / "new.csv"
    times = pd.date_range("2020-01-01", periods=10_000, freq="15min").strftime("%Y-%m-%d %H:%M")
    rows = [f"{time};{n % 9000 + 1000:,};1.000,5" for n, time in enumerate(times)]
    lines = ["time;load;heat", *(row.replace(",", ".", 1) for row in rows)]
    lines[9_000] = lines[9_000].replace(lines[9_000].split(";")[1], "k.A.")
    path.write_text("\n".join(lines))
    assert sum(len(line) + 1 for line in lines[:9_000]) > separators.LOOKED_AT
    with pytest.raises(UserError, match=r"line 9001, column 'load': 'k\.A\.' is no"):
        mend(path, new)
    load = pd.to_numeric(pd.read_csv(new)["load"], errors="coerce")
    assert load.isna().sum() == 1
    assert load.min() == 1000


NEGATIVE = [f"({text})" if n % 5 == 0 else text for n, text in enumerate(POINTS)]


@pytest.mark.parametrize(
    ("cells", "signs"),
    [
        ([text.replace(",", " ") for text in GROUPED], 1),
        ([text.replace(",", "\u202f").replace(".", ",") for text in GROUPED], 1),
        ([text.replace(",", "'") for text in GROUPED], 1),
        ([text.replace(",", "\xa0") + " kW" for text in GROUPED], 1),
        (SWAPPED, 1),
        ([f"{text} €" for text in SWAPPED], 1),
        ([f"{text}-" if n % 5 == 0 else text for n, text in enumerate(SWAPPED)], -1),
        (NEGATIVE, -1),
        ([f"({text})" if n % 5 == 0 else text for n, text in enumerate(GROUPED)], -1),
        ([f"{text}- EUR" if n % 5 == 0 else f"{text} EUR" for n, text in enumerate(SWAPPED)], -1),
        ([f"({text}) €" if n % 5 == 0 else f"{text} €" for n, text in enumerate(POINTS)], -1),
        ([f"\u2212{text}" if n % 5 == 0 else text for n, text in enumerate(POINTS)], -1),
        ([f"{text}-".rjust(12) if n % 5 == 0 else text for n, text in enumerate(POINTS)], -1),
    ],
)
@pytest.mark.parametrize("mark", [",", ";"])
def test_numbers_are_read_in_whatever_style(
    cells: list[str], signs: int, mark: str, user: Path
) -> None:
    path, new = user / "my.csv", user / "new.csv"
    frame = pd.DataFrame({"date": ISO, "load": cells, "heat": FRAME["heat"].round(2)})
    frame.to_csv(path, sep=mark, index=False)
    mend(path, new)
    found = propose(new).found
    assert found.table.channels == ("load", "heat"), found.left_out
    expected = np.where(np.arange(480) % 5 == 0, signs, 1) * np.array(VALUES)
    np.testing.assert_array_equal(found.table.values[:, 0], expected)
    np.testing.assert_array_equal(found.table.values[:, 1], frame["heat"])


@pytest.mark.parametrize(
    "cells",
    [
        ["0,5", "0,5", *POINTS[2:]],  # either mark is decimal
        [f"{n:03} 123" for n in range(480)],  # a label
        [f"Filiale {text}" for text in SWAPPED],
        [f"1.{n % 12 + 1}.2024" for n in range(480)],
        [f"{n} 200 10" for n in range(480)],
        [f"192.168.{n // 250 + 100}.{n % 250}" for n in range(480)],
        [f"+49 172 464 {n + 100}" for n in range(480)],
        [f"({n % 90:03})" for n in range(480)],  # dialled before a number
        [f"{n % 5 + 1}{'-' if n % 3 else ''}" for n in range(480)],  # grades
        [f"{n % 5 + 1}.5{'+-'[n % 2]}" for n in range(480)],
        ["-5.5" if n % 7 else "(4.5)" for n in range(480)],  # uncertain, not negative
    ],
)
def test_what_is_no_number_for_sure_stays_as_it_is(cells: list[str], user: Path) -> None:
    path, new = user / "my.csv", user / "new.csv"
    for mark in ",;":
        columns = {"date": ISO, "load": POINTS, "other": cells}
        pd.DataFrame(columns).to_csv(path, sep=mark, index=False)
        with contextlib.suppress(UserError):
            mend(path, new)
        if new.exists():
            told = pd.read_csv(new, dtype="str")
            assert told["other"].tolist() == cells
            assert told["load"].tolist() == POINTS


@pytest.mark.parametrize(
    ("mark", "cells", "expected"),
    [
        (";", ["1.253-", "22.125", "17"], [-1253.0, 22125.0, 17.0]),
        (";", ["0.125 kW", "2.375 kW", "11.250 kW"], [0.125, 2.375, 11.25]),
        (";", ["1.125 kW", "2.375 kW", "3.5 kW"], [1.125, 2.375, 3.5]),
        (",", ["1 234", "5,678", "12 500", "7,125"], [1234.0, 5.678, 12500.0, 7.125]),
        (",", ["9.215.469", "215.469", "7"], [9215469.0, 215469.0, 7.0]),
        (";", ["5,25- EUR", "6,50- EUR", "7,75- EUR"], [-5.25, -6.5, -7.75]),
        (";", ["NA", "5 A", "6.5 A"], [np.nan, 5.0, 6.5]),
    ],
)
def test_each_column_is_read_by_its_own_style(
    mark: str, cells: list[str], expected: list[float], user: Path
) -> None:
    """Beside one of German numbers, which settles the marks of the file where it has semicolons."""
    path, new = user / "my.csv", user / "new.csv"
    columns = {"date": ISO, "load": SWAPPED, "heat": np.resize(np.array(cells), 480)}
    pd.DataFrame(columns).to_csv(path, sep=mark, index=False)
    mend(path, new)
    found = propose(new).found
    assert found.table.channels == ("load", "heat"), found.left_out
    np.testing.assert_array_equal(found.table.values[:, 1], np.resize(np.array(expected), 480))


@pytest.mark.parametrize("mark", [",", ";"])
def test_a_large_number_without_a_mark_says_that_a_comma_is_none_of_thousands(
    mark: str, user: Path
) -> None:
    path = user / "my.csv"
    heat = np.resize(np.array(["1234", "5,678", "12500", "7,125"]), 480)
    pd.DataFrame({"date": ISO, "load": POINTS, "heat": heat}).to_csv(path, sep=mark, index=False)
    with pytest.raises(UserError, match="'5,678' has a comma between its thousands, or a decimal"):
        mend(path, user / "new.csv")


def test_an_option_of_the_whole_file_changes_no_column_that_is_written_otherwise(
    user: Path,
) -> None:
    path, new = user / "my.csv", user / "new.csv"
    labels = np.resize(np.array(["NA", "-", "007", "1E5"]), 480)
    load = [text if n % 9 else "-" for n, text in enumerate(POINTS)]
    columns = {"date": ISO, "load": load, "label": labels, "heat": VALUES}
    pd.DataFrame(columns).to_csv(path, index=False)
    mend(path, new)
    assert pd.read_csv(new, dtype="str", keep_default_na=False)["label"].tolist() == labels.tolist()
    half = [text.replace(".", ",") for text in POINTS]
    either = np.resize(np.array(["1,234", "56,789"]), 480)
    pd.DataFrame({"date": ISO, "load": half, "either": either}).to_csv(path, index=False)
    with pytest.raises(UserError, match="'1,234' has a comma between its thousands, or a decimal"):
        mend(path, new)
    assert pd.read_csv(new)["load"].tolist() == VALUES


@pytest.mark.parametrize("first", ["(5.0)", "\u22125.0", "<5.0"])
def test_a_first_row_with_a_number_in_it_is_none_of_units(first: str, user: Path) -> None:
    path, new = user / "my.csv", user / "new.csv"
    months = pd.date_range("2020-01-01", periods=48, freq="MS").strftime("%b %Y")
    pd.DataFrame({"date": months, "load": [first, *POINTS[1:48]]}).to_csv(path, index=False)
    with contextlib.suppress(UserError):
        mend(path, new)
    assert len(pd.read_csv(new if new.exists() else path)) == 48


def test_a_label_is_the_same_in_every_part_of_a_file(user: Path) -> None:
    """Pandas reads one of so many columns in parts of 512 rows."""
    path, empty = user / "my.csv", ";" * 1021
    rows = [site + empty for site in ["007"] * 600 + ["A01"] * 600]
    path.write_text("\n".join(["site" + empty, *rows]))
    sites = rewritten(path, sep=";").table(path)["site"]
    assert sites.value_counts().to_dict() == {"007": 600, "A01": 600}


def test_rows_between_two_stray_quotes_are_not_lost(user: Path) -> None:
    path = user / "my.csv"
    notes = ['"1 inch' if n in (5, 300) else '"a ""b"""' for n in range(480)]
    rows = [";".join(cells) for cells in zip(ISO, notes, POINTS, strict=True)]
    path.write_text("\n".join(["date;note;load", *rows]))
    told = "line 7: begins a cell in quotes that goes on behind them in line 8; delete the quotes "
    with pytest.raises(UserError, match=f"^{path}: {told}"):
        mend(path, user / "new.csv")
    path.write_text(path.read_text().replace('"1 inch', '"1\ninch"'))
    mend(path, user / "new.csv")
    assert len(propose(user / "new.csv").found.table.values) == 480


def test_a_unit_is_told_by_a_cell_that_has_it(write_csv: Callable[..., Path], user: Path) -> None:
    amperes = ["NA", *(f"{text} A" for text in POINTS[1:])]
    (done,) = mend(write_csv(FRAME.assign(load=amperes)), user / "new.csv")
    assert done.place == "line 3, column 'load'"
    assert done.what.startswith("'1052.5 A' has a unit, 'A'")


def test_cells_beyond_the_names_are_not_lost(user: Path) -> None:
    path = user / "my.csv"
    path.write_text("\n".join(["date;load", *(f"{time};1;2" for time in ISO)]))
    with pytest.raises(UserError, match=r"line 1: has no comma: .* fails to mend it \(ParserW"):
        mend(path, user / "new.csv")
    assert not (user / "new.csv").exists()


def test_what_pandas_fails_to_mend_is_told_in_one_line_of_the_new_file(user: Path) -> None:
    path, new = user / "my.csv", user / "new.csv"
    times = [f"{time:%d.%m.%Y} {time.hour + 1}:00" for time in FRAME["date"]]  # up to 24:00
    pd.DataFrame({"date": times, "load": POINTS}).to_csv(path, sep=";", index=False)
    with pytest.raises(UserError) as caught:
        mend(path, new)
    (told,) = str(caught.value).splitlines()
    assert told.startswith(f"{new}: line 2, column 'date': '01.03.2021 1:00' begins with the day, ")
    assert told.endswith("; mend it by hand")
    assert pd.read_csv(new)["load"].tolist() == VALUES


def test_which_of_two_values_at_a_time_is_right_is_left_to_the_user(
    write_csv: Callable[..., Path], user: Path
) -> None:
    path = write_csv(pd.concat([FRAME, FRAME[100:103].assign(load=0)]))
    with pytest.raises(UserError, match=f"^{path}: line 482, .* the first alone of those that sh"):
        mend(path, user / "new.csv")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (
            {"date": GERMAN, "load": COMMAS, "heat": [f"{n}.120" for n in range(1, 481)]},
            r"'1\.120' has a point between its thousands, or .*; leave out thousands='\.' if",
        ),
        (
            {"date": ISO, "heat": [f"{n}.120" for n in range(1, 481)]},
            r"'1\.120' has a point between its thousands, or .*; leave out thousands='\.' if",
        ),
        (
            {"date": ISO, "heat": [f"{n},120" for n in range(1, 481)]},
            "'1,120' has a comma between its thousands, or .*; put thousands=',' for decimal=',' ",
        ),
        (
            {"date": [f"{n % 28 + 1:02}.{n // 28 % 12 + 1:02}.60" for n in range(336)]},
            r"'01\.01\.60' may be of either century; .*; take 100 years off times that it puts",
        ),
        ({"date": ISO, "load": COMMAS, "load ": COMMAS}, "names column 'load' twice; rename one"),
    ],
)
def test_what_may_be_read_either_way_is_told_with_both(
    columns: dict[str, object], told: str, user: Path
) -> None:
    frame = pd.DataFrame(columns).rename(columns=str.strip).assign(last=1)
    frame.to_csv(user / "my.csv", sep=";", index=False)
    with pytest.raises(UserError, match=f"^{user / 'my.csv'}: line 1: .*{told}"):
        mend(user / "my.csv", user / "new.csv")
    assert not (user / "new.csv").exists()


@pytest.mark.parametrize("mark", [",", "."])
def test_marks_that_stand_twice_in_a_number_are_of_thousands(mark: str, user: Path) -> None:
    millions = [f"{n:,}".replace(",", mark) for n in range(999_000, 999_000 + 3000 * 480, 3000)]
    pd.DataFrame({"date": ISO, "load": millions}).to_csv(user / "my.csv", sep=";", index=False)
    mend(user / "my.csv", user / "new.csv")
    values = propose(user / "new.csv").found.table.values[:, 0]
    np.testing.assert_array_equal(values, 999_000 + 3000 * np.arange(480))


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M"])
def test_a_series_may_be_called_as_what_is_missing_or_as_a_number_is_not(
    form: str, write_csv: Callable[..., Path], user: Path
) -> None:
    frame = FRAME.assign(date=FRAME["date"].dt.strftime(form))
    for names in (["NA", "None"], ["007", "x07"]):
        long = frame.set_axis(["date", *names], axis=1).melt("date", var_name="region")
        mend(write_csv(long), user / "new.csv")
        found = propose(user / "new.csv").found.table
        assert found.channels == tuple(names)
        np.testing.assert_array_equal(found.values, FRAME[["load", "heat"]])


def test_what_a_sign_or_a_number_says_is_not_thrown_away(
    write_csv: Callable[..., Path], user: Path
) -> None:
    for sign in "-+":
        signed = [f"{text}{sign}" for text in POINTS]
        mend(write_csv(FRAME.assign(load=signed)), user / "new.csv")
        told = pd.read_csv(user / "new.csv")["load"].tolist()
        assert told == ([-value for value in VALUES] if sign == "-" else signed)
    path = write_csv(FRAME.assign(load=["0,5", "0,5", *POINTS[2:]]))
    with pytest.raises(UserError, match=f"^{path}: line 2, .*'0,5' is no number, unlike 478 of "):
        mend(path, user / "new.csv")


@pytest.mark.parametrize("date", [GERMAN, (FRAME["date"] - pd.Timestamp(0)) // pd.Timedelta("1s")])
def test_numbers_that_are_called_like_a_time_are_none_beside_one(
    date: pd.Series, write_csv: Callable[..., Path], user: Path
) -> None:
    path = write_csv(pd.DataFrame({"downtime": np.arange(2000, 1520, -1), "date": date}))
    mend(path, user / "new.csv")
    found = propose(user / "new.csv")
    assert found.card.time_column == "date"
    np.testing.assert_array_equal(found.found.table.timestamps, FRAME["date"].to_numpy())


def test_a_time_in_each_day_is_not_that_of_its_row(
    write_csv: Callable[..., Path], user: Path
) -> None:
    days = table(200, "D").rename(columns={"heat": "sunrise"})
    text = days.assign(date=days["date"].dt.strftime("%d.%m.%Y"))
    mend(write_csv(text.assign(sunrise=[f"06:{n % 60:02}" for n in range(200)])), user / "new.csv")
    found = propose(user / "new.csv").found.table
    np.testing.assert_array_equal(found.timestamps, days["date"].to_numpy())


def test_a_table_to_be_turned_round_keeps_its_cells_under_their_names(user: Path) -> None:
    names = ",".join(["site", *ISO])
    for head, tail in ((names, ","), (f"{names},{ISO[0]}", ",1")):
        rows = [",".join([site, *POINTS]) + tail for site in ("A", "NA")]
        (user / "my.csv").write_text("\n".join([head, *rows]))
        if tail != ",":
            with pytest.raises(UserError, match="names column '2021-03-01 00:00' twice; rename"):
                mend(user / "my.csv", user / "new.csv")
            continue
        mend(user / "my.csv", user / "new.csv")
        found = propose(user / "new.csv").found.table
        assert found.channels == ("A", "NA")
        np.testing.assert_array_equal(found.values, np.transpose([VALUES, VALUES]))
