"""Values worth a word: channels that stand still, and what a logger writes for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from benchmark.data.remarks import MOST_ALIKE, remarks

TRAIN = range(60)


def one(column):
    return remarks(["a"], np.asarray(column, dtype=float)[:, None], TRAIN)


def wave(length=100):
    return 20 + 5 * np.sin(np.arange(length))


@pytest.mark.parametrize("code", [-999.0, 9999.0, 0.0])
@pytest.mark.parametrize("cells", [1, 5])
def test_a_code_among_measurements_is_told_with_its_number_of_cells(code, cells):
    values = wave()
    values[10 : 10 + cells] = code
    told = one(values)["far off"]
    plural = "s" if cells > 1 else ""
    assert told.startswith(f"a: {code:.10g} in {cells} cell{plural}, the others lie from 15")
    assert told.endswith("empty these cells in the file if they mean that nothing was measured")


@pytest.mark.parametrize(
    "values",
    [
        wave(),
        np.where(np.arange(100) % 7, wave(), np.nan),
        np.arange(100) % 2,  # a switch
        np.where(np.arange(100) == 3, 1.0, 0.0),  # an event
        np.where(np.arange(100) % 10, wave(), 0.0),  # a state of its own: a tenth of the time
        np.random.default_rng(0).standard_normal(100),
        np.random.default_rng(0).exponential(size=100),
    ],
)
def test_what_is_measured_is_not(values):
    assert one(values) == {}


@pytest.mark.parametrize(("count", "rows"), [(1, "row"), (12, "12 rows")])
def test_rows_after_the_last_value_are_told(count, rows):
    values = np.stack([wave(), wave()], axis=1)
    values[-count:] = values[-count - 1, 0] = np.nan
    told = remarks(["a", "b"], values, TRAIN)
    assert told == {
        "at the end": f"no value in the last {rows}: test rows unless taken out of the file"
    }


@given(arrays.arrays(float, st.integers(60, 90), elements=st.floats(-100, 100, width=16)))
def test_nothing_is_told_but_of_a_value_that_few_have_and_nobody_comes_near(values):
    told = one(values).get("far off", "")
    if told:
        value = values[np.abs(values - float(told.split()[1])).argmin()]  # told to ten digits
        others = values[values != value]
        assert np.abs(others - value).min() > np.ptp(others) > 0
        assert len(values) - len(others) <= MOST_ALIKE * len(values)


def test_a_channel_of_few_whole_numbers_may_be_of_the_calendar():
    rows = np.arange(2000)
    channels = {
        "holiday": rows % 50 == 0,
        "hour": rows % 24,
        "minute": rows % 60,
        "half": rows % 24 / 2,
        "wave": np.sin(rows) * rows,
    }
    values = np.stack(list(channels.values()), axis=1).astype(float)
    told = remarks(list(channels), values, range(1500))
    assert told["few values"].startswith("holiday (2), hour (24); ")
    assert "left_out" in told["few values"]
    assert "few values" not in remarks(list(channels), values[:400], range(300))


def test_a_channel_that_changes_by_rounding_alone_stands_still():
    still = np.where(np.arange(100) % 2, 0.1 + 0.2, 0.3)
    later = still.copy()
    later[80] = 0.31
    told = remarks(["a", "b", "c"], np.stack([still, later, wave()], axis=1), TRAIN)
    assert told == {
        "constant": "a (0.3) always: easy, and counts in every mean; "
        "b (0.3) in train, not after: unscaled, may outweigh all"
    }


def test_a_channel_that_stands_still_is_told_apart_by_what_it_does_later():
    still, later, missing = np.full(100, 3.0), np.full(100, 4.0), np.full(100, 5.0)
    later[80] = 7
    missing[70:] = np.nan
    told = remarks(["a", "b", "c", "d"], np.stack([still, later, missing, wave()], axis=1), TRAIN)
    assert told == {
        "constant": "a (3), c (5) always: easy, and counts in every mean; "
        "b (4) in train, not after: unscaled, may outweigh all"
    }
