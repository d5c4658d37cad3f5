"""Searches on validation: what they may try, keep and choose, and what they never see."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.harness import tuning
from benchmark.harness.run import plan
from benchmark.harness.spec import CONFIGS, load_run
from benchmark.harness.trials import Trial, read_trials
from benchmark.harness.tuning import prepare, tune

CPU = torch.device("cpu")
RATE = {"low": 1e-5, "high": 0.1, "log": True}
TOY: dict[str, Any] = {
    "name": "small",
    "dataset": "toy",
    "lookback": 24,
    "horizon": 12,
    "model": {"class": "Linear"},
    "training": {"epochs": 3, "batch_size": 128, "learning_rate": 0.003},
    "search": {
        "lookback": [24, 36],
        "model.normalise": ["none", "last", "mean"],
        "training.learning_rate": RATE,
    },
}
STOPPING = '''
from pathlib import Path

from benchmark.forecasters.linear import Linear


class Stopping(Linear):
    """A Ctrl-C in the second epoch of the trial after two, while the file `stop` is there."""

    built = 0

    def __init__(self, shape, *, normalise: str = "none"):
        super().__init__(shape, normalise=normalise)
        type(self).built += 1
        self.validations = 0

    def forward(self, x):
        if not self.training and Path("stop").exists():
            self.validations += 1
            if type(self).built == 3 and self.validations == 2:
                raise KeyboardInterrupt
        return super().forward(x)
'''


@pytest.fixture
def small(toy: Path, write_yaml: Callable[[str, Any], str]) -> Callable[..., str]:
    """Write small.yaml; keywords replace its keys."""
    return lambda **changes: write_yaml("small.yaml", TOY | changes)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, a trial is an error."""

    def forbid() -> None:
        monkeypatch.setattr(tuning, "fit", None)

    return forbid


def kept(results: str | Path = "results", name: str = "small") -> list[Trial]:
    (file,) = Path(results, "tune").glob(f"{name}-*/trials.json")
    return read_trials(file)


def timeless(trials: list[Trial]) -> list[Trial]:
    return [trial.model_copy(update={"seconds": 0.0}) for trial in trials]


def test_the_chosen_configuration_runs_and_says_that_it_was_chosen(small, command):
    tuned = command("tune", small(), "--budget", 10)
    assert tuned.code == 0, tuned.err
    trials = kept()
    assert len(trials) == 10
    start = {"lookback": 24, "model.normalise": "none", "training.learning_rate": 0.003}
    assert trials[0].params == start
    best = min((t for t in trials if t.outcome == "finished"), key=lambda t: t.score)
    header = Path("results/tune/small.yaml").read_text().splitlines()[:3]
    assert header[0] == "# Chosen on validation by: benchmark tune small.yaml --budget 10"
    assert header[1].startswith("# 10 trials, ")
    assert f"val_mse {best.score:.6f}" in header[2]
    ran = command("run", "results/tune/small.yaml")
    assert ran.code == 0, ran.err
    assert "by a search: small_tuned" in ran.out
    with Path("results/results.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["model"], row["tuned"]) == ("small_tuned", "10")
    assert float(row["val_mse"]) == best.score, "a trial is fitted and scored exactly as a run is"
    assert int(row["lookback"]) == best.params["lookback"]


def test_trials_behind_the_median_are_pruned_and_never_chosen(small, command):
    assert command("tune", small(), "--budget", 10).code == 0
    trials = kept()
    pruned = [t for t in trials if t.outcome == "pruned"]
    assert pruned
    finished = sorted(t.scores[1] for t in trials[: trials.index(pruned[0])])
    middle = len(finished) // 2
    median = (finished[middle] + finished[~middle]) / 2
    assert len(pruned[0].scores) == 2
    assert pruned[0].score == min(pruned[0].scores) > median


def test_a_search_that_was_interrupted_goes_on_as_if_nothing_had_happened(
    small, command, write_module
):
    write_module("users_stopping", STOPPING)
    yaml = small(model={"class": "users_stopping.Stopping"})
    Path("stop").touch()
    stopped = command("tune", yaml, "--budget", 5, "--results", "stopped")
    assert stopped.code == 130
    assert "goes on from here" in stopped.err
    assert len(kept("stopped")) == 2
    assert not Path("stopped/tune/small.yaml").exists()
    Path("stop").unlink()
    assert command("tune", yaml, "--budget", 5, "--results", "stopped").code == 0
    assert command("tune", yaml, "--budget", 5, "--results", "whole").code == 0
    assert timeless(kept("stopped")) == timeless(kept("whole"))
    chosen = [Path(folder, "tune/small.yaml").read_text() for folder in ("stopped", "whole")]
    assert chosen[0] == chosen[1]


def test_a_search_that_is_done_prints_the_same_table_without_training(small, command, no_training):
    yaml = small()
    first = command("tune", yaml, "--budget", 4)
    files = {p: p.read_bytes() for p in Path("results/tune").rglob("*") if p.is_file()}
    no_training()
    again = command("tune", yaml, "--budget", 4)
    assert again.code == 0
    assert first.out.endswith(again.out)
    assert again.out.count("\n") >= 4 + 3
    assert {p: p.read_bytes() for p in Path("results/tune").rglob("*") if p.is_file()} == files
    less = command("tune", yaml, "--budget", 2)
    assert "2 trials; MSE on validation" in less.out
    assert len(kept()) == 4


@pytest.mark.parametrize(
    ("key", "good", "bad", "reason"),
    [
        ("model.kernel_size", 25, 4, "small.yaml: model: kernel_size must be odd, however: it is"),
        ("training.learning_rate", 0.003, 1e30, "FloatingPointError: training diverged"),
    ],
)
def test_options_that_do_not_go_together_and_nan_are_failed_trials_with_a_reason(
    key, good, bad, reason, small, command
):
    tuned = command(
        "tune", small(model={"class": "DLinear"}, search={key: [good, bad]}), "--budget", 6
    )
    assert tuned.code == 0, tuned.err
    trials = kept()
    assert len(trials) == 6
    failed = [trial for trial in trials if trial.outcome == "failed"]
    assert failed
    assert [trial for trial in trials if trial.params[key] == bad] == failed
    assert all(trial.reason.startswith(reason) and trial.score is None for trial in failed)
    assert " ".join(reason.split()[:3]) in " ".join(tuned.out.split())
    assert f"{len(failed)} failed" in Path("results/tune/small.yaml").read_text()


def test_a_search_in_which_nothing_finishes_chooses_nothing(small, command):
    search = {"training.learning_rate": [1e30, 1e29]}
    yaml = small(training=TOY["training"] | {"learning_rate": 1e30}, search=search)
    tuned = command("tune", yaml, "--budget", 2)
    assert tuned.code == 2
    assert "none of 2 trials finished, the first because: FloatingPointError" in tuned.err
    assert not Path("results/tune/small.yaml").exists()


def test_what_lies_behind_validation_changes_nothing(small, make_task, values, tmp_path):
    path = Path(small(training=TOY["training"] | {"monitor": "mae"}))
    borders = make_task().borders

    def trials(name: str, changed: Any) -> list[Trial]:
        series = make_task(values=changed).series
        return timeless(tune(prepare(path, [], tmp_path / name, series), 4, CPU))

    hidden, seen = values.copy(), values.copy()
    hidden[borders["test"].start :] = float("nan")
    seen[borders["val"].stop - 1] += 1
    as_it_is = trials("as it is", values)
    assert all(trial.score == min(trial.scores) for trial in as_it_is)
    assert trials("hidden", hidden) == as_it_is
    assert trials("seen", seen) != as_it_is


def test_what_evaluates_on_test_is_not_imported():
    code = (
        "import sys, benchmark.harness.tuning; print('benchmark.training.fit' in sys.modules, "
        + ("any(name.startswith('benchmark.evaluation') for name in sys.modules))")
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["True", "False"]


def test_a_search_is_no_part_of_a_runs_id(small, write_yaml):
    path = Path(small())
    plain = {key: value for key, value in TOY.items() if key != "search"}
    tuned = {"tuned": {"trials": 3, "dataset": "toy", "horizon": 12}}
    ids = {
        plan(load_run(Path(write_yaml(f"{i}.yaml", data))), "x.yaml").run_id
        for i, data in enumerate((plain, plain | tuned))
    }
    assert ids == {plan(load_run(path), "x.yaml").run_id}


def test_a_key_that_is_set_is_fixed(small, command):
    fixed = ("--set", "lookback=30", "--set", "model.normalise=revin")
    chosen = ("--output", "chosen.yaml")
    assert command("tune", small(), "--budget", 2, *fixed, *chosen).code == 0
    assert all(list(trial.params) == ["training.learning_rate"] for trial in kept())
    assert load_run(Path("chosen.yaml")).lookback == 30
    assert "--set lookback=30" in Path("chosen.yaml").read_text()


def test_every_configuration_gets_the_same_budget(small, write_yaml, command):
    write_yaml("other.yaml", TOY | {"name": "other"})
    assert command("tune", small(), "other.yaml", "--budget", 2).code == 0
    assert len(kept()) == len(kept(name="other")) == 2
    assert "two configurations are named" in command("tune", "small.yaml", "small.yaml").err
    both = command("tune", "small.yaml", "other.yaml", "--output", "one.yaml")
    assert both.err == (
        "error: --output: is one file for 2 configurations; leave it out, or tune them one by one\n"
    )


MISTAKES = {
    "model.normalis: [last]": "search: model.normalis: unknown key; did you mean 'normalise'?",
    "training.epoch: [1, 2]": "search: training.epoch: unknown key; did you mean 'epochs'?",
    "model.normalise: [none, lst]": "search: model.normalise: input should be 'none', 'last', 'mea",
    "model.individual: [false, 2]": "search: model.individual: input should be a valid boolean",
    "lookback: {low: 0, high: 24}": "search: lookback: input should be greater than 0, got 0",
    "lookback: [36]": "search: lookback: does not hold the value that the search begins with, 24; "
    "add it, or fix the key: --set lookback=VALUE",
    "lookback: [24, 9999]": "lookback: 9999 + horizon 12 do not fit into the train split",
    "lookback: 24": "search.lookback: must be a list of choices, or {low: ..., high: ...}, got 24",
    "lookback: []": "search.lookback: needs at least one choice",
    "lookback: [24, 24]": "search.lookback: holds a choice twice",
    "lookback: [[24]]": "search.lookback.choices.0: must be a plain value",
    "lookback: {low: 36, high: 24}": "search.lookback: low must be below high, however: 36 and 24",
    "lookback: {low: a, high: 24}": "search.lookback.low: must be a number, got 'a'",
    "lookback: {low: 1, high: 24, lg: true}": "search.lookback.lg: unknown key; did you mean 'log'",
    "training.weight_decay: {low: 0, high: 1, log: true}": "log needs a low above 0, however: 0",
    "seed: [1, 2]": "search: 'seed' cannot be searched; search over lookback, model.<option>",
    "training.monitor: [mse, mae]": "search: 'training.monitor' cannot be searched",
    "model.cell_options.depth: [1]": "search: model.cell_options: unknown key",
}


@pytest.mark.parametrize(("search", "message"), MISTAKES.items())
def test_a_mistake_in_a_search_is_found_before_the_first_trial(
    search, message, small, command, no_training
):
    no_training()
    small()
    told = command("tune", "small.yaml", "--set", f"search={{{search}}}")
    assert told.code == 2
    assert message in told.err
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_configuration_without_a_search_or_without_training_is_told_so(small, command):
    small(search={})
    assert command("tune", "small.yaml").err.startswith("error: small.yaml: search: is missing; ")
    small(model={"class": "Ridge"})
    fixed = ("--set", "search={training.epochs: [3]}")
    told = command("tune", "small.yaml", *fixed).err
    assert told == (
        "error: small.yaml: search: training.epochs: Ridge is not trained by gradient; "
        "take it out\n"
    )


def test_without_optuna_there_is_a_cure(small, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    told = command("tune", small())
    assert told.code == 2
    assert told.err == ("error: benchmark tune: Optuna is not installed; pip install 'optuna>=4'\n")


def test_a_damaged_file_of_trials_is_told_and_left_alone(small, command, no_training):
    assert command("tune", small(), "--budget", 1).code == 0
    (file,) = Path("results/tune").glob("small-*/trials.json")
    no_training()
    for text in (file.read_text()[:-9], json.dumps({"trials": [{"score": 1}]}), "[]"):
        file.write_text(text)
        told = command("tune", "small.yaml", "--budget", 1)
        assert (
            told.err == f"error: {file.resolve()}: is damaged; remove it; the search begins anew\n"
        )
        assert file.read_text() == text


def test_our_own_searches_can_start_and_are_the_same_for_every_cell(tmp_path):
    task = ["dataset=akl_pedestrians", "horizon=24"]
    spaces = {}
    for path in sorted((CONFIGS / "models").glob("*.yaml")):
        if load_run(path).search:
            spaces[path.stem] = prepare(path, task, tmp_path).space
    assert len(spaces) == 11
    cells = ("gru", "lstm", "slstm", "mlstm", "xlstm", "mamba", "mamba2", "rnn")
    assert all(spaces[cell] == spaces["gru"] for cell in cells)
