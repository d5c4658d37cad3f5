"""A user's mistakes: exit code 2 and one line that names the file, the field and the cure."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mistakes import LINEAR, mistaken

import benchmark.harness.fitted as harness
from benchmark.cli import main
from benchmark.records.table import read_results

NAIVE = LINEAR.replace("class: Linear", "class: SeasonalNaive")
SUITE = """\
name: tiny
models: [model.yaml]
grids:
  - {datasets: [toy], horizons: [12]}
"""
Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def configs(toy: Path, write_yaml: Callable[[str, Any], str]) -> None:
    """A model's and a suite's YAML in the working directory."""
    write_yaml("model.yaml", LINEAR)
    write_yaml("tiny.yaml", SUITE)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("horizon", "horizn", ["model.yaml: horizn: unknown key; did you mean 'horizon'?"]),
        ("epochs", "epoch", ["model.yaml: training.epoch: unknown key; did you mean 'epochs'?"]),
        ("12", '"12"', ["model.yaml: horizon: input should be a valid integer, got '12'"]),
        ("12", "true", ["model.yaml: horizon: input should be a valid integer, got True"]),
        ("24", "-3", ["model.yaml: lookback: input should be greater than 0, got -3"]),
        ("24", "0", ["model.yaml: lookback: input should be greater than 0, got 0"]),
        ("24", "389", ["toy: lookback: 389 + horizon 12 do not fit", ": --set lookback=388\n"]),
        ("12", "151", ["toy: horizon: 151 steps do not fit into the 150", ": --set horizon=150\n"]),
        ("Linear", "Linaer", ["model.yaml: model.class: unknown forecaster 'Linaer'; did"]),
        ("Linear", "no_such.Model", ["cannot import 'no_such'; run from the folder that holds it"]),
        ("{class: Linear}", "{}", ["model.yaml: model.class: is missing; name the forecaster"]),
        ("model:", "modle:", ["model.yaml: modle: unknown key; did you mean 'model'?"]),
        ("name: linear", "name: a/b", ["model.yaml: name: string should match"]),
        ("toy", "tyo", ["dataset 'tyo': no such card; did you mean 'toy'?"]),
        ("toy", "my.csv", ["'my.csv': is a file, not a data set's name; make a data set of it"]),
        ("epochs: 1", "epochs: 1, epochs: 2", ["not valid YAML: duplicate key", "line 6"]),
        ("{class", "[class", ["model.yaml: not valid YAML", "line 5"]),
        ("epochs: 1", "epochs: 1, seed: 1", ["model.yaml: training.seed: unknown key"]),
        ("epochs: 1", "learning_rate: 0.0", ["training.learning_rate: input should be greater"]),
        ("epochs: 1", "loss: rmse", ["training.loss: input should be 'mse', 'mae', 'huber', "]),
        ("epochs: 1", "schedule: {kind: step}", ["model.yaml: training.schedule.kind: "]),
        ("epochs: 1", "schedule: {kind: one_cycle, warmup: 1}", ["training.schedule", "to 0"]),
        ("epochs: 1", "learning_rate: 1.0e+38", ["model.yaml: training diverged", "lower "]),
        (LINEAR, "", ["model.yaml: is empty; write its keys"]),
        (LINEAR, "- a\n- b\n", ["model.yaml: holds a list; it must be a mapping"]),
        (LINEAR, "linear", ["model.yaml: holds a single value ('linear')"]),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_mistake_in_a_models_yaml(
    command: Command, write_yaml: Callable[[str, Any], str], old: str, new: str, parts: list[str]
) -> None:
    assert old in LINEAR
    write_yaml("model.yaml", LINEAR.replace(old, new, 1))
    mistaken(command("run", "model.yaml"), *parts)


def test_an_option_that_does_not_go_with_the_data(
    command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("model.yaml", NAIVE.replace("24", "12"))
    parts = ["model.yaml: model: seasonal naive repeats the last 24 steps", "raise it or lower"]
    mistaken(command("run", "model.yaml"), *parts)


def test_a_mistake_leaves_no_row_and_a_run_that_fails_does(
    command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("model.yaml", NAIVE.replace("24", "12"))
    command("run", "model.yaml")
    assert not Path("results/results.csv").exists()
    write_yaml("model.yaml", LINEAR.replace("epochs: 1", "epochs: 1, learning_rate: 1.0e+38"))
    command("run", "model.yaml")
    (row,) = read_results(Path("results/results.csv")).to_dict("records")
    assert row["status"] == "failed"
    assert row["error"].startswith("FloatingPointError: training diverged")
    assert Path("results/runs", row["run_id"], "traceback.txt").is_file()


def test_an_error_of_our_own_keeps_its_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "evaluate", 3)
    with pytest.raises(TypeError, match="not callable"):
        command("run", "model.yaml")


def test_every_fault_of_a_file_is_told_at_once(
    command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("model.yaml", LINEAR.replace("12", "0").replace("epochs", "epocs") + "sed: 1\n")
    parts = ["model.yaml: horizon: ", "model.yaml: training.epocs: ", "model.yaml: sed: "]
    mistaken(command("run", "model.yaml"), *parts)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["run", "lineer"], "model lineer: unknown model 'lineer'; did you mean 'linear'?"),
        (["run", "modell.yaml"], "modell.yaml: no such file; did you mean 'model.yaml'?"),
        (["run", "model.yml"], "model.yml: no such file; did you mean 'model.yaml'?"),
        (["run", "ridg.yaml"], "ridg.yaml: no such file; did you mean 'ridge'?"),
        (["run", "cells/elman.yaml"], "elman.yaml: no such file; did you mean 'cells/elman'?"),
        (["run", "designs/fits.yml"], "fits.yml: no such file; did you mean 'designs/fits'?"),
        (["run", "my_module.Blend"], "write one, with the line model: {class: my_module.Blend}"),
        (["run", "a/my_module.py"], "a/my_module.py: is Python, and a run is described by a YAML"),
        (["run", "model.yaml", "--set", "horizon"], "--set horizon: is not of the form key=value"),
        (["run", "model.yaml", "--set", "=3"], "--set =3: is not of the form key=value"),
        (["run", "model.yaml", "--set", "horizn=3"], "horizn: unknown key; did you mean"),
        (["run", "gru", "--set", "patch=3"], "unknown key; did you mean 'model.patch'?"),
        (["run", "model.yaml", "--set", "horizon.x=3"], "'horizon' is a value, not a mapping"),
        (["run", "model.yaml", "--set", "horizon=[3"], "--set horizon=[3: not valid YAML"),
        (["run", "model.yaml", "--seed", 2**32], "with overrides: seed: input should be less"),
        (["suite", "etth2"], "suite etth2: unknown suite 'etth2'; did you mean 'etth1'?"),
        (["suite", "tiny.yml"], "tiny.yml: no such file"),
        (["suite", "model.yaml"], "is a model's YAML, not a suite's; benchmark run model.yaml"),
        (["run", "tiny.yaml"], "is a suite's YAML, not a model's; benchmark suite tiny.yaml"),
        (["suite", "tiny.yaml", "--set", "horizon=3"], "--set horizon=3: the suite's YAML decides"),
        (["suite", "tiny.yaml", "--set", "model.hidden=3"], "model.hidden: unknown key"),
        (["leaderboard", "absent.csv"], "absent.csv: no such file"),
        (["leaderboard", "tiny.yaml"], "tiny.yaml: line 4: has 2 cells"),
        (["leaderboard"], "results: no such folder; name another, or run a benchmark first"),
        (["compare", "absent.csv"], "compare: names fewer than two CSVs; use: benchmark compare"),
        (["compare", "absent.csv", "absent.csv"], "absent.csv: no such file"),
        (["compare", "main", "HEAD"], "of git revisions, use: benchmark compare main..HEAD"),
        (["datasets", "check", "tyo"], "dataset 'tyo': no such card; did you mean 'toy'?"),
        (["datasets", "fetch", "tyo"], "dataset 'tyo': no such card; did you mean 'toy'?"),
        (["datasets", "check", "absent.yaml"], "absent.yaml: no such file"),
        (["check", "lineer"], "unknown model 'lineer'; did you mean 'linear'?"),
        (["check", "mine/bugs.py"], "'mine/bugs.py' is a file; name the class in it, bugs.MyForec"),
        (["check", "no_such.Model"], "cannot import 'no_such'"),
        (["check", "gru", "--set", "hidden_sise=3"],
         "gru: model.hidden_sise: unknown key; did you mean 'hidden_size'?"),
        (["check", "gru", "--set", "model.hidden_sise=3"],
         "gru: model.hidden_sise: unknown key; did you mean 'hidden_size'?"),
        (["check", "benchmark.forecasters.linear.Linear", "--set", "model.individul=true"],
         "benchmark.forecasters.linear.Linear: model.individul: unknown key; did you mean"),
        (["speed", "lineer"], "unknown model 'lineer'; did you mean 'linear'?"),
        (["speed", "ridge", "--loop"], "--loop: times no model, but is given ridge; name none"),
        (["speed", "ridge", "--cells"], "--cells: times no model, but is given ridge; name none"),
        (["speed", "--loop", "--cells"], "--loop: does not go with --cells; give one of them"),
        (["speed", "--loop", "--device", "cuda"], "--loop: times on the CPU alone; leave out"),
        (["plot", "costs", "gru"], "plot costs: takes no models; leave that out"),
        (["plot", "steps", "--window", "1"], "plot steps: takes no --window; leave that out"),
        (["plot", "training", "--channel", "a"], "plot training: takes no --channel; leave that"),
        (["plot", "ranks", "--dataset", "a", "--horizon", 1, "--protocol", "0"],
         "plot ranks: takes no --dataset, no --horizon, no --protocol; leave that out"),
        (["compare", "a.csv", "--published", "--tolerance", "0"], "--published: goes with one CSV"),
        (["pitfalls", "--set", "dataset=ETTh2"], "--dataset decides that; use --dataset ETTh2"),
        (["pitfalls", "--set", " horizon = 96"], "--horizon decides that; use --horizon 96"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)  # fmt: skip
def test_a_mistake_on_the_command_line(command: Command, words: list[Any], part: str) -> None:
    mistaken(command(*words), part)


@pytest.mark.parametrize(
    "words",
    [
        ["leaderboard"],
        ["plot", "costs"],
        ["report"],
        ["compare", "--published"],
        ["reproduce", "abc"],
        ["forecast", "abc", "--input", "toy.csv", "--output", "forecast.csv"],
        ["backtest", "abc", "--input", "toy.csv"],
        ["export", "abc", "--output", "exported"],
    ],
    ids=lambda words: words[0],
)
def test_what_only_reads_makes_no_folder(command: Command, words: list[str]) -> None:
    mistaken(command(*words, "--results", "nothere"), "nothere")
    assert not Path("nothere").exists()


def test_a_folder_without_runs_is_its_results_csv_and_keeps_it(command: Command, toy: Path) -> None:
    folder = toy / "copied"
    folder.mkdir()
    (folder / "results.csv").write_text("run_id\n")
    mistaken(command("leaderboard", "--results", folder), f"{folder}/results.csv: line 1")
    assert (folder / "results.csv").read_text() == "run_id\n"
    assert [path.name for path in folder.iterdir()] == ["results.csv"]


@pytest.mark.parametrize(
    "words", [["run"], ["run", "x", "--sed", "1"], ["run", "x", "--seed", "-1"]]
)
def test_an_option_that_does_not_exist_gets_the_usage(command: Command, words: list[str]) -> None:
    answer = command(*words)
    assert answer.code == 2
    assert answer.err.startswith("Usage: ")
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("card", "parts"),
    [
        ({"season": None}, ["toy.yaml: season: is missing; add it"]),
        ({"season": "24"}, ["toy.yaml: season: input should be a valid integer, got '24'"]),
        ({"seasons": 24}, ["toy.yaml: seasons: unknown key; did you mean 'season'?"]),
        ({"splits": {"train": 0.5, "val": 0.2, "test": 0.2}}, ["toy.yaml: splits: ", "up to 0.9"]),
        ({"splits": {"train": 500, "val": 150, "test": 150}}, ["toy.csv: is too short", "800"]),
        ({"season": 400}, ["toy: season: 400 steps do not fit into the train split"]),
        ({"channels": ["load", "heat", "wnid"]}, ["toy.csv", "wnid"]),
        ({"name": "toys"}, ["toy.yaml: name: is 'toys'"]),
        ({"frequency": "1M"}, ["toy.yaml: frequency: is no step in s"]),
        ({"source": {"sha256": "0" * 64}}, ["toy.csv: is not the file that card 'toy' names"]),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
@pytest.mark.parametrize(
    "words", [["run", "model.yaml"], ["suite", "tiny.yaml"], ["datasets", "check", "toy"]]
)
def test_a_mistake_in_a_card(
    command: Command,
    write_dataset: Callable[..., Path],
    card: dict[str, Any],
    parts: list[str],
    words: list[str],
) -> None:
    write_dataset(**card) if "name" not in card else rename(write_dataset(), card["name"])
    mistaken(command(*words), *parts)


def rename(path: Path, name: str) -> None:
    card = path.with_suffix(".yaml")
    card.write_text(card.read_text().replace("name: toy", f"name: {name}"))


def test_a_missing_data_file(toy: Path, command: Command) -> None:
    (toy / "datasets" / "toy.csv").unlink()
    told = f"dataset 'toy': no file 'toy.csv' in {toy / 'datasets'} or "
    mistaken(command("run", "model.yaml"), told, "put the file there or set BENCHMARK_DATA")


def test_a_card_of_the_other_ending(toy: Path, command: Command) -> None:
    (toy / "datasets" / "toy.yaml").rename(toy / "datasets" / "toy.yml")
    parts = ["dataset 'toy': no such card; rename ", "toy.yml: a card's name ends in .yaml"]
    mistaken(command("run", "model.yaml"), *parts)


def test_a_truncated_or_altered_data_file(toy: Path, command: Command) -> None:
    path = toy / "datasets" / "toy.csv"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    mistaken(command("run", "model.yaml"), "toy.csv")
    path.write_text(whole.replace("\n2020-01-02 00:00:00,", "\n2020-01-02 00:00:00,x", 1))
    mistaken(command("run", "model.yaml"), "toy.csv", "line 26", "load")


def test_a_data_folder_that_is_none(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_DATA", "/no/such/folder")
    mistaken(command("run", "model.yaml"), "BENCHMARK_DATA=/no/such/folder: no such folder")


@pytest.mark.parametrize("words", [["run", "model.yaml"], ["suite", "tiny.yaml"]])
def test_a_results_folder_that_cannot_be(toy: Path, command: Command, words: list[str]) -> None:
    (toy / "file").touch()
    answer = command(*words, "--results", "file/results")
    mistaken(answer, "file/results: is a file, or lies below one; name a folder")


@pytest.fixture
def full_disk(toy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a disk of 16 KiB; where none may be mounted, one that cannot be synced."""
    folder = toy / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:

        def refuse(handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", refuse)
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("words", [["run", "model.yaml"], ["suite", "tiny.yaml"]])
def test_a_full_disk(full_disk: Path, command: Command, words: list[str]) -> None:
    answer = command(*words, "--results", full_disk)
    mistaken(answer, f"{full_disk}: the disk is full; free some space and run the same command")
    assert list((full_disk / "runs").iterdir()) == []


def test_ctrl_c_says_what_is_kept(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(harness, "evaluate", interrupt)
    answer = command("run", "model.yaml")
    assert answer.code == 130
    assert "What is finished is kept; the same command goes on from here." in answer.err
    assert not list((toy / "results").rglob("record.json"))
    answer = command("run", "model.yaml", "--force")  # which would begin anew
    assert "kept; without --force the same command runs what is missing." in answer.err
    monkeypatch.setattr("benchmark.audit.audit.audit", interrupt)
    answer = command("audit", "model.yaml")  # which keeps nothing
    assert (answer.code, answer.err) == (130, "\nStopped.\n")


def test_a_module_that_ends_the_program_is_told(
    toy: Path, command: Command, write_module: Callable[[str, str], None]
) -> None:
    write_module("users_script", "import sys\nsys.exit(0)\n")
    answer = command("check", "users_script.Model")
    assert answer.code == 2
    assert answer.err == (
        "error: users_script.Model: model.class: importing 'users_script' ends the program, with "
        "sys.exit(0); put what it does as a program under: if __name__ == '__main__'\n"
    )


def test_a_models_mistake_is_told_before_data_are_fetched_for_it(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    (toy / "datasets" / "toy.csv").unlink()
    write_yaml("model.yaml", LINEAR.replace("class: Linear", "class: Linear, individul: true"))
    mistaken(command("run", "model.yaml"), "model.individul: unknown key; did you mean 'individ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run model.yaml --horizon 96", "--set horizon=96"),
        ("run model.yaml --epochs=3", "--set training.epochs=3"),
        ("run --batch-size 8 model.yaml", "--set training.batch_size=8"),
        ("run model.yaml --hidden-size 64", "--set model.hidden_size=64"),
        ("run model.yaml --horizon", "--set horizon=VALUE"),
        ("run model.yaml --horizon= --seed 3", "--set horizon=VALUE"),
        ("run model.yaml --horizon --seed 3", "--set horizon=VALUE"),
        ("tune model.yaml --dataset toy", "--set dataset=toy"),
        ("audit model.yaml --lookback 24", "--set lookback=24"),
    ],
)
def test_a_setting_that_is_given_as_an_option_is_told_how_it_is_given(
    words: str, told: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmark", *words.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    option = next(word for word in words.split() if word.startswith("--")).partition("=")[0]
    name = words.split()[0]
    assert capfd.readouterr().err == (
        f"error: benchmark {name}: has no option {option}; settings are given so: {told}\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run model.yaml --thread 3", "--threads"),
        ("compare --horizon 96", "No such option: --horizon"),
    ],
)
def test_other_slips_are_clicks_to_tell(
    words: str, told: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmark", *words.split()])
    with pytest.raises(SystemExit):
        main()
    shown = capfd.readouterr()
    assert told in shown.out + shown.err
    assert "settings are given so" not in shown.err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "model.yaml", "--set", "dataset=NAME"),
        ("datasets", "add", "NAME"),
        ("datasets", "check", "NAME"),
        ("compare", "NAME", "NAME"),
        ("tune", "model.yaml", "--output", "NAME.yaml"),
    ],
    ids=" ".join,
)
def test_a_path_of_which_nothing_can_be_said_is_told(
    command: Command, words: tuple[str, ...]
) -> None:
    answer = command(*(word.replace("NAME", "a" * 300) for word in words))
    mistaken(answer, "aaa", "cannot be looked at (File name too long); check the path and its ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("option", ["--set", "--threads", "--seed"])
def test_an_option_without_its_value_is_not_said_to_be_none(command: Command, option: str) -> None:
    answer = command("run", "model.yaml", option)
    assert answer.code == 2
    assert f"Option '{option}' requires an argument" in answer.err
    assert "has no option" not in answer.err
