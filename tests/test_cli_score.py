"""Forecasts of another program: scored, ranked among ours, and never taken for a run of ours."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark import Task, fit, load_dataset

Command = Callable[..., Any]
WORDS = ("--dataset", "toy", "--horizon", 12, "--lookback", 24)


@pytest.fixture
def files(toy: Path) -> Path:
    """The working directory, with forecasts and targets as another program writes them."""
    task = Task(load_dataset("toy"), lookback=24, horizon=12)
    windows = task.windows("test")
    x, y = windows.gather(torch.arange(len(windows)))
    with torch.no_grad():
        np.save(toy / "pred.npy", fit("ridge", task).forecaster(x).numpy())
    np.save(toy / "true.npy", y.numpy())
    np.save(toy / "worse.npy", y.numpy() + 1)
    return toy


def test_what_was_forecast_elsewhere_stands_beside_the_same_model_of_ours(
    files: Path, command: Command
) -> None:
    run = ("run", "ridge", "--set", "dataset=toy", "--set", "horizon=12", "--set", "lookback=24")
    assert command(*run).code == 0
    shown = command("score", "pred.npy", "--target", "true.npy", "--name", "theirs", *WORDS)
    assert (shown.code, shown.err) == (0, "")
    rows = pd.read_csv("results/results.csv").set_index("model")
    ours, theirs = rows.loc["ridge"], rows.loc["theirs"]
    for metric in ("mse", "mae", "mase", "smape", "r2", "mae_original"):
        assert theirs[metric] == pytest.approx(ours[metric], rel=1e-12), metric
    for column in ("fingerprint", "test_windows", "data"):
        assert theirs[column] == ours[column]
    assert (theirs["fitted"], theirs["device"]) == ("elsewhere", "elsewhere")
    assert theirs[["train_seconds", "params", "crps", "val_mse"]].isna().all()
    assert "theirs" in shown.out
    assert "Made elsewhere and only scored here: theirs (24)" in " ".join(shown.out.split())

    files.joinpath("page.html").unlink(missing_ok=True)
    assert command("report", "--output", "page.html").code == 0
    assert "theirs" in files.joinpath("page.html").read_text()
    compared = command("compare", "results/results.csv", "results/results.csv")
    assert compared.code == 0


def test_one_name_and_seed_are_one_file(files: Path, command: Command) -> None:
    first = command("score", "pred.npy", "--name", "theirs", *WORDS)
    again = command("score", "pred.npy", "--name", "theirs", *WORDS)
    assert (first.code, again.code) == (0, 0)
    refused = command("score", "worse.npy", "--name", "theirs", *WORDS)
    assert refused.code == 2
    assert "--name theirs --seed 1: there are other forecasts of this name" in refused.err
    assert command("score", "worse.npy", "--name", "theirs", "--seed", 2, *WORDS).code == 0
    rows = pd.read_csv("results/results.csv")
    assert rows["seed"].tolist() == [1, 2]
    assert rows["config"].nunique() == 1


def test_forecasts_in_original_units_that_are_not_said_to_be_are_told(
    files: Path, command: Command
) -> None:
    task = Task(load_dataset("toy"), lookback=24, horizon=12)
    scaled = np.load("pred.npy")
    np.save("plain.npy", scaled * 1e6)
    np.save("units.npy", scaled * task.scaler.scale + task.scaler.mean)
    answer = command("score", "units.npy", "--name", "theirs", *WORDS)
    (run,) = Path("results/runs").absolute().glob("theirs-*")
    told = "units.npy: is scored as scaled values, but makes sense only in original units"
    assert answer.err == f"warning: {told}; remove {run} and score it with --original-units\n"
    shutil.rmtree(run)
    for words in (
        ("units.npy", "--name", "theirs", "--original-units"),
        ("pred.npy", "--name", "right"),
        ("plain.npy", "--name", "absurd"),
    ):
        answer = command("score", *words, *WORDS)
        assert (answer.code, answer.err) == (0, "")


def test_scaled_forecasts_that_are_said_to_be_in_original_units_are_told(
    files: Path, command: Command
) -> None:
    np.save("zeros.npy", np.zeros_like(np.load("pred.npy")))
    answer = command("score", "pred.npy", "--name", "theirs", "--original-units", *WORDS)
    (run,) = Path("results/runs").absolute().glob("theirs-*")
    told = "pred.npy: is scored in original units, but makes sense only as scaled values"
    assert answer.err == f"warning: {told}; remove {run} and score it without --original-units\n"
    answer = command("score", "zeros.npy", "--name", "poor", "--original-units", *WORDS)
    assert (answer.code, answer.err) == (0, "")


def test_there_is_no_model_to_use(files: Path, command: Command) -> None:
    assert command("score", "pred.npy", "--name", "theirs", *WORDS).code == 0
    for words in (
        ("reproduce", "theirs"),
        ("reproduce", "results/results.csv"),
        ("export", "theirs", "--output", "folder"),
        ("forecast", "theirs", "--input", "datasets/toy.csv", "--output", "f.csv"),
    ):
        refused = command(*words)
        assert refused.code == 2, words
        assert refused.err.count("\n") == 1
        assert "its forecasts were made elsewhere" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.npy",), "error: nowhere.npy: cannot be read"),
        (
            ("pred.npy", "--target", "pred.npy"),
            "error: pred.npy: window 1, step 1, channel 'load': ",
        ),
        (("pred.npy", "--column", "x"), "error: --column x: pred.npy has no columns; leave it out"),
        (("pred.npy", "--horizon", 6), "not (145, 6, 3): windows, horizon, channels"),
        (("pred.npy", "--name", "a b"), "error: benchmark score: name: "),
        (("pred.npy", "--dataset", "toys"), "did you mean 'toy'?"),
    ],
)
def test_a_mistake_is_one_line(
    words: tuple[Any, ...], message: str, files: Path, command: Command
) -> None:
    refused = command("score", "--name", "theirs", *WORDS, *words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
    assert message in refused.err
    assert not (files / "results" / "runs").exists()
