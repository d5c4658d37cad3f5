"""A DataFrame forecasts the same from a model that was fitted and from the same model, loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark import Task, fit, load, load_dataset
from benchmark.api import Fitted
from benchmark.errors import UserError
from benchmark.harness.saved import SavedRun

Models = tuple[Fitted, SavedRun]
MASKED = ["mask", "interpolate"]
KEPT = slice(560, 600)


@pytest.fixture(params=["error", *MASKED])
def models(
    request: pytest.FixtureRequest, toy: Path, write_dataset: Callable[..., Path], values: Any
) -> Models:
    """A model of a data set under each policy, as it was fitted and as it is loaded."""
    gaps = values.copy()
    fields: dict[str, Any] = {"missing": request.param}
    if request.param in MASKED:
        gaps[300, 1] = np.nan
    if request.param == "interpolate":
        fields["interpolate_limit"] = 6
    write_dataset("ours", values=gaps, **fields)
    fitted = fit("ridge", Task(load_dataset("ours"), lookback=24, horizon=12))
    fitted.save("kept")
    return fitted, load("kept")


@pytest.fixture
def past(models: Models) -> pd.DataFrame:
    series = models[0].task.series
    times = pd.DatetimeIndex(series.timestamps[KEPT], name="date")
    return pd.DataFrame(series.values[KEPT], times, list(series.channels))


def same(models: Models, frame: pd.DataFrame) -> str:
    """Ask both models; return the error that both have, or nothing."""
    answers = []
    for ask in (models[0].forecast, lambda frame: models[1].forecast(frame).values):
        try:
            answers.append(ask(frame))
        except UserError as error:
            answers.append(str(error))
    if isinstance(answers[0], str):
        assert answers[0] == answers[1]
        return answers[0]
    np.testing.assert_array_equal(*answers)
    return ""


def without(frame: pd.DataFrame, rows: slice) -> pd.DataFrame:
    """Empty some rows."""
    frame = frame.copy()
    frame.iloc[rows] = np.nan
    return frame


Change = Callable[[pd.DataFrame], pd.DataFrame]
READ: dict[str, Change] = {
    "as they are": lambda t: t,
    "nothing at the end": lambda t: without(t, slice(-5, None)),
    "texts": lambda t: t.astype(str),
    "objects": lambda t: t.astype(object),
    "nullable": lambda t: t.convert_dtypes(),
    "a column of times": lambda t: t.reset_index(),
    "a column of texts": lambda t: t.reset_index().astype({"date": str}),
    "periods": lambda t: t.to_period("h"),
    "in UTC": lambda t: t.tz_localize("UTC"),
}
READ_WITH_GAPS: dict[str, tuple[Change, str]] = {
    "absent times": (lambda t: t.drop(t.index[-9:-6]), "is 4:00:00 after"),
    "a row without values": (lambda t: without(t, slice(-5, -4)), "is empty"),
    "every other row": (lambda t: t[::2], "holds 20 rows up to its last value, 24 are needed"),
}
REFUSED: dict[str, tuple[Change, str]] = {
    "the last row twice": (lambda t: pd.concat([t, t[-1:]]), "stands there twice"),
    "too few": (lambda t: t[-10:], "holds 10 rows up to its last value, 24 are needed"),
    "infinite": (lambda t: t.replace(t.iloc[-2, 1], np.inf), "'inf' is infinite"),
    "a text": (lambda t: t.astype(str).replace(str(t.iloc[-2, 1]), "?"), "'?' is not a number"),
    "days first": (
        lambda t: t.reset_index().assign(date=t.index.strftime("%d/%m/%Y %H:%M")),
        "begins with the day",
    ),
    "days first, in the index, from last to first": (
        lambda t: t.set_axis(t.index.strftime("%d/%m/%Y %H:%M").rename("date"))[::-1],
        "begins with the day",
    ),
}


@pytest.mark.parametrize("change", READ)
def test_a_frame_with_times_is_forecast_as_by_the_saved_model(
    models: Models, past: pd.DataFrame, change: str
) -> None:
    assert same(models, READ[change](past)) == ""


@pytest.mark.parametrize("change", READ_WITH_GAPS)
def test_what_is_missing_in_a_frame_is_what_it_was_in_the_data_set(
    models: Models, past: pd.DataFrame, change: str
) -> None:
    make, strict = READ_WITH_GAPS[change]
    told = same(models, make(past))
    assert (strict in told) if models[1].data.card.missing == "error" else not told


@pytest.mark.parametrize("change", REFUSED)
def test_a_frame_with_times_is_refused_as_by_the_saved_model(
    models: Models, past: pd.DataFrame, change: str
) -> None:
    make, told = REFUSED[change]
    assert told in same(models, make(past))


@pytest.fixture
def plain(toy: Path) -> Fitted:
    return fit("last_value", Task(load_dataset("toy"), lookback=24, horizon=12))


def dated(fitted: Fitted, times: pd.DatetimeIndex) -> pd.DataFrame:
    """Rows of the data set at other times."""
    series = fitted.task.series
    return pd.DataFrame(series.values[: len(times)], times, list(series.channels))


def test_a_frame_without_times_and_an_array_end_at_the_present(plain: Fitted) -> None:
    frame = dated(plain, pd.date_range("2020-01-01", periods=40, freq="h"))
    expected = plain.forecast(frame.to_numpy())
    counted = frame.reset_index(drop=True)
    named = frame.set_axis([f"row {n}" for n in range(40)])
    for rows in (frame, counted, counted.iloc[::-1].iloc[::-1], named, frame.rename_axis("when")):
        assert np.array_equal(plain.forecast(rows), expected)
    every_other = frame.iloc[::2]
    with pytest.raises(ValueError, match="must be of shape"):
        plain.forecast(every_other.reset_index(drop=True))


@pytest.mark.parametrize("freq", ["h", "D"])
def test_times_of_a_zone_are_refused_as_by_the_saved_model(
    toy: Path, write_dataset: Callable[..., Path], freq: str
) -> None:
    counted = {"time_column": None, "start": "2020-01-01 00:00:00", "left_out": ["date"]}
    write_dataset("zoned", frequency=freq, season=7, **counted)
    fitted = fit("last_value", Task(load_dataset("zoned"), lookback=24, horizon=12))
    fitted.save("kept")
    times = pd.date_range("2024-03-20", periods=300, freq=freq, tz="Europe/Berlin")
    frame = dated(fitted, times)
    cure = "write all times in UTC" if freq == "h" else "keep the local dates alone"
    for rows in (frame, frame.rename_axis("date").reset_index()):
        assert f"has a time zone; {cure}" in same((fitted, load("kept")), rows)
    mended = frame.tz_convert("UTC") if freq == "h" else frame.tz_localize(None)
    assert same((fitted, load("kept")), mended) == ""


@pytest.mark.parametrize("freq", ["ME", "MS", "W"])
def test_periods_are_read_by_the_days_that_the_data_set_has(
    toy: Path, write_dataset: Callable[..., Path], freq: str
) -> None:
    counted = {"time_column": None, "left_out": ["date"]}
    start = "2020-03-31 00:00:00" if freq == "ME" else "2020-03-01 00:00:00"
    write_dataset("periods", frequency=freq, season=7, start=start, **counted)
    fitted = fit("last_value", Task(load_dataset("periods"), lookback=24, horizon=12))
    fitted.save("kept")
    values = fitted.task.series.values[:40]
    index = pd.period_range("2000-01", periods=40, freq=freq[0])
    frame = pd.DataFrame(values, index, list(fitted.task.series.channels))
    first = {"ME": "2003-05-31", "MS": "2003-05-01", "W": str(index[-1].start_time.date())}
    for rows in (frame, frame.rename_axis("date").reset_index()):
        assert np.array_equal(fitted.forecast(rows), fitted.forecast(values))
        saved = load("kept").forecast(rows)
        assert np.array_equal(saved.values, fitted.forecast(values))
        after = np.timedelta64(7 if freq == "W" else 0, "D")
        assert saved.times[0] == np.datetime64(first[freq]) + after


def test_times_are_no_values(plain: Fitted) -> None:
    times = pd.date_range("2020-01-01", periods=40, freq="h")
    frame = dated(plain, times).reset_index(drop=True).assign(heat=times)
    for wrong in (frame, frame.assign(heat=times - times[0]), np.stack([times] * 3, axis=1)):
        with pytest.raises(ValueError, match=r"of real numbers, but has .* of (datet|ti)"):
            plain.forecast(wrong)


@pytest.mark.parametrize("kind", ["bool", "boolean"])
def test_flags_are_numbers_with_times_as_without(plain: Fitted, tmp_path: Path, kind: str) -> None:
    frame = dated(plain, pd.date_range("2020-01-01", periods=40, freq="h"))
    flag = plain.task.series.channels[1]
    numbers = frame.assign(**{flag: np.arange(40) % 2})
    flags = numbers.astype({flag: kind})
    expected = plain.forecast(numbers)
    assert np.array_equal(plain.forecast(flags), expected)
    assert np.array_equal(plain.forecast(flags.reset_index(drop=True)), expected)
    plain.save(tmp_path / "kept")
    saved = load(tmp_path / "kept")
    rows = flags.rename_axis("date")
    assert np.array_equal(saved.forecast(rows).values, expected)


def test_what_an_array_masks_is_missing(plain: Fitted) -> None:
    values = plain.task.series.values[:40]
    hidden = np.ma.masked_array(values, mask=np.zeros_like(values, dtype=bool))
    assert np.array_equal(plain.forecast(hidden), plain.forecast(values))
    hidden[-2, 1] = np.ma.masked
    with pytest.raises(ValueError, match="but has nan at step 22 of the lookback, channel 1"):
        plain.forecast(hidden)
    with pytest.raises(ValueError, match="but has nan at step 22 of the lookback, channel 1"):
        plain.forecast(hidden.astype(int))


def test_a_path_is_for_the_saved_model(plain: Fitted) -> None:
    for path in ("past.csv", Path("past.csv")):
        with pytest.raises(UserError, match=r"forecast: is given 'past.csv'.*load\(folder\)\.fore"):
            plain.forecast(path)  # type: ignore[arg-type]


@pytest.mark.parametrize("frame", [False, True], ids=["array", "frame"])
def test_no_part_of_a_complex_number_is_dropped(plain: Fitted, frame: bool) -> None:
    rows = np.zeros((24, 3), complex)
    history = pd.DataFrame(rows, columns=list(plain.task.series.channels)) if frame else rows
    with pytest.raises(ValueError, match=r"must be of real numbers, but has .* of complex128"):
        plain.forecast(history)


@pytest.mark.parametrize("history", [{"load": [1.0] * 24}, {1.0}, iter([[1.0] * 3])])
def test_what_holds_no_rows_is_named(plain: Fitted, history: object) -> None:
    given = type(history).__name__
    with pytest.raises(ValueError, match=f"must be rows of numbers, but is given {given}"):
        plain.forecast(history)  # type: ignore[arg-type]


class OtherTable:
    """A DataFrame as that of polars: numpy makes an array of it, its columns where they stand."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._frame.to_numpy(dtype=dtype)

    def to_pandas(self) -> pd.DataFrame:
        return self._frame


def test_a_table_of_another_library_is_not_taken_by_the_place_of_its_columns(
    models: Models, values: Any
) -> None:
    fitted, _ = models
    channels = list(fitted.task.series.channels)
    turned = OtherTable(pd.DataFrame(values, columns=channels)[channels[::-1]])
    with pytest.raises(UserError, match=r"a table of \w+; give it history.to_pandas\(\)"):
        fitted.forecast(turned)
    again = fitted.forecast(turned.to_pandas())
    np.testing.assert_array_equal(again, fitted.forecast(values))
