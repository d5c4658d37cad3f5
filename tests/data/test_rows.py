"""Rows of a file that a fitted model is used on."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from users_table import written_anew

from benchmark.config import validate
from benchmark.data.card import DatasetCard
from benchmark.data.rows import Rows, read_rows
from benchmark.errors import UserError

CHANNELS = ("load", "heat")
CARD: dict[str, Any] = {
    "name": "toy", "title": "t", "file": "toy.csv", "licence": "none", "citation": "none",
    "frequency": "15min", "time_column": "when", "channels": list(CHANNELS),
    "splits": {"train": 0.7, "val": 0.1, "test": 0.2}, "season": 4,
}  # fmt: skip
ROWS = [
    ["2024-02-29 23:30:00", "1.5", "-2"],
    ["2024-02-29 23:45:00", "1e1", "0.25"],
    ["2024-03-01 00:00:00", "3", "4"],
]


def text_of(rows: Sequence[Sequence[str]], header: Sequence[str] = ("when", *CHANNELS)) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()


def read(path: Path, needed: int = 3, *, whole: bool = False, **card: Any) -> Rows:
    return read_rows(
        validate(DatasetCard, CARD | card, "toy.yaml"), CHANNELS, path, needed, whole=whole
    )


@settings(deadline=None, max_examples=40)
@given(
    order=st.permutations(["when", *CHANNELS, "note", "wind"]),
    earlier=st.lists(
        st.tuples(st.sampled_from(["", "yesterday", "2024-03-01"]), st.text("ab1,\"'", max_size=3))
    ),
)
def test_columns_may_stand_in_any_order_beside_others_after_rows_that_are_not_used(
    order: list[str], earlier: list[tuple[str, str]]
) -> None:
    rows = [{"when": time, "load": cell, "heat": cell} for time, cell in earlier]
    rows += [dict(zip(("when", *CHANNELS), row, strict=True)) for row in ROWS]
    cells = [[row.get(column, "n/a") for column in order] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.csv"
        path.write_text(text_of(cells, order), encoding="utf-8")
        found = read(path)
    assert found.values.tolist() == [[1.5, -2.0], [10.0, 0.25], [3.0, 4.0]]
    assert found.timestamps.astype(str).tolist() == [row[0].replace(" ", "T") for row in ROWS]
    assert found.ignored == tuple(name for name in order if name in ("note", "wind"))


def with_cell(line: int, column: int, cell: str) -> str:
    rows = [list(row) for row in ROWS]
    rows[line - 2][column] = cell
    return text_of(rows)


MEND = "mend the line"
UP_TO = f"{MEND}, or leave out all rows up to it"
STEPS = "the model reads rows in time order, frequency 15min: "
TIME = "write e.g. 2016-07-01 00:15:00, in UTC or standard time"
SORT = "sort them: benchmark datasets mend "
UTC = "write all times in UTC: benchmark datasets mend "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (with_cell(3, 1, ""), f": line 3, column 'load': is empty; {MEND}"),
        (with_cell(3, 1, "nan"), f": line 3, column 'load': 'nan' is not a number; {MEND}"),
        (with_cell(4, 2, "1e999"), f": line 4, column 'heat': '1e999' is infinite; {MEND}"),
        (with_cell(4, 2, "4,5"), f": line 4, column 'heat': '4,5' is not a number; {MEND}"),
        (with_cell(3, 0, ""), f": line 3, column 'when': is empty; {TIME}"),
        (
            with_cell(3, 0, "2024-02-29 23:45:00Z"),
            f": line 3, column 'when': '2024-02-29 23:45:00Z' has a time zone; {UTC}",
        ),
        (
            with_cell(4, 0, "2024-03-01 00:15:00"),
            ": line 4, column 'when': 2024-03-01 00:15:00 is 0:30:00 after 2024-02-29 23:45:00, "
            f"not 15min; {STEPS}{MEND}",
        ),
        (
            with_cell(3, 0, "2024-02-29 23:30:00"),
            f": line 3, column 'when': 2024-02-29 23:30:00 stands there twice; {STEPS}{MEND}",
        ),
        (
            with_cell(4, 0, "2024-02-29 23:40:00"),
            ": line 4, column 'when': 2024-02-29 23:40:00 stands after 2024-02-29 23:45:00, "
            f"so the rows are not in time order; {SORT}",
        ),
        (
            text_of([[row[0], row[2]] for row in ROWS], ["when", "heat"]),
            ": line 1: column 'load' is missing; add it",
        ),
        (
            text_of(ROWS, ["when", "Load", "heat"]),
            ": line 1: column 'load' is missing; did you mean 'Load'?",
        ),
        (
            text_of(ROWS, ["date", "load", "heat"]),
            ": line 1: column 'when' is missing; the file has date, load, heat",
        ),
        (
            text_of([[*row, "1"] for row in ROWS], ["when", "load", "heat", "load"]),
            ": line 1: names column 'load' twice; rename one of them",
        ),
        (text_of(ROWS[1:]), ": holds 2 rows up to its last value, 3 are needed; add earlier rows"),
        (text_of(ROWS[2:]), ": holds 1 row up to its last value, 3 are needed; add earlier rows"),
        (
            text_of(ROWS) + "2024-03-01 00:15:00,1\n",
            ": line 5: has 2 cells, the file has 3 columns; mend the line",
        ),
        (text_of(ROWS) + "\n", ": line 5: is blank; delete it"),
        (
            text_of(ROWS).replace("2024-02-29 23:45:00", '"2024-02-29" 23:45:00'),
            """: line 3: is not CSV (',' expected after '"'); """
            "name a CSV file whose first line names its columns",
        ),
        ("", ": line 1: is empty; name a CSV file whose first line names its columns"),
        (
            "<!doctype html>\n",
            ": line 1: is a web page, not a CSV file; "
            "name a CSV file whose first line names its columns",
        ),
    ],
)
def test_a_fault_is_told_by_file_line_column_and_cure(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "new.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    if told.endswith((SORT, UTC)):  # the command's file and a line of pandas follow
        message = message.partition(f"mend {path}; or with pandas: pd.read_csv(")[0] + "mend "
    assert message == f"{path}{told}"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (19, ", or leave it out"),
        (12, ", or leave out all rows from it on"),
        (11, ""),
        (9, ""),
        (7, ", or leave out all rows up to it"),
    ],
)
@pytest.mark.parametrize("fault", ["value", "step"])
def test_rows_are_to_be_left_out_on_the_side_that_others_remain_of(
    tmp_path: Path, row: int, told: str, fault: str
) -> None:
    path = tmp_path / "new.csv"
    times = np.datetime64("2024-03-01T00:00:00") + np.arange(20) * np.timedelta64(15, "m")
    rows = [[str(time), "1", "2"] for time in times]
    if fault == "value":
        rows[row][1] = ""
    else:
        for late in rows[row:]:
            late[0] = str(np.datetime64(late[0]) + np.timedelta64(1, "D"))
    path.write_text(text_of(rows))
    with pytest.raises(UserError, match=rf"line {row + 2}, .*; .*mend the line{told}$"):
        read(path, 12, whole=True)
    if "up to" in told:  # the last rows are read, and are sound
        assert len(read(path, 12).values) == 12
        return
    with pytest.raises(UserError, match=rf"line {row + 2}, .*mend the line{told}$"):
        read(path, 12)
    if told:
        path.write_text(text_of(rows[:row]))
        assert len(read(path, 12).values) == 12


def test_a_single_row_may_be_all_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(text_of(ROWS))
    assert read(path, 1).values.tolist() == [[3.0, 4.0]]


def test_all_missing_columns_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("when,x,y\n2024-01-01,1,2\n")
    with pytest.raises(UserError) as caught:
        read(path)
    assert [line.split("; ")[0] for line in str(caught.value).split("\n")] == [
        f"{path}: line 1: column '{name}' is missing" for name in CHANNELS
    ]


def test_the_whole_file_is_held_to_what_its_last_rows_are(tmp_path: Path) -> None:
    path = tmp_path / "new.csv.gz"
    path.write_bytes(gzip.compress(with_cell(2, 1, "?").encode()))
    assert len(read(path, 2).values) == 2
    with pytest.raises(UserError, match=r"line 2, column 'load': '\?' is not a number"):
        read(path, 2, whole=True)
    path.write_bytes(gzip.compress(text_of(ROWS).encode()))
    assert read(path, 2, whole=True).values.shape == (3, 2)


def test_a_long_file_takes_no_more_memory_than_the_rows_that_are_used(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    times = np.datetime64("2023-01-01T00:00:00") + np.arange(20_000) * np.timedelta64(15, "m")
    rows = [[str(time), str(n), "1"] for n, time in enumerate(times)]
    path.write_text(text_of(rows))
    read(path)  # what is imported for it stays
    tracemalloc.start()
    try:
        found = read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.values[:, 0].tolist() == [19_997, 19_998, 19_999]
    assert peak < 1_000_000  # all of its cells take several times as much
    rows[-2][1] = "?"
    path.write_text(text_of(rows))
    with pytest.raises(UserError, match=r"line 20000, column 'load': '\?' is not a number"):
        read(path)


def test_a_data_set_without_times_is_used_on_files_that_have_them(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(text_of(ROWS, ["date", *CHANNELS]))
    found = read(path, time_column=None, start="1990-01-01")
    assert found.timestamps[-1] == np.datetime64("2024-03-01T00:00:00")


def test_one_irregular_step_that_the_data_set_had_excuses_none_here(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(with_cell(4, 0, "2024-03-01 01:00:00"))
    with pytest.raises(UserError, match=r"line 4, column 'when': .* is 1:15:00 after"):
        read(path, irregular_steps=1)


def test_text_that_is_not_in_the_data_sets_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    for line, name in enumerate(["wärme", "note"]):
        columns = ["when", *CHANNELS, name]
        rows = [[*row, "ä"] for row in ROWS]
        path.write_bytes(text_of(rows, columns).encode("latin-1"))
        told = f"new.csv: line {line + 1}: is not utf-8 text .byte 0xe4.; write it as utf-8:"
        with pytest.raises(UserError, match=f"{told} .*, encoding='cp1252'") as caught:
            read(path)
        assert "ä" in written_anew(caught.value.cure).read_text("utf-8")


def test_a_letter_that_the_end_of_the_file_cuts_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    columns = ["when", *CHANNELS, "note"]
    text = text_of([[*row, "ä"] for row in ROWS], columns).rstrip("\n")
    path.write_bytes(text.encode()[:-1])
    with pytest.raises(UserError, match=f"new.csv: line {len(ROWS) + 1}: is not utf-8 text"):
        read(path)


GAPPY = text_of(
    [
        ["2024-02-29 23:30:00", "", "-2"],
        ["2024-02-29 23:45:00", "1", "NA"],
        ["2024-03-01 00:30:00", "4", " "],
        ["2024-03-01 00:45:00", "", "8"],
        ["2024-03-01 01:00:00", "", "9"],
    ]
)
NAN = float("nan")


def test_where_the_card_masks_what_is_missing_is_nan_on_a_grid_of_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(GAPPY)
    found = read(path, 3, missing="mask")
    expected = [[NAN, -2], [1, NAN], [NAN, NAN], [NAN, NAN], [4, NAN], [NAN, 8], [NAN, 9]]
    np.testing.assert_array_equal(found.values, expected)
    assert (np.diff(found.timestamps) == np.timedelta64(15, "m")).all()
    assert found.timestamps[-1] == np.datetime64("2024-03-01T01:00:00")
    assert len(read(path, 7, missing="mask").values) == 7  # absent times count
    with pytest.raises(
        UserError,
        match=r"new.csv: holds 7 rows up to its last value, 8 are needed; add earlier rows",
    ):
        read(path, 8, missing="mask")
    path.write_text(text_of([]))
    with pytest.raises(
        UserError,
        match=r"new.csv: holds 0 rows up to its last value, 8 are needed; add earlier rows",
    ):
        read(path, 8, missing="mask")


def test_where_the_card_interpolates_so_are_the_rows_within_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(GAPPY.replace("23:30:00,,", "23:30:00,0,"))
    found = read(path, missing="interpolate", interpolate_limit=4)
    assert found.values[:, 0].tolist() == [0, 1, 2, 3, 4, 4, 4]  # nothing ends the last gap
    assert found.values[:, 1].tolist() == [-2, 0, 2, 4, 6, 8, 9]
    with pytest.raises(UserError) as caught:
        read(path, missing="interpolate", interpolate_limit=3)
    assert str(caught.value) == (
        f"{path}: line 3, column 'heat': 4 values in a row are missing from 2024-02-29 23:45:00 "
        "on; fill them in the file, or leave out all rows up to there"
    )


@pytest.mark.parametrize("policy", [{"missing": "mask"}, {"missing": "interpolate"}])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (with_cell(3, 1, "?"), f": line 3, column 'load': '?' is not a number; {MEND}"),
        (with_cell(3, 1, "inf"), f": line 3, column 'load': 'inf' is infinite; {MEND}"),
        (with_cell(3, 0, ""), f": line 3, column 'when': is empty; {TIME}"),
        (
            with_cell(4, 0, "2024-03-01 00:10:00"),
            ": line 4, column 'when': 2024-03-01 00:10:00 is 0:25:00 after 2024-02-29 23:45:00, "
            f"not 15min; {STEPS}{UP_TO}",
        ),
        (
            with_cell(4, 0, "2042-03-01 00:00:00"),
            f": holds 3 of the 631,107 times from its first to its last; {STEPS}{UP_TO}",
        ),
        (text_of(ROWS) + "\n", ": line 5: is blank; delete it"),
    ],
)
def test_what_no_card_allows_is_refused_under_any(
    tmp_path: Path, policy: dict[str, str], text: str, told: str
) -> None:
    path = tmp_path / "new.csv"
    path.write_text(text)
    limit = {"interpolate_limit": 3} if policy["missing"] == "interpolate" else {}
    with pytest.raises(UserError) as caught:
        read(path, 2, **policy, **limit)
    assert str(caught.value) == f"{path}{told}"


@pytest.mark.parametrize(
    "policy",
    [{}, {"missing": "mask"}, {"missing": "interpolate", "interpolate_limit": 3}],
    ids=lambda policy: policy.get("missing", "error"),
)
@pytest.mark.parametrize("whole", [False, True])
def test_rows_after_the_last_value_are_times_to_come(
    tmp_path: Path, whole: bool, policy: dict[str, Any]
) -> None:
    path = tmp_path / "new.csv"
    later = [["2024-03-01 00:15:00", "", ""], ["2024-03-01 00:30:00", " ", "NaN"]]
    path.write_text(text_of([*ROWS, *later]))
    found = read(path, whole=whole, **policy)
    assert found.values.tolist() == [[1.5, -2.0], [10.0, 0.25], [3.0, 4.0]]
    assert found.timestamps[-1] == np.datetime64("2024-03-01T00:00:00")
    path.write_text(text_of(later))
    with pytest.raises(UserError, match="holds 0 rows up to its last value, 3 are needed"):
        read(path, whole=whole, **policy)


@pytest.mark.parametrize("missing", ["error", "mask"])
@pytest.mark.parametrize("whole", [False, True])
def test_the_newest_row_first_is_told_the_line_that_sorts_them(
    tmp_path: Path, whole: bool, missing: str
) -> None:
    path = tmp_path / "new.csv"
    path.write_text(text_of(ROWS[::-1]))
    with pytest.raises(UserError, match=r"line 3, .* not in time order; sort them: ") as caught:
        read(path, whole=whole, missing=missing)
    assert read(written_anew(caught.value.cure)).values[:, 0].tolist() == [1.5, 10.0, 3.0]


@pytest.mark.parametrize("step", ["15min", "1h"])
@pytest.mark.parametrize("missing", ["error", "mask"])
def test_an_hour_that_a_clock_put_back_repeats_is_neither_sorted_nor_dropped(
    tmp_path: Path, missing: str, step: str
) -> None:
    """Rows of 02:00 to 02:45 that stand there twice would be shuffled into each other."""
    utc = pd.date_range("2023-10-28", periods=200, freq=step, tz="UTC")
    local = utc.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M:%S")
    path = tmp_path / "new.csv"
    path.write_text(text_of([(time, str(row), "1") for row, time in enumerate(local)]))
    with pytest.raises(UserError, match="a clock is put back: write all times in UTC") as caught:
        read(path, whole=True, missing=missing, frequency=step)
    found = read(written_anew(caught.value.cure), whole=True, missing=missing, frequency=step)
    assert found.values[:, 0].tolist() == list(range(200))


@pytest.mark.parametrize("beside", [["note"], ["clock"], ["note", "note"]])
@pytest.mark.parametrize("form", ["%d.%m.%Y", "%m/%d/%Y"])
def test_the_day_or_the_month_first_is_told_the_line_that_mends_it(
    form: str, beside: list[str], tmp_path: Path
) -> None:
    times = np.datetime64("2024-03-25T00:00", "m") + 15 * np.arange(900)  # to 3 April
    rows = []
    for number, time in enumerate(times):
        day, clock = f"{time.item():{form} %H:%M}".split()
        when = day if "clock" in beside else f"{day} {clock}"
        rows.append([when, str(number), "1", *(clock for _ in beside)])
    path = tmp_path / "new.csv"
    path.write_text(text_of(rows, ("when", *CHANNELS, *beside)), encoding="utf-8")
    first = "month" if form.startswith("%m") else "day"
    with pytest.raises(UserError, match=rf"new\.csv: line 2, .* begins with the {first}") as caught:
        read(path)
    found = read(written_anew(caught.value.cure))
    assert found.timestamps.tolist() == times[-3:].astype("datetime64[s]").tolist()
    assert found.values[:, 0].tolist() == [897, 898, 899]


def test_semicolons_and_decimal_commas_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(text_of(ROWS).replace(",", ";").replace(".", ","))
    with pytest.raises(
        UserError, match=r"has no comma: .*read_csv\(.*, sep=';', decimal=',', index"
    ):
        read(path)
