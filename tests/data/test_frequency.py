"""A time step means what pandas means by it; between any two times lie as many as a walk finds."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.frequency import Frequency

STEPS = ("30s", "15min", "h", "2h", "D", "W", "MS", "3MS", "12MS", "ME", "3ME", "B", "5B")
CLOCK = pd.Timedelta("09:30:00")

starts = st.datetimes(pd.Timestamp("1950-01-01"), pd.Timestamp("2050-01-01"))


def grid(step: str, start: object, rows: int = 40) -> np.ndarray:
    """Times of pandas, beside each day's start as well."""
    days = pd.date_range(pd.Timestamp(start).normalize(), periods=rows, freq=step)
    return (days + CLOCK).to_numpy().astype("datetime64[s]")


@pytest.mark.parametrize("step", STEPS)
@settings(max_examples=40)
@given(start=starts, data=st.data())
def test_steps_are_counted_and_laid_out_as_pandas_does(
    step: str, start: object, data: st.DataObject
) -> None:
    frequency, times = Frequency.parse(step), grid(step, start)
    kept = np.array(sorted(data.draw(st.sets(st.integers(0, 39), min_size=2))))
    np.testing.assert_array_equal(frequency.between(times[kept]), np.diff(kept))
    np.testing.assert_array_equal(frequency.between(times[kept[::-1]]), -np.diff(kept)[::-1])
    first = kept[0]
    np.testing.assert_array_equal(frequency.after(times[first], kept - first), times[kept])


@pytest.mark.parametrize("step", STEPS)
@settings(max_examples=40)
@given(start=starts, seconds=st.integers(1, 10_000_000))
def test_a_number_of_steps_is_whole_exactly_where_it_leads_from_one_time_to_the_next(
    step: str, start: object, seconds: int
) -> None:
    frequency, time = Frequency.parse(step), grid(step, start)[0]
    other = time + np.timedelta64(seconds, "s")
    (apart,) = frequency.between(np.array([time, other]))
    reached = frequency.after(time, np.arange(1, 400_000 if step == "30s" else 12_000))
    found = bool((reached == other).any())
    assert bool(apart) == found == (frequency.after(time, apart) == other)


@pytest.mark.parametrize(
    ("step", "times"),
    [
        ("h", ["2020-01-01 00:00", "2020-01-01 01:30"]),
        ("MS", ["2020-01-15", "2020-02-14"]),
        ("MS", ["2020-01-15 06:00", "2020-02-15 07:00"]),
        ("MS", ["2020-01-29", "2020-03-29"]),  # which most months have, but no February
        ("3MS", ["2020-01-01", "2020-03-01"]),
        ("ME", ["2020-01-31", "2020-02-28"]),
        ("B", ["2020-01-03", "2020-01-04"]),  # Friday, Saturday
        ("B", ["2020-01-04", "2020-01-06"]),
        ("B", ["2020-01-03 06:00", "2020-01-06 07:00"]),
        ("D", ["2020-01-03", "2020-01-03"]),
    ],
)
def test_what_is_no_whole_number_of_steps_is_none(step: str, times: list[str]) -> None:
    assert Frequency.parse(step).between(np.array(times, dtype="datetime64[s]")) == [0]


@pytest.mark.parametrize(
    ("step", "day", "what"),
    [
        ("B", "2020-01-04", "is a Saturday, and the step is a working day (B)"),
        ("MS", "2020-01-29", "is after the 28th of its month, and the step is a month (MS)"),
        ("3ME", "2020-01-30", "is not the last day of its month, and the step is 3 months (3ME)"),
    ],
)
def test_a_time_at_which_no_step_begins_has_none_after_it(step: str, day: str, what: str) -> None:
    assert Frequency.parse(step).misfit(np.datetime64(day)) == what
    with pytest.raises(ValueError, match=re.escape(what)):
        Frequency.parse(step).after(np.datetime64(day, "s"), np.arange(3))


@pytest.mark.parametrize("time", ["2020-01-15 06:00:00", "2020-01-28 23:59:59"])
def test_a_month_may_begin_on_any_day_that_every_month_has(time: str) -> None:
    month, start = Frequency.parse("MS"), np.datetime64(time)
    later = np.array([start, np.datetime64(time.replace("-01-", "-02-"))])
    assert month.misfit(start) == ""
    assert month.between(later).tolist() == [1]
    np.testing.assert_array_equal(month.after(start, np.arange(2)), later)


@pytest.mark.parametrize("text", ["", "M", "0h", "-1D", "1.5h", "QS", "month", "h ", "1234567s"])
def test_what_is_no_step_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("is no step in s, min, h, D, W, MS, ME or B")):
        Frequency.parse(text)


@pytest.mark.parametrize(
    ("text", "cure"),
    [("M", "MS or ME"), ("2Q", "3MS or 3ME"), ("QS-OCT", "3MS"), ("H", "h"), ("W-SUN", "W")],
)
def test_a_step_by_another_name_is_told_by_ours(text: str, cure: str) -> None:
    with pytest.raises(ValueError, match=f"; write {cure}$"):
        Frequency.parse(text)


@pytest.mark.parametrize(
    ("text", "words"), [("1h", "h"), ("B", "a working day"), ("12ME", "12 months"), ("2W", "2W")]
)
def test_a_step_is_called_what_a_person_calls_it(text: str, words: str) -> None:
    assert Frequency.parse(text).words == words
