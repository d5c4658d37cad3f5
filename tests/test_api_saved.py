"""A model is kept and used again from Python as by the commands, with intervals of two levels."""

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

Command = Callable[..., Any]
LEVELS = [80, 95]


@pytest.fixture
def task(toy: Path) -> Task:
    return Task(load_dataset("toy"), lookback=24, horizon=12)


def test_a_run_is_looked_for_where_the_commands_put_it(
    command: Command, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--set", "dataset=toy", "--set", "lookback=24", "--set", "horizon=12")
    monkeypatch.setenv("BENCHMARK_RESULTS", str(toy / "elsewhere"))
    assert command("run", "ridge", *words, "--checkpoint").code == 0
    assert load("ridge-toy").data.channels == load_dataset("toy").channels


@pytest.fixture
def ridge(task: Task) -> Fitted:
    return fit("ridge", task)


@pytest.fixture
def past(task: Task, toy: Path) -> pd.DataFrame:
    """The data set's last rows but five, also as ``past.csv``."""
    rows = slice(-45, -5)
    times = pd.DatetimeIndex(task.series.timestamps[rows], name="date")
    frame = pd.DataFrame(task.series.values[rows], times, list(task.series.channels))
    frame.to_csv(toy / "past.csv")
    return frame


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_saved_forecasts_as_what_was_fitted(
    ridge: Fitted, past: pd.DataFrame, level: Any
) -> None:
    ridge.save("kept/ridge")
    table = load("kept/ridge", level=level).forecast("past.csv").frame()
    names = [f"{c}{end}" for c in past for end in ("", f"_lo{level}", f"_hi{level}")]
    assert list(table) == names
    step = pd.Timedelta("1h")
    assert list(table.index) == list(pd.date_range(past.index[-1] + step, periods=12, freq=step))
    low, high = ridge.interval(past.to_numpy(), level)
    for end, expected in (("", ridge.forecast(past)), (f"_lo{level}", low), (f"_hi{level}", high)):
        found = table[[f"{channel}{end}" for channel in past]].to_numpy()
        assert found == pytest.approx(expected, rel=1e-12)


def test_the_wider_interval_holds_the_narrower_and_more_of_validation(
    ridge: Fitted, task: Task
) -> None:
    held = dict.fromkeys(LEVELS, 0.0)
    rows = task.borders["val"]
    origins = range(rows.start, rows.stop - 12 + 1, 5)
    for origin in origins:
        history, target = (
            task.series.values[r] for r in (slice(origin), slice(origin, origin + 12))
        )
        ends = {level: ridge.interval(history, level) for level in LEVELS}
        assert (ends[95][0] < ends[80][0]).all()
        assert (ends[80][1] < ends[95][1]).all()
        for level, (low, high) in ends.items():
            held[level] += ((low <= target) & (target <= high)).mean() / len(origins)
    assert held[80] == pytest.approx(0.8, abs=0.04)
    assert held[95] == pytest.approx(0.95, abs=0.03)


def test_the_commands_take_what_python_saved(
    ridge: Fitted, past: pd.DataFrame, toy: Path, command: Command
) -> None:
    ridge.save(toy / "kept")
    told = command("forecast", "kept", "--input", "past.csv", "--output", "o.csv", "--level", 95)
    assert (told.code, told.err) == (0, "")
    written = pd.read_csv("o.csv", index_col="date", parse_dates=True)
    frame = load("kept", level=95).forecast("past.csv").frame()
    assert list(written.index) == list(frame.index)
    assert written.to_numpy() == pytest.approx(frame.to_numpy(), rel=1e-9)
    assert list(written) == list(frame)
    assert command("backtest", "kept", "--input", "past.csv").code == 0


def test_python_loads_what_a_command_kept(
    task: Task, ridge: Fitted, past: pd.DataFrame, command: Command
) -> None:
    sets = ("dataset=toy", "lookback=24", "horizon=12")
    words = [word for item in sets for word in ("--set", item)]
    assert command("run", "ridge", *words, "--checkpoint").code == 0
    found = load("ridge-toy", results="results").forecast("past.csv")
    assert np.array_equal(found.values, ridge.forecast(past))


def test_nothing_is_written_over_and_mistakes_are_told(ridge: Fitted, toy: Path) -> None:
    (toy / "mine").mkdir()
    (toy / "file").write_text("mine")
    for folder, fault in (("mine", "mine: is there already"), ("file/new", "lies below one")):
        with pytest.raises(UserError, match=fault):
            ridge.save(folder)
    assert [path.name for path in toy.glob(".writing-*")] == []
    ridge.save("kept")
    for call in (lambda: load("kept", level=90), lambda: ridge.interval(np.zeros((24, 3)), 90)):
        with pytest.raises(UserError, match=r"no intervals of 90% are calibrated; choose 80 or 95"):
            call()
    with pytest.raises(UserError, match="run gone: no such run"):
        load("gone")


def test_a_parquet_file_is_forecast_as_the_csv_of_its_rows(
    ridge: Fitted, past: pd.DataFrame
) -> None:
    pytest.importorskip("pyarrow")
    past.to_parquet("past.parquet")
    ridge.save("kept")
    saved = load("kept")
    pd.testing.assert_frame_equal(
        saved.forecast("past.parquet").frame(), saved.forecast("past.csv").frame()
    )


def test_a_frame_is_forecast_as_the_csv_of_its_rows(ridge: Fitted, past: pd.DataFrame) -> None:
    ridge.save("kept")
    saved = load("kept")
    expected = saved.forecast("past.csv").frame()
    other_way_round = past[list(reversed(past.columns))]
    nameless = past.rename_axis(None)
    for frame in (past, other_way_round, nameless, past.reset_index()):
        before = frame.copy()
        pd.testing.assert_frame_equal(saved.forecast(frame).frame(), expected)
        pd.testing.assert_frame_equal(frame, before)
    name = past.columns[1]
    with pytest.raises(UserError, match=f"DataFrame as CSV: line 1: column '{name}' is missing"):
        saved.forecast(past.drop(columns=name))
    twice = pd.concat([past, past[[name]]], axis=1)
    with pytest.raises(UserError, match=f"the DataFrame: has several columns '{name}'; rename"):
        saved.forecast(twice)
    with pytest.raises(UserError, match="the DataFrame: has 'date' as its index and as a column"):
        saved.forecast(past.assign(date=past.index))
    with pytest.raises(UserError, match=r"has a time zone; write all times in UTC$"):
        saved.forecast(past.tz_localize("Europe/Berlin", ambiguous=True))
    for array in (past.to_numpy(), past[name]):
        with pytest.raises(
            UserError, match=r"forecast: is given [\w.]+, not Path or DataFrame; give"
        ):
            saved.forecast(array)  # type: ignore[arg-type]


@pytest.mark.parametrize(("lookback", "horizon"), [(0, 12), (24, 0), (-1, 12)])
def test_a_task_sees_and_forecasts_a_step_at_least(task: Task, lookback: int, horizon: int) -> None:
    with pytest.raises(UserError, match=f"must be 1 step or more, but are lookback={lookback}"):
        Task(task.series, lookback, horizon)


@pytest.mark.parametrize("lookback", [24.0, 23.5, True])
def test_a_task_sees_whole_numbers_of_steps(task: Task, lookback: Any) -> None:
    with pytest.raises(UserError, match=f"whole numbers of steps, but are lookback={lookback}"):
        Task(task.series, lookback, 12)
    assert type(Task(task.series, np.int64(24), 12).lookback) is int  # type: ignore[arg-type]


def test_the_folder_of_the_runs_themselves_is_told_from_an_empty_one(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    model = {"class": "LastValue"}
    write_yaml("l.yaml", {"name": "l", "dataset": "toy", "horizon": 12, "model": model})
    assert command("run", "l.yaml").code == 0
    answer = command("leaderboard", "--results", "results/runs")
    told = "error: results/runs: holds runs itself; name the folder above, results\n"
    assert (answer.code, answer.err) == (2, told)


def test_too_few_validation_windows_for_a_level_are_told(toy: Path, write_dataset: Any) -> None:
    write_dataset(name="short", splits={"train": 500, "val": 31, "test": 100})
    few = fit("ridge", Task(load_dataset("short"), lookback=24, horizon=12))  # 20 windows
    low, high = few.interval(np.zeros((24, 3)), 80)
    assert (low < high).all()
    with pytest.raises(UserError, match="validation windows are too few for 95%"):
        few.interval(np.zeros((24, 3)), 95)


def test_a_channel_of_few_values_alone_goes_without_its_interval(
    toy: Path, write_dataset: Any, command: Command
) -> None:
    """Measured once a day, it has five or six values at a step, of 139 validation windows."""
    values = np.random.default_rng(1).normal(size=(700, 3))
    values[np.arange(700) % 24 > 0, 1] = np.nan
    write_dataset("mixed", values=values, missing="mask")
    fitted = fit("last_value", Task(load_dataset("mixed"), lookback=24, horizon=12))
    sparse = fitted.task.series.channels[1]
    told = f"no 80% interval of {sparse}: too few values in the validation windows for 80%, it "
    told += "takes 9 or more at a step"
    with pytest.warns(UserWarning, match=told):
        low, high = fitted.interval(values)
    assert np.isnan([low[:, 1], high[:, 1]]).all()
    assert (low < high)[:, [0, 2]].all()
    fitted.save("kept")
    with pytest.warns(UserWarning, match=told):
        frame = load("kept").forecast("datasets/mixed.csv").frame()
    answer = command("forecast", "kept", "--input", "datasets/mixed.csv", "--output", "out.csv")
    assert (answer.code, answer.err) == (0, "")
    assert f"Note: {told}\n" in answer.out
    written = pd.read_csv("out.csv", index_col="date", parse_dates=True)
    assert np.allclose(written, frame, equal_nan=True)
    empty = [f"{sparse}_lo80", f"{sparse}_hi80"]
    assert list(written.columns[written.isna().any()]) == empty
    assert written[empty].isna().all(axis=None)
    answer = command("backtest", "kept", "--output", "back.csv")
    assert f"{told}; inside 80% is of the others" in " ".join(answer.out.split())
    assert pd.read_csv("back.csv")["coverage_80"].between(0.5, 1).all()
    assert command("export", "kept", "--output", "exported").code == 0
    assert f"NaN where there is none ({told})" in Path("exported/README.md").read_text()
