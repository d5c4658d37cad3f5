"""Forecasts read from files: an array or a table scores as its forecaster does, or is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.evaluation.elsewhere import check_targets, evaluate_array, read_forecasts
from benchmark.evaluation.forecast import evaluate
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.naive import SeasonalNaive

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def forecaster(task: Task) -> SeasonalNaive:
    return SeasonalNaive(SeriesShape(task.lookback, task.horizon, task.channels, task.season))


@pytest.fixture(scope="module")
def arrays(task: Task, forecaster: SeasonalNaive) -> tuple[Array, Array]:
    """What another program would write: the scaled forecasts and targets of every test window."""
    windows = task.windows("test")
    x, y = windows.gather(torch.arange(len(windows)))
    return forecaster(x).double().numpy(), y.double().numpy()


def table_of(task: Task, forecasts: Array) -> pd.DataFrame:
    """A row for each value, with the scaled target, by a loop over windows, steps and channels."""
    first, times = task.windows("test").first, task.series.timestamps
    scaled = task.scaler.transform(task.series.values)
    rows = [
        (
            name,
            times[first + w + h],
            times[first + w - 1],
            scaled[first + w + h, c],
            forecasts[w, h, c],
        )
        for w in range(len(forecasts))
        for h in range(task.horizon)
        for c, name in enumerate(task.series.channels)
    ]
    return pd.DataFrame(rows, columns=["unique_id", "ds", "cutoff", "y", "Model"])


def refused(message: str) -> Any:
    return pytest.raises(UserError, match=re.escape(message))


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_an_array_scores_as_its_forecaster_does(
    kind: type, task: Task, forecaster: SeasonalNaive, arrays: tuple[Array, Array], tmp_path: Path
) -> None:
    np.save(tmp_path / "pred.npy", arrays[0].astype(kind))
    read = read_forecasts(tmp_path / "pred.npy", task)
    found = evaluate_array(read, "pred.npy", task, original_units=False)
    wanted = evaluate(forecaster, task, "cpu")
    for name in ("squared", "absolute", "percentage", "squared_by_step"):
        ours, theirs = getattr(wanted.errors, name), getattr(found.errors, name)
        np.testing.assert_array_equal(theirs, ours, err_msg=name)
    np.testing.assert_array_equal(found.extremes.first_row, wanted.extremes.first_row)
    np.testing.assert_array_equal(found.extremes.forecast, wanted.extremes.forecast)
    assert found.quantiles is None


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_is_put_in_order_whatever_its_rows_order(
    ending: str, task: Task, arrays: tuple[Array, Array], tmp_path: Path
) -> None:
    table = table_of(task, arrays[0]).sample(frac=1, random_state=1)
    before = table.assign(cutoff=task.series.timestamps[0], ds=task.series.timestamps[1]).head(5)
    table = pd.concat([before, table])  # other windows' forecasts are not looked at
    path = tmp_path / f"cv.{ending}"
    if ending == "csv":
        table.to_csv(path, index=False, float_format="%.17g")
    else:
        table.set_index("unique_id").to_parquet(path)  # as older versions of the libraries have it
    np.testing.assert_array_equal(read_forecasts(path, task), arrays[0])
    np.testing.assert_array_equal(read_forecasts(path, task, "Model"), arrays[0])


def test_original_units_are_scaled_by_the_train_rows(
    task: Task, arrays: tuple[Array, Array]
) -> None:
    original = arrays[0] * task.scaler.scale + task.scaler.mean
    found = evaluate_array(original, "pred.npy", task, original_units=True)
    wanted = evaluate_array(arrays[0], "pred.npy", task, original_units=False)
    np.testing.assert_allclose(found.errors.squared, wanted.errors.squared, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("batch", "told"), [(8, "8"), (32, "16, 32, 64, 128")])
def test_windows_that_a_loader_dropped_are_told_from_others_that_are_absent(
    batch: int, told: str, task: Task, arrays: tuple[Array, Array], tmp_path: Path
) -> None:
    count = len(arrays[0])
    assert count % batch, "or nothing would be dropped"
    np.save(tmp_path / "short.npy", arrays[0][: count - count % batch])
    with refused(f"last batch (of {told}) is dropped; make them anew with drop_last=False"):
        read_forecasts(tmp_path / "short.npy", task)
    np.save(tmp_path / "odd.npy", arrays[0][:5])
    with refused(f"odd.npy: holds 5 windows, where test has {count}; a horizon begins at each row"):
        read_forecasts(tmp_path / "odd.npy", task)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.transpose(0, 2, 1), "(windows, horizon, channels)"),
        (lambda a: a[:, :, 0], "is of shape"),
        (lambda a: a[:-1].reshape(3, -1, *a.shape[1:]), "join its batches: a.reshape(-1, "),
        (lambda a: a.astype(str), "is an array of <U"),
        (lambda a: a.astype(object), "is no array of numbers"),
    ],
)
def test_another_array_is_refused(
    change: Callable[[Array], Any], message: str, task: Task, arrays: tuple[Array, Array],
    tmp_path: Path,
) -> None:  # fmt: skip
    np.save(tmp_path / "pred.npy", change(arrays[0]))
    if message.startswith("("):
        message = "windows, horizon, channels; name the horizon and the data set"
    with refused(message):
        read_forecasts(tmp_path / "pred.npy", task)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e200])
def test_a_value_that_is_not_finite_or_whose_square_is_not_is_named(
    value: float, task: Task, arrays: tuple[Array, Array]
) -> None:
    forecasts = arrays[0].copy()
    forecasts[7, 3, 1] = value
    with refused(f"pred.npy: window 8, step 4, channel 'heat': the forecast is {value}"):
        evaluate_array(forecasts, "pred.npy", task, original_units=False)


def test_targets_are_held_to_ours(task: Task, arrays: tuple[Array, Array], tmp_path: Path) -> None:
    path, truth = tmp_path / "true.npy", arrays[1]
    np.save(path, truth.astype(np.float16).astype(np.float32))
    check_targets(path, task, original_units=False)
    np.save(path, truth * task.scaler.scale + task.scaler.mean)
    check_targets(path, task, original_units=True)
    with refused("it is in original units: add --original-units"):
        check_targets(path, task, original_units=False)
    np.save(path, truth)
    with refused("it is scaled: leave out --original-units"):
        check_targets(path, task, original_units=True)
    np.save(path, np.roll(truth, 1, axis=0))
    with refused("window 1, step 1, channel 'load': the target is"):
        check_targets(path, task, original_units=False)
    changed = truth.copy()
    changed[-1, -1, -1] += 0.01
    np.save(path, changed)
    with refused(f"window {len(truth)}, step {task.horizon}, channel 'wind'"):
        check_targets(path, task, original_units=False)


def test_a_table_in_original_units_is_told_by_its_true_values(
    task: Task, arrays: tuple[Array, Array], tmp_path: Path
) -> None:
    path, own = tmp_path / "cv.csv", arrays[0] * task.scaler.scale + task.scaler.mean
    table = table_of(task, own)
    value = dict(zip(task.series.channels, range(task.channels), strict=True))
    channel = table["unique_id"].map(value).to_numpy()
    table["y"] = table["y"] * task.scaler.scale[channel] + task.scaler.mean[channel]
    table.to_csv(path, index=False)
    read = read_forecasts(path, task, original_units=True)
    np.testing.assert_array_equal(read, own)
    with refused("column 'y': window 1, step 1, channel 'load': the target is"):
        read_forecasts(path, task)
    with refused("it is in original units: add --original-units"):
        read_forecasts(path, task)
    table.drop(columns="y").to_csv(path, index=False)  # then nothing can tell
    np.testing.assert_array_equal(read_forecasts(path, task), own)


def test_missing_targets_of_a_masked_series_may_be_anything(
    make_task: Callable[..., Task], values: Array, tmp_path: Path
) -> None:
    gappy = values.copy()
    gappy[-3, 1] = np.nan
    task = make_task(values=gappy, missing="mask")
    windows = task.windows("test")
    truth = windows.gather(torch.arange(len(windows)))[1].double().numpy()
    np.save(tmp_path / "true.npy", np.nan_to_num(truth, nan=99.0))
    check_targets(tmp_path / "true.npy", task, original_units=False)
    found = evaluate_array(np.nan_to_num(truth), "pred.npy", task, original_units=False)
    assert found.errors.mean(found.errors.squared) == 0


def _table_faults() -> list[tuple[Callable[[pd.DataFrame], pd.DataFrame], str]]:
    return [
        (lambda t: t.drop(columns="cutoff"), "has no column 'cutoff'"),
        (lambda t: t.assign(Other=1.0), "2 columns may be the forecast (Model, Other); name one"),
        (lambda t: t.iloc[1:], "from cutoff 2020-01-23 21:00:00; each channel, time and cutoff is"),
        (
            lambda t: t[t["ds"] - t["cutoff"] <= 2 * (t["ds"] - t["cutoff"]).min()],
            "holds forecasts of 2 steps at most, not of 12; name their horizon: --horizon 2",
        ),
        (
            lambda t: pd.concat([t.iloc[1:], t.tail(1)]),
            "holds 2 forecasts of wind at 2020-01-30 03:00:00 from cutoff 2020-01-29 15:00:00; "
            "each channel, time and cutoff is forecast once: keep one of these rows",
        ),
        (
            lambda t: t[t["cutoff"].isin(t["cutoff"].unique()[::24])],
            "holds 6 of the 139 test windows; forecast from each cutoff from 2020-01-23 21:00:00 "
            "to 2020-01-29 15:00:00, with a step size of 1",
        ),
        (lambda t: t.iloc[:0], "holds 0 of the 139 test windows"),
        (
            lambda t: t[t["unique_id"] == "heat"],
            "holds no forecast of load, wind; each channel of toy is forecast",
        ),
        (
            lambda t: t.assign(unique_id="heat2"),
            "'heat2' is no channel of toy; did you mean 'heat'?",
        ),
        (lambda t: t.assign(ds=t["ds"] + pd.Timedelta("1min")), "is no time of toy; its rows are"),
        (
            lambda t: t.assign(cutoff=t["cutoff"] + pd.Timedelta("1h")),
            "is 0 steps after its cutoff, 2020-01-23 22:00:00; cutoff is the time of the last row",
        ),
        (lambda t: t.drop(columns="Model"), "has no column of forecasts: 'y' is the true values"),
        (lambda t: t.assign(ds="soon"), "column 'ds': is no time"),
        (lambda t: t.assign(Model="high"), "column 'Model': is no number"),
        (lambda t: t.assign(Model=True), "column 'Model': is no number (bool)"),
        (lambda t: t.assign(y="high"), "column 'y': is no number"),
        (
            lambda t: t.assign(y=t["y"] + 0.01),
            "column 'y': window 1, step 1, channel 'load': the target is",
        ),
    ]


@pytest.mark.parametrize(("change", "message"), _table_faults())
def test_another_table_is_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str, task: Task,
    arrays: tuple[Array, Array], tmp_path: Path,
) -> None:  # fmt: skip
    change(table_of(task, arrays[0])).to_csv(tmp_path / "cv.csv", index=False)
    with refused(message):
        read_forecasts(tmp_path / "cv.csv", task)


@pytest.mark.filterwarnings("error")
def test_times_with_the_day_first_are_read_without_a_warning(
    task: Task, arrays: tuple[Array, Array], tmp_path: Path
) -> None:
    path, table = tmp_path / "cv.csv", table_of(task, arrays[0])
    for name in ("ds", "cutoff"):
        table[name] = table[name].dt.strftime("%d/%m/%Y %H:%M")
    table.to_csv(path, index=False)
    np.testing.assert_array_equal(read_forecasts(path, task), arrays[0])


def test_ends_of_intervals_and_an_index_are_no_second_forecast(
    task: Task, arrays: tuple[Array, Array], tmp_path: Path
) -> None:
    path, table = tmp_path / "cv.csv", table_of(task, arrays[0])
    table.insert(4, "Model-lo-80.0", table["Model"] - 1)
    table["Model-hi-80"] = table["Model"] + 1
    table.to_csv(path)  # with its index, as pandas does when nothing is said
    np.testing.assert_array_equal(read_forecasts(path, task), arrays[0])
    np.testing.assert_array_equal(read_forecasts(path, task, "Model-hi-80"), arrays[0] + 1)
    table.assign(Other=1.0).to_csv(path)
    with refused("2 columns may be the forecast (Model, Other); name one: --column NAME"):
        read_forecasts(path, task)
    table.drop(columns="Model").to_csv(path, index=False)
    with refused("2 columns may be the forecast (Model-lo-80.0, Model-hi-80)"):
        read_forecasts(path, task)


def test_times_in_the_place_of_forecasts_are_refused(
    task: Task, arrays: tuple[Array, Array], tmp_path: Path
) -> None:
    table_of(task, arrays[0]).assign(Model=pd.Timestamp("2020-01-01")).to_parquet(
        path := tmp_path / "cv.parquet"
    )
    with refused("column 'Model': is no number (datetime64"):
        read_forecasts(path, task)


def test_an_npz_by_the_name_of_an_npy_is_told(
    task: Task, arrays: tuple[Array, Array], tmp_path: Path
) -> None:
    np.savez(tmp_path / "pred.npz", arrays[0])
    (tmp_path / "pred.npz").rename(tmp_path / "pred.npy")
    with refused("pred.npy: is no array of numbers (the magic string is not correct"):
        read_forecasts(tmp_path / "pred.npy", task)
    (tmp_path / "pred.npy").write_bytes(b"PK\x03\x04" + bytes(40))  # cut short
    with refused("pred.npy: is no array of numbers (the magic string is not correct"):
        read_forecasts(tmp_path / "pred.npy", task)


@pytest.mark.parametrize("name", ["nowhere.npy", "nowhere.csv", "nowhere.parquet"])
def test_a_file_that_is_not_there_is_told(name: str, task: Task, tmp_path: Path) -> None:
    with refused(f"{name}: cannot be read"):
        read_forecasts(tmp_path / name, task)


@pytest.mark.parametrize("name", ["text.npy", "text.csv", "text.parquet", "text.pkl"])
@pytest.mark.parametrize("text", [b"\x80no forecasts\n", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_file_of_another_kind_is_told_in_a_line(
    name: str, text: bytes, task: Task, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(text)
    with refused(str(tmp_path / name)) as told:
        read_forecasts(tmp_path / name, task)
    assert "\n" not in str(told.value)
