"""Empty cells and absent times: refused, filled or masked, as the card says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.data.load import describe
from benchmark.data.load import load as load_series
from benchmark.data.missing import interpolate
from benchmark.errors import UserError

FILL = {"missing": "interpolate", "interpolate_limit": 2}
MASK = {"missing": "mask"}


def filled_by_hand(column: list[float | None], stops: list[int]) -> list[float]:
    """What the module says of `interpolate`, cell by cell."""
    result: list[float] = []
    for row, value in enumerate(column):
        start = max((0, *(stop for stop in stops if stop <= row)))
        stop = min(stop for stop in stops if stop > row)
        later = [i for i in range(row, stop) if column[i] is not None]
        before = [i for i in range(start, row + 1) if column[i] is not None]
        if value is not None:
            result.append(value)
        elif not before or not later:
            result.append(result[-1])
        else:
            a, b = before[-1], later[0]
            low, high = column[a], column[b]
            assert low is not None
            assert high is not None
            result.append(low + (high - low) * (row - a) / (b - a))
    return result


@given(data=st.data(), rows=st.integers(4, 40))
def test_interpolation_is_that_of_a_loop_over_cells(data, rows):
    cells = st.one_of(st.none(), st.floats(-100, 100))
    columns = [
        [data.draw(st.floats(-9, 9)), *data.draw(st.lists(cells, min_size=rows, max_size=rows))]
        for _ in range(2)
    ]
    stops = sorted(data.draw(st.sets(st.integers(1, rows), min_size=2, max_size=3)) | {rows + 1})
    values = np.array(columns, dtype=float).T
    expected = np.array([filled_by_hand(column, stops) for column in columns]).T
    np.testing.assert_allclose(interpolate(values, stops), expected, atol=1e-9)


def test_a_filled_value_never_depends_on_a_later_split():
    values = np.random.default_rng(0).normal(size=(30, 2))
    values[[3, 9, 10, 11, 19, 20, 29]] = np.nan
    filled = interpolate(values, [10, 20, 30])
    for stop in (10, 20):
        changed = values.copy()
        changed[stop:] = 1e6
        np.testing.assert_array_equal(interpolate(changed, [10, 20, 30])[:stop], filled[:stop])


def test_without_a_policy_a_gap_or_an_empty_cell_is_an_error(make_card, write, rows):
    del rows[3]
    write(rows)
    with pytest.raises(UserError, match=r"line 4, .*03:00:00 is 2:00:00 after .*, not h; mend"):
        load_series(make_card())


@pytest.mark.parametrize("cell", ["", " ", "NA", "NaN", "nan", "null", "None", "N/A"])
def test_empty_cells_and_absent_times_become_masked_rows_of_a_regular_grid(
    cell, make_card, write, rows
):
    rows[2] = f"2020-01-01 01:00:00,{cell},20"
    del rows[3]
    write(rows)
    card = make_card(**MASK, splits={"train": 3, "val": 1, "test": 1})
    for _ in range(2):  # the second time from the cache
        series = load_series(card)
        np.testing.assert_array_equal(series.values[:, 0], [1.5, np.nan, np.nan, 4.5, 5.5])
        np.testing.assert_array_equal(series.values[:, 1], [10, 20, np.nan, 40, 50])
        assert [str(time)[11:13] for time in series.timestamps] == ["00", "01", "02", "03", "04"]
    assert describe(card)["masked"] == "3 of 10 values (30.00%)"


def test_the_same_gaps_are_filled_within_each_split(make_card, write, rows):
    rows[2] = "2020-01-01 01:00:00,,20"
    del rows[3]
    write(rows)
    series = load_series(make_card(**FILL))  # train rows 0-2, val 2-3, test 3-4, and one more
    np.testing.assert_array_equal(series.values[:, 0], [1.5, 1.5, 1.5, 4.5, 5.5])
    np.testing.assert_array_equal(series.values[:, 1], [10, 20, 20, 40, 50])
    rows[2] = "2020-01-01 01:00:00,2.5,20"
    write([*rows, "2020-01-01 05:00:00,6.5,60"])
    series = load_series(make_card(**FILL, splits={"train": 4, "val": 1, "test": 1}))
    assert series.values[2].tolist() == [3.5, 30]


@pytest.mark.parametrize(
    ("drop", "change", "message"),
    [
        (
            [3, 3, 3],
            None,
            "line 4, column 'load': 3 values in a row are missing from .*02:00",
        ),
        ([], (1, ",10"), "line 2, column 'load': the first value is missing, and none stands"),
        ([2], (3, "3.5,x"), "line 3, column 'heat': 'x' is not a number"),
        ([2], (3, "3.5"), "line 3: has 2 cells, the file has 3 columns"),
        ([2], (3, "3.5,inf"), "line 3, column 'heat': 'inf' is infinite"),
        ([2], (3, "3.5,True"), "line 3, column 'heat': 'True' is not a number"),
    ],
)
def test_what_cannot_be_filled_is_named(drop, change, message, make_card, write, rows):
    rows.append("2020-01-01 05:00:00,6,60")
    if change:
        line, cells = change
        rows[line] = f"{rows[line].partition(',')[0]},{cells}"
    for line in drop:
        del rows[line]
    path = write(rows)
    with pytest.raises(UserError, match=message) as caught:
        load_series(make_card(**FILL))
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(("header", "line"), [(True, 4), (False, 3)])
def test_a_gap_is_named_by_its_line_where_no_column_holds_times(
    header, line, make_card, write, rows
):
    cells = [row.partition(",")[2] for row in rows]
    path = write([cells[0]] * header + [cells[1], cells[2], ",30", ",40", ",50", "6,60"])
    card = make_card(**FILL, header=header, time_column=None, start="2020-01-01")
    message = (
        f"{path}: line {line}, column 'load': 3 values in a row are missing from 2020-01-01 02"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        load_series(card)


@pytest.mark.parametrize(
    ("line", "time", "message"),
    [
        (3, "2020-01-01 01:30:00", "line 4, .*01:30:00 is 0:30:00 after"),
        (3, "2020-01-01 01:00:00", "line 4, .*01:00:00 stands there twice"),
        (4, "2020-01-01 00:00:00", "line 5, .*00:00:00 stands after"),
        (5, "2021-01-01 00:00:00", r"holds 5 of the 8,785 times .*; correct the frequency"),
    ],
)
def test_times_off_the_grid_are_refused_under_any_policy(
    line, time, message, make_card, write, rows
):
    rows[line] = f"{time},{rows[line].partition(',')[2]}"
    write(rows)
    with pytest.raises(UserError, match=message):
        load_series(make_card(**MASK))


def test_a_channel_that_a_split_knows_nothing_of_is_named(make_card, write, rows):
    rows[3] = rows[3].rpartition(",")[0] + ","
    write(rows)
    with pytest.raises(UserError, match="column 'heat': holds no value in the val split"):
        load_series(make_card(**MASK))


def test_a_policy_is_part_of_the_digest_but_error_is_not(make_card, write, rows):
    write(rows)
    cards = [{}, MASK, FILL, FILL | {"interpolate_limit": 3}]
    series = [load_series(make_card(**fields)) for fields in cards]
    assert len({one.digest for one in series}) == 4
    assert all(np.array_equal(one.values, series[0].values) for one in series)


def test_columns_left_out_are_not_looked_at(make_card, write, rows):
    rows = [rows[0] + ",note", *(f"{row},ok {n}" for n, row in enumerate(rows[1:]))]
    write(rows)
    with pytest.raises(UserError, match="column 'note' is not in the card; add it to channels or"):
        load_series(make_card())
    named = load_series(make_card(left_out=["note"]))
    assert named.channels == ("load", "heat")
    assert load_series(make_card(left_out=["note"], channels=2)).digest == named.digest
    rows[3] = rows[3].replace("30", "")
    write(rows)
    with pytest.raises(UserError, match="line 4, column 'heat': is empty"):
        load_series(make_card(left_out=["note"]))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.sets(st.integers(1, 10)))
def test_any_times_may_be_absent_without_moving_the_others(kept, make_card, write):
    hours = sorted({0, *range(7, 12), *kept})
    lines = [f"2020-01-01 {hour:02}:00:00,{hour},{-hour}" for hour in hours]
    write(["date,load,heat", *lines])
    card = make_card(**MASK, splits={"train": 7, "val": 2, "test": 2})
    column = load_series(card).values[:, 0]
    expected = [hour if hour in hours else np.nan for hour in range(12)]
    np.testing.assert_array_equal(column, expected)
