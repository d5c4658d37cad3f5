"""The suite from Python: as short as the command line, and the same numbers."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import benchmark.api
from benchmark import Task, evaluate, fit, leaderboard, load, load_dataset
from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster
from benchmark.forecasters.linear import Linear

ROOT = Path(__file__).parents[1]
TRAINING = {"epochs": 2, "batch_size": 64}
FITTING = ("train_seconds", "energy_j", "started")
FORECASTING = ("macs", "latency_ms", "throughput", "peak_memory_mb")


@pytest.fixture
def small(toy: Path) -> Task:
    """The toy data set at lookback 24 and horizon 12, by its name."""
    return Task(load_dataset("toy"), lookback=24, horizon=12)


def test_importing_the_package_loads_no_torch_and_typos_are_told() -> None:
    code = """
import sys
import benchmark
assert "torch" not in sys.modules
assert set(benchmark.__all__) <= set(dir(benchmark))
try:
    benchmark.evalute
except AttributeError as error:
    print(error)
assert "torch" not in sys.modules
from benchmark import Task
import benchmark.data.task
assert Task is benchmark.data.task.Task and "torch" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "module 'benchmark' has no attribute 'evalute'\n"


def test_every_name_is_that_of_the_api() -> None:
    for name in benchmark.__all__:
        assert getattr(benchmark, name) is getattr(benchmark.api, name)
    assert (ROOT / "benchmark" / "py.typed").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gru", {"epochs": 1, "hidden_size": 8, "patch": 12, "batch_size": 64}),
        ("linear", {"loss": "quantile", **TRAINING}),
        ("ridge", {}),
        ("seasonal_naive", {}),
    ],
)
def test_the_row_is_that_of_the_command_to_the_last_bit(
    small: Task, toy: Path, command: Callable[..., Any], name: str, options: dict[str, Any]
) -> None:
    fitted = fit(name, small, seed=3, **options)
    np.random.default_rng().normal(size=9)  # what comes between fit and evaluate is no matter
    result = evaluate(fitted, small)
    training = ("epochs", "batch_size", "loss")
    words = [f"{'training' if k in training else 'model'}.{k}={v}" for k, v in options.items()]
    words += ["dataset=toy", "lookback=24", "horizon=12"]
    answer = command("run", name, "--seed", 3, *(w for word in words for w in ("--set", word)))
    assert answer.code == 0, answer.err
    with (toy / "results" / "results.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    ours = result.record.model_dump()
    for column in (*FITTING, *FORECASTING):
        assert ours.pop(column) is None or column in FITTING
        row.pop(column)
    assert {k: "" if v is None else str(v) for k, v in ours.items()} == row


def test_a_class_is_what_a_yaml_of_it_is(small: Task, write_yaml: Callable[..., str]) -> None:
    by_class = evaluate(fit(Linear, small, **TRAINING), small).record
    write_yaml("a.yaml", {"name": "Linear", "model": {"class": "Linear"}, "training": TRAINING})
    by_path = evaluate(fit("a.yaml", small), small).record
    assert by_class.run_id == by_path.run_id
    assert by_class.mse == by_path.mse


def test_a_class_of_the_users_own_and_a_yaml_by_its_path(
    small: Task, write_module: Any, write_yaml: Any, monkeypatch: pytest.MonkeyPatch, toy: Path
) -> None:
    write_module(
        "mine",
        "from benchmark.forecasters.contract import Forecaster\n"
        "class Last(Forecaster):\n"
        "    fitted = 'none'\n"
        "    def __init__(self, shape, *, factor: float = 1.0):\n"
        "        super().__init__(shape)\n"
        "        self.factor = factor\n"
        "    def forward(self, x):\n"
        "        return self.factor * x[:, -1:].expand(-1, self.shape.horizon, -1)\n",
    )
    monkeypatch.syspath_prepend(str(toy))
    from mine import Last  # type: ignore[import-not-found]

    mine = fit(Last, small, factor=0.5)
    assert mine.forecaster.factor == 0.5
    assert evaluate(fit(Last, small), small).mse == evaluate(fit("last_value", small), small).mse
    write_yaml("half.yaml", {"name": "half", "model": {"class": "mine.Last", "factor": 0.5}})
    for path in ("half.yaml", toy / "half.yaml"):
        half = evaluate(fit(path, small), small)
        assert (half.record.model, half.mse) == ("half", evaluate(mine, small).mse)


def test_errors_by_step_and_channel_are_those_of_the_forecasts(small: Task) -> None:
    fitted = fit("last_value", small)
    result = evaluate(fitted, small)
    scaled, rows = small.scaled.astype(np.float64), small.borders["test"]
    starts = range(rows.start, rows.stop - 12 + 1)
    error = np.stack([scaled[s : s + 12] - scaled[s - 1] for s in starts])  # (W, H, C)
    np.testing.assert_allclose(result.by_step["mse"], (error**2).mean(axis=(0, 2)), rtol=1e-5)
    np.testing.assert_allclose(result.by_step["mae"], abs(error).mean(axis=(0, 2)), rtol=1e-5)
    np.testing.assert_allclose(result.by_channel["mse"], (error**2).mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(result.by_channel["mae"], abs(error).mean(axis=(0, 1)), rtol=1e-5)
    assert result.by_step.index.tolist() == list(range(1, 13))
    assert result.by_channel.index.tolist() == ["load", "heat", "wind"]
    assert result.mse == pytest.approx(result.by_step["mse"].mean())
    first, target = result.forecasts.first_row[1], result.forecasts.target[1]
    np.testing.assert_allclose(target, small.series.values[first : first + 12], rtol=1e-6)


def test_what_is_missing_counts_in_no_channel_no_step_and_no_tie(
    toy: Path, write_dataset: Callable[..., Path], values: Any
) -> None:
    holes = values.copy()
    holes[550:689, 1] = np.nan  # in one channel every target of the first step, and most others
    write_dataset("holes", values=holes, missing="mask")
    task = Task(load_dataset("holes"), lookback=24, horizon=12)
    results = [evaluate(fit(name, task), task) for name in ("ridge", "last_value")]
    for result in results:
        errors = result.evaluation.errors
        assert errors.known is not None
        share = errors.known.sum(axis=0) / errors.known.sum()
        assert result.mse == pytest.approx((result.by_channel["mse"] * share).sum())
        for name, part in (("mse", errors.squared_by_step), ("mae", errors.absolute_by_step)):
            assert np.isnan(part[0]).tolist() == [False, True, False]
            assert result.by_step[name][1] == pytest.approx(part[0, [0, 2]].mean())
            assert result.by_step[name][2] == pytest.approx(part[1].mean())
    rows = leaderboard(results).ranking.groups[0].rows
    assert rows["vs_best"].tolist()[1] == pytest.approx(results[1].mse - results[0].mse)


def test_a_forecast_is_in_original_units(small: Task) -> None:
    values = small.series.values
    forecast = fit("last_value", small).forecast(values[:100])
    np.testing.assert_allclose(forecast, np.tile(values[99], (12, 1)), rtol=1e-5)
    result_of = fit("ridge", small)
    shown = evaluate(result_of, small).forecasts
    for row, expected in zip(shown.first_row, shown.forecast, strict=True):
        np.testing.assert_allclose(result_of.forecast(values[:row]), expected, rtol=1e-3, atol=1e-4)
    for wrong in (values[:23], values[:30, :2], values[0]):
        with pytest.raises(ValueError, match=r"of shape \(24 or more, 3\)"):
            result_of.forecast(wrong)


def test_a_model_that_has_forecast_can_be_trained_on(small: Task) -> None:
    fitted = fit("linear", small, epochs=1)
    fitted.forecast(small.series.values)
    assert all(weight.requires_grad for weight in fitted.forecaster.parameters())


def test_a_frames_columns_are_taken_by_name(small: Task) -> None:
    fitted = fit("last_value", small)
    values, channels = small.series.values[:100], list(small.series.channels)
    frame = pd.DataFrame(values, columns=channels).assign(beside="text")
    expected = fitted.forecast(values)
    turned = frame[["beside", *reversed(channels)]]
    assert np.array_equal(fitted.forecast(turned), expected)
    assert np.array_equal(fitted.forecast(frame[channels[::-1]]), expected)  # a view, turned round
    assert np.array_equal(fitted.forecast(values[::-1].copy()[::-1]), expected)
    assert np.array_equal(fitted.interval(turned)[0], fitted.interval(values)[0])
    with pytest.raises(ValueError, match=f"but has no column '{channels[1]}'; take history.to_nu"):
        fitted.forecast(frame.drop(columns=channels[1]))
    dated = frame.set_index(pd.date_range("2020-01-01", periods=100, freq="h"))
    assert np.array_equal(fitted.forecast(dated), expected)
    with pytest.raises(ValueError, match="must be in order of time, but its index goes back"):
        fitted.forecast(dated[::-1])
    texts = [f"2020/1/{n // 24 + 7} {n % 24}:00" for n in range(100)]  # as texts 10 is before 9
    for times, what in ((dated.index, "column"), (texts, "column"), (texts, "index")):
        told = frame.assign(date=times) if what == "column" else frame.set_index(pd.Index(times))
        assert np.array_equal(fitted.forecast(told), expected)
        with pytest.raises(ValueError, match=f"in order of time, but its {what}.* goes back"):
            fitted.forecast(told[::-1])
    named = frame.set_index(pd.Index([f"row {n}" for n in range(100)]))
    assert np.array_equal(fitted.forecast(named), expected)
    assert np.array_equal(fitted.forecast(frame.convert_dtypes()), expected)
    frame.loc[98, channels[0]] = None
    with pytest.raises(ValueError, match="but has nan at step 22 of the lookback, channel 0"):
        fitted.forecast(frame.convert_dtypes())
    twice = pd.concat([frame, frame[channels[:1]]], axis=1)
    with pytest.raises(ValueError, match=f"but has several columns '{channels[0]}'"):
        fitted.forecast(twice)


def test_a_forecast_reads_the_last_value_before_where_the_data_set_masks(
    toy: Path, write_dataset: Callable[..., Path], values: Any
) -> None:
    gaps = values.copy()
    gaps[600:610, 1] = np.nan
    write_dataset("holes", values=gaps, missing="mask")
    task = Task(load_dataset("holes"), lookback=24, horizon=12)
    fitted = fit("last_value", task)
    expected = [gaps[605, 0], gaps[599, 1], gaps[605, 2]]
    np.testing.assert_allclose(fitted.forecast(gaps[:606])[-1], expected, rtol=1e-5)
    gaps[570:606, 1] = np.nan  # none in the lookback of 24
    expected[1] = gaps[569, 1]
    with pytest.warns(UserWarning, match=r"^heat .* 24 rows; its last one, 36 rows back, is") as at:
        forecast = fitted.forecast(gaps[:606])
    assert at[0].filename == __file__  # the line to look at is the user's
    np.testing.assert_allclose(forecast[-1], expected, rtol=1e-5)
    gaps[:606, 1] = np.nan  # none at all: the mean of the train rows, as in training
    expected[1] = values[:400, 1].mean()
    with pytest.warns(UserWarning, match=r"^heat has no value .*; the mean of its train rows is"):
        forecast = fitted.forecast(gaps[:606])
    np.testing.assert_allclose(forecast[-1], expected, rtol=1e-5)


def test_a_forecast_may_lack_a_value_where_the_rows_of_the_splits_lack_none(
    toy: Path, write_dataset: Callable[..., Path], values: Any
) -> None:
    gaps = values.copy()
    gaps[660:, 1] = np.nan
    splits = {"train": 400, "val": 150, "test": 100}
    write_dataset("holes", values=gaps, missing="mask", splits=splits)
    fitted = fit("last_value", Task(load_dataset("holes"), lookback=24, horizon=12))
    fitted.save("kept")
    with pytest.warns(UserWarning, match="its last one, 40 rows back, is held"):
        forecast = fitted.forecast(gaps)
    np.testing.assert_allclose(forecast[-1], [gaps[-1, 0], gaps[659, 1], gaps[-1, 2]], rtol=1e-5)
    with pytest.warns(UserWarning, match="its last one, of 2020-01-28 11:00:00, is held") as at:
        again = load("kept").forecast("datasets/holes.csv")
    assert at[0].filename == __file__
    assert np.array_equal(again.values, forecast)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_history_with_no_value_is_told_where(small: Task, value: float) -> None:
    history = small.series.values[:100].copy()
    history[90, 2] = value
    with pytest.raises(ValueError, match=f"but has {value} at step 14 of the lookback, channel 2"):
        fit("last_value", small).forecast(history)


def test_a_leaderboard_prints_as_that_of_the_command(
    small: Task, toy: Path, command: Callable[..., Any]
) -> None:
    results = [evaluate(fit(name, small), small) for name in ("last_value", "seasonal_naive")]
    board = leaderboard(results)
    rows = board.ranking.groups[0].rows
    assert rows["name"].tolist() == ["seasonal_naive", "last_value"]
    assert rows["p_value"].notna().all()
    text = str(leaderboard([*results, results[0]]))  # one result twice is one run
    assert text == str(board)
    for name in ("last_value", "seasonal_naive"):
        words = ("dataset=toy", "lookback=24", "horizon=12")
        command("run", name, *(w for word in words for w in ("--set", word)))
    assert str(leaderboard(toy / "results" / "results.csv")).splitlines()[0] == text.splitlines()[0]
    shown = command("leaderboard", toy / "results" / "results.csv").out
    assert str(leaderboard(str(toy / "results" / "results.csv"))) == shown
    assert board.to_markdown().startswith("# Leaderboard")


def test_the_readme_shows_it_as_it_is(
    small: Task, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```python\n(from benchmark import .*?)```", page, flags=re.DOTALL)
    for ours, tiny in {"ETTh1": "toy", "336": "48", "epochs=5": "epochs=1, hidden_size=4"}.items():
        assert ours in shown
        shown = shown.replace(ours, tiny)
    names: dict[str, Any] = {}
    exec(shown, names)
    assert names["result"].mse == evaluate(names["gru"], names["task"]).mse
    printed = capsys.readouterr().out
    assert printed.startswith("toy, horizon 48\n")
    assert " gru " in printed
    assert " ridge " in printed


def test_epochs_are_told_while_they_pass(small: Task) -> None:
    seen: list[Any] = []
    fitted = fit("linear", small, on_epoch=seen.append, **TRAINING)
    assert [epoch.number for epoch in seen] == [1, 2]
    assert tuple(seen) == fitted.report.epochs


def test_what_a_notebook_shows_of_them_is_a_line(small: Task) -> None:
    fitted = fit("last_value", small)
    result = evaluate(fitted, small)
    name = fitted.planned.run_id
    assert repr(fitted) == f"Fitted(run_id='{name}')"
    assert repr(result) == (f"Result(run_id='{name}', mse={result.mse:.4f}, mae={result.mae:.4f})")


def test_two_results_of_one_run_that_differ_are_not_made_one(small: Task) -> None:
    fitted = fit("linear", small, **TRAINING)
    result = evaluate(fitted, small)
    with torch.no_grad():
        for weight in fitted.forecaster.parameters():
            weight.add_(0.1)  # as the code of a class that is edited and reloaded would
    other = evaluate(fitted, small)
    assert len(leaderboard([result, result]).ranking.groups[0].rows) == 1
    with pytest.raises(UserError) as error:
        leaderboard([result, other])
    assert f"run {fitted.planned.run_id}: two results of it differ: MSE" in str(error.value)
    named = fit("linear", small, name="linear_2", **TRAINING)
    assert len(leaderboard([other, evaluate(named, small)]).ranking.groups[0].rows) == 2


class Both(Forecaster):
    """Has an option that its training has as well."""

    def __init__(self, shape: Any, *, loss: str = "mse") -> None:
        super().__init__(shape)

    def forward(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("model", "options", "fault"),
    [
        ("grru", {}, "model grru: unknown model 'grru'; did you mean 'gru'?"),
        ("gru", {"hidden_sise": 1}, "gru.yaml: hidden_sise: unknown option; did you mean 'hidden"),
        ("gru", {"epocs": 1}, "gru.yaml: epocs: unknown option; did you mean 'epochs'?"),
        (
            "gru",
            {"epochs": 1.5},
            "with overrides: training.epochs: input should be a valid integer",
        ),
        ("gru", {"epochs": np.float32(1)}, "gru.yaml: epochs: is no plain value, got np.float32(1"),
        (
            "gru",
            {"seed": -1},
            "with overrides: seed: input should be greater than or equal to 0",
        ),
        ("gru", {"name": "a b"}, "gru.yaml with overrides: name: string should match pattern"),
        ("ridge", {"epochs": 1}, "ridge.yaml: epochs: unknown option"),
        ("ridge", {"device": "gpu"}, "device 'gpu': is none; take auto, cpu or cuda"),
        (Linear, {"epocs": 1}, "fit(Linear): epocs: unknown option; did you mean 'epochs'?"),
        (Both, {"loss": "mae"}, "fit(Both): loss: is the model's and its training's; rename one"),
        (type("Local", (Both,), {}), {}, "fit(Local): is no class of a file's own; write it into"),
    ],
)
def test_a_mistake_is_one_line(small: Task, model: Any, options: Any, fault: str) -> None:
    with pytest.raises(UserError) as error:
        fit(model, small, **options)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_a_class_of_a_script_that_is_piped_in_is_refused_as_one_of_a_notebook(toy: Path) -> None:
    script = """
from benchmark import Task, fit, load_dataset
from benchmark.forecasters.naive import LastValue

class Mine(LastValue):
    pass

fit(Mine, Task(load_dataset("toy"), lookback=24, horizon=12))
"""
    done = subprocess.run([sys.executable], input=script, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert "fit(Mine): is no class of a file's own; write it into a .py and import it" in last


def test_whole_numbers_may_be_those_of_numpy(small: Task) -> None:
    ours = fit("linear", small, seed=3, epochs=1, batch_size=64)
    theirs = fit("linear", small, seed=np.int64(3), epochs=np.uint8(1), batch_size=np.int32(64))  # type: ignore[arg-type]
    assert theirs.planned.run_id == ours.planned.run_id
    assert evaluate(theirs, small).mse == evaluate(ours, small).mse


def test_what_stands_in_the_place_of_something_else_is_told(small: Task) -> None:
    series, fitted = small.series, fit("last_value", small)
    frame, result = pd.DataFrame(series.values), evaluate(fitted, small)
    task = r"not Task; give it Task\(load_dataset"
    for call, told in (
        (lambda: Task("toy", 24, 12), r"Task: is given str, not Series; give it load_dataset\("),
        (lambda: Task(frame, 24, 12), "Task: is given pandas.DataFrame, not Series; "),
        (lambda: Task(frame[0], 24, 12), "Task: is given pandas.Series, not Series; "),
        (lambda: fit("ridge", series), f"fit: is given benchmark.Series, {task}"),
        (lambda: fit("ridge", frame), f"fit: is given pandas.DataFrame, {task}"),
        (lambda: fit("ridge", [1.0]), f"fit: is given list, {task}"),
        (lambda: fit("ridge", "toy"), f"fit: is given str, {task}"),
        (
            lambda: evaluate(fitted, series),
            "evaluate: is given benchmark.Series, not Task; give it the task",
        ),
        (lambda: evaluate("ridge", small), "evaluate: is given str, not Fitted; give it fit"),
        (lambda: leaderboard([fitted]), "leaderboard: is given benchmark.Fitted, not Result; give"),
        (lambda: leaderboard(fitted), "leaderboard: is given benchmark.Fitted, not Result; give"),
        (lambda: leaderboard([result, 0.4]), "leaderboard: is given float, not Result; give it ev"),
        (lambda: fit(None, small), "fit: is given NoneType, not str or Path or type; name a model"),
        (lambda: fit("ridge", small, on_epoch=3), "on_epoch: cannot be called, got 3; e.g. print"),
        (
            lambda: fitted.save(None),
            "save: is given NoneType, not str or PathLike; name a new folder",
        ),
        (lambda: load(None), "load: is given NoneType, not str or PathLike; give a run's folder"),
        (lambda: load(""), "run : no such run in"),
        (lambda: load_dataset(frame), "load_dataset: is given pandas.DataFrame, not str or Path;"),
        (lambda: fit("ridge", small, seed=fitted), "ridge.yaml: seed: is no plain value, got Fit"),
    ):
        with pytest.raises(UserError, match=told):
            call()  # type: ignore[no-untyped-call]
    assert str(leaderboard(result)) == str(leaderboard([result]))


def test_other_mistakes_are_told(small: Task, write_dataset: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="dataset 'tyo': no such card; did you mean 'toy'"):
        load_dataset("tyo")
    with pytest.raises(UserError, match="leaderboard: is given no result"):
        leaderboard([])
    fitted = fit("last_value", small)
    assert evaluate(fitted, Task(load_dataset("toy"), lookback=24, horizon=12)).mse > 0
    write_dataset("other", splits={"train": 401, "val": 150, "test": 149})
    for task in (
        Task(load_dataset("toy"), lookback=25, horizon=12),
        Task(load_dataset("toy"), lookback=24, horizon=11),
        Task(load_dataset("other"), lookback=24, horizon=12),
    ):
        with pytest.raises(UserError, match="evaluate: the model was fitted on toy, lookback 24"):
            evaluate(fitted, task)
