"""Searches on validation: what they may try, keep and choose, and what they never see."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.forecasters.resolve import how_fitted
from benchmark.harness.plan import plan
from benchmark.harness.search import Dimension
from benchmark.harness.spec import config_names, design_names, find_config, load_run
from benchmark.plain_yaml import load_yaml
from benchmark.training.report import EarlierEpoch, Epoch
from benchmark.training.unfinished import Unfinished
from benchmark.tuning.chosen import best_trial
from benchmark.tuning.search import prepare
from benchmark.tuning.trials import Trial, propose, read_trials
from benchmark.tuning.tune import tune

CPU = torch.device("cpu")
RATE = {"low": 1e-5, "high": 0.1, "log": True}
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


BREAKING = '''
import sys

from benchmark.forecasters.linear import Linear


class Breaking(Linear):
    """A fault of the class itself, or of the memory, at every normalisation but the first."""

    def __init__(self, shape, *, normalise: str = "none"):
        super().__init__(shape, normalise=normalise)
        self.normalise = normalise

    def forward(self, x):
        if self.normalise == "mean":
            sys.exit(0)
        if self.normalise == "last":
            raise RuntimeError("CUDA out of memory")
        return super().forward(x)
'''


ONCE = '''
from pathlib import Path

from benchmark.forecasters.linear import Linear


class Once(Linear):
    """Fails while the file `fails` is there."""

    def forward(self, x):
        if Path("fails").exists():
            raise MemoryError
        return super().forward(x)
'''


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
    written = load_yaml(Path("results/tune/small.yaml"))
    assert list(written) == [
        *(key for key in load_yaml(Path("small.yaml")) if key != "search"),
        "tuned",
    ]
    assert list(written["training"]) == ["epochs", "batch_size", "learning_rate"]
    ran = command("run", "results/tune/small.yaml")
    assert ran.code == 0, ran.err
    assert "by a search: small_tuned" in ran.out
    with Path("results/results.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["model"], row["tuned"]) == ("small_tuned", "10")
    assert float(row["val_mse"]) == best.score, "a trial is fitted and scored exactly as a run is"
    assert int(row["lookback"]) == best.params["lookback"]


def test_trials_behind_the_median_are_pruned_and_stand_below_those_that_finished(small, command):
    tuned = command("tune", small(), "--budget", 10)
    trials = kept()
    table = [line.split() for line in tuned.out.split("─")[-1].splitlines() if "lookback=" in line]
    assert len(table) == 10
    order = [(["finished", "pruned", "failed"].index(line[4]), float(line[1])) for line in table]
    assert order == sorted(order)
    pruned = [t for t in trials if t.outcome == "pruned"]
    assert pruned
    finished = sorted(t.scores[1] for t in trials[: trials.index(pruned[0])])
    middle = len(finished) // 2
    median = (finished[middle] + finished[~middle]) / 2
    assert len(pruned[0].scores) == 2
    assert pruned[0].score == min(pruned[0].scores) > median


def test_the_lowest_score_of_a_trial_that_finished_is_chosen_the_first_of_equals(
    small, make_task, tmp_path
):
    search = prepare(Path(small()), [], tmp_path, make_task().series)

    def trial(outcome: Any, score: float | None) -> Trial:
        return Trial(params={}, outcome=outcome, score=score, scores=(), seconds=0.0)

    done = [("finished", 0.5), ("failed", None), ("pruned", 0.1), ("finished", 0.4)]
    assert best_trial(search, [trial(*item) for item in [*done, ("finished", 0.4)]]) == 3


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


@pytest.mark.parametrize("folds", [1, 2])
def test_a_trial_that_was_interrupted_goes_on_after_its_last_epoch(
    small, make_task, tmp_path, monkeypatch, folds
):
    kept = partial(Unfinished, every=0.0)
    monkeypatch.setattr("benchmark.tuning.tune.Unfinished", kept)

    def searched(name: str, on_epoch: Any, budget: int = 3) -> list[Trial]:
        series = make_task().series
        search = prepare(Path(small()), [], tmp_path / name, series, folds=folds)
        return tune(search, budget, CPU, on_epoch)

    told: list[Epoch] = []
    expected = searched("undisturbed", told.append)
    stop_at = len(told) - 1
    seen: list[Epoch] = []

    def stop(epoch: Epoch) -> None:
        seen.append(epoch)
        if len(seen) == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched("stopped", stop)
    again: list[Epoch] = []
    found = searched("stopped", again.append)
    assert timeless(found) == timeless(expected)
    before = [epoch for epoch in again if isinstance(epoch, EarlierEpoch)]
    assert before
    assert found[-1].seconds > sum(epoch.seconds for epoch in before)
    assert list(tmp_path.glob("stopped/tune/*/.unfinished-*")) == []


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
        ("model.kernel_size", 25, 4, "small.yaml: model: kernel_size must be odd, but is"),
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
    assert len(trials) == 2, "both values, each once, whatever the budget"
    failed = [trial for trial in trials if trial.outcome == "failed"]
    assert failed
    assert [trial for trial in trials if trial.params[key] == bad] == failed
    assert all(trial.reason.startswith(reason) and trial.score is None for trial in failed)
    table = tuned.out.split("─")[-1]
    assert table.index("finished") < table.index("failed")
    assert " ".join(reason.split()[:3]) in " ".join(tuned.out.split())
    assert f"{len(failed)} failed" in Path("results/tune/small.yaml").read_text()


def test_a_trial_that_breaks_is_a_failed_one_and_the_search_goes_on(small, command, write_module):
    write_module("users_breaking", BREAKING)
    key, reason = "model.normalise", "RuntimeError: CUDA out of memory"
    yaml = small(model={"class": "users_breaking.Breaking"}, search={key: ["none", "last", "mean"]})
    tuned = command("tune", yaml, "--budget", 5)
    assert tuned.code == 0, tuned.err
    found = {trial.params[key]: (trial.outcome, trial.reason) for trial in kept()}
    assert found["none"] == ("finished", "")
    ended = "RuntimeError: the model ended the program: sys.exit(0)"
    for value, why in (("last", reason), ("mean", ended)):  # and the line, as nothing else is kept
        outcome, told = found[value]
        assert outcome == "failed"
        assert told.startswith(f"{why}, at line ")
        assert "users_breaking.py" in told
    assert load_yaml(Path("results/tune/small.yaml"))["model"].get("normalise", "none") == "none"

    words = ("--set", "model.normalise=last", "--set", "search={training.epochs: [3, 2]}")
    none = command("tune", yaml, "--budget", 2, *words, "--results", "all_fail")
    assert none.code == 2
    assert f"none of 2 trials finished, the first because: {reason}" in none.err


def test_what_failed_last_is_tried_anew_when_the_search_is_resumed(small, command, write_module):
    write_module("users_once", ONCE)
    yaml = small(model={"class": "users_once.Once"}, search={"model.normalise": ["none", "last"]})
    Path("fails").touch()
    first = command("tune", yaml, "--budget", 2)
    assert first.code == 2
    assert "none of 2 trials finished" in first.err
    Path("fails").unlink()
    again = command("tune", yaml, "--budget", 2)
    assert again.code == 0, again.err
    assert [trial.outcome for trial in kept()] == ["finished", "finished"]


def test_of_two_searches_at_once_the_slower_one_takes_over_what_the_other_has_tried(
    small, make_task, tmp_path
):
    search = prepare(Path(small()), [], tmp_path, make_task().series)
    others: list[Trial] = []
    told: list[tuple[int, Trial]] = []

    def meanwhile(epoch: Any) -> None:
        if len(told) == 1 and not others:
            others.extend(tune(search, 4, CPU))

    trials = tune(search, 5, CPU, meanwhile, lambda *item: told.append(item))
    assert trials[:4] == others
    assert trials == read_trials(search.file)
    assert [number for number, _ in told] == [0, 1, 4]


def test_the_choice_of_another_search_is_replaced_with_a_word_and_kept(small, command):
    first = command("tune", small(), "--budget", 1)
    chosen = Path("results/tune/small.yaml")
    text = chosen.read_text()
    assert "another search" not in first.out + command("tune", "small.yaml", "--budget", 2).out
    text = chosen.read_text()
    other = command("tune", "small.yaml", "--budget", 1, "--horizon", 6)
    assert "It replaces what another search chose there; each also keeps its own" in other.out
    assert load_run(chosen).horizon == 6
    copies = [path.read_text() for path in Path("results/tune").glob("small-*/chosen.yaml")]
    assert sorted(copies) == sorted([text, chosen.read_text()])


def test_a_search_in_which_nothing_finishes_chooses_nothing(small, command):
    search = {"training.learning_rate": [1e30, 1e29]}
    yaml = small(training={"learning_rate": 1e30}, search=search)
    tuned = command("tune", yaml, "--budget", 2)
    assert tuned.code == 2
    assert "none of 2 trials finished, the first because: FloatingPointError" in tuned.err
    assert not Path("results/tune/small.yaml").exists()


def test_a_search_in_which_everything_fails_does_not_go_on_for_its_whole_budget(small, command):
    rates = [float(f"{number}e30") for number in range(1, 10)]
    yaml = small(training={"learning_rate": rates[0]}, search={"training.learning_rate": rates})
    tuned = command("tune", yaml, "--budget", 9)
    assert tuned.code == 2
    assert "none of 5 trials finished, the first because: FloatingPointError" in tuned.err
    assert "no other values" not in tuned.out


def test_what_lies_behind_validation_changes_nothing(small, make_task, values, tmp_path):
    path = Path(small(training={"monitor": "mae"}))
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
    code = "import sys, benchmark.tuning.tune; print('benchmark.training.fit' in sys.modules, " + (
        "any(name.startswith('benchmark.evaluation') for name in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["True", "False"]


def test_a_search_is_no_part_of_a_run(small, command):
    tuned = {"trials": 3, "dataset": "toy", "horizon": 12}
    files = [small(), small("b.yaml", search={}), small("c.yaml", tuned=tuned)]
    assert len({plan(load_run(Path(file)), file).run_id for file in files}) == 1
    assert command("run", "small.yaml", "--set", "training.epochs=1").code == 0
    (resolved,) = Path("results/runs").glob("*/run.yaml")
    assert "search" not in load_yaml(resolved)


def test_a_key_that_is_set_is_fixed(small, command):
    fixed = ("--set", "lookback=30", "--set", "model.normalise=revin")
    chosen = ("--output", "chosen.yaml")
    assert command("tune", small(), "--budget", 2, *fixed, *chosen).code == 0
    assert all(list(trial.params) == ["training.learning_rate"] for trial in kept())
    assert load_run(Path("chosen.yaml")).lookback == 30
    assert "--set lookback=30" in Path("chosen.yaml").read_text()


def test_every_configuration_gets_the_same_budget(small, command):
    assert command("tune", small(), small("other.yaml", name="other"), "--budget", 2).code == 0
    assert len(kept()) == len(kept(name="other")) == 2


def test_our_own_searches_can_start_and_are_the_same_for_every_cell(tmp_path):
    task = ["dataset=akl_pedestrians", "horizon=24"]
    spaces = {}
    for name in (*config_names("models"), *design_names()):
        path = find_config("models", name)
        if load_run(path).search:
            spaces[name] = prepare(path, task, tmp_path).space
        else:
            assert how_fitted(load_run(path).model, name) != "gradient", name
    assert len(spaces) == 34
    cells = ("gru", "lstm", "slstm", "mlstm", "xlstm", "mamba", "mamba2", "rnn")
    assert all(spaces[cell] == spaces["gru"] for cell in cells)


def test_trials_differ_and_lie_in_the_space_whole_numbers_where_its_ends_are_whole(
    small, make_task, tmp_path
):
    space = {"lookback": {"low": 24, "high": 48}, "training.learning_rate": RATE}
    search = prepare(Path(small(search=space)), [], tmp_path, make_task().series)
    trials = tune(search, 5, CPU)
    assert len({trial.params["training.learning_rate"] for trial in trials}) == 5
    for trial in trials:
        assert trial.outcome == "finished", trial.reason
        assert isinstance(trial.params["lookback"], int)
        assert 24 <= trial.params["lookback"] <= 48
        assert 1e-5 <= trial.params["training.learning_rate"] <= 0.1


def test_each_trial_is_drawn_with_a_seed_of_its_own(monkeypatch):
    monkeypatch.setattr("benchmark.tuning.trials.DRAWS", 1)  # what was drawn before is drawn again
    space, trials = {"rate": Dimension.model_validate_json(json.dumps(RATE))}, []
    for _ in range(6):
        proposed = propose(space, {"rate": 0.01}, trials, seed=1)
        assert proposed is not None
        trials.append(
            Trial(params=proposed.params, outcome="finished", score=1.0, scores=(), seconds=0)
        )
    assert propose(space, {"rate": 0.01}, trials[:1], seed=2).params != trials[1].params


def test_another_search_another_start_and_other_data_keep_trials_of_their_own(
    small, make_task, values, tmp_path
):
    def file(series: Any = None, **changes: Any) -> Path:
        series = series or make_task().series
        return prepare(Path(small(**changes)), [], tmp_path, series).file

    files = [
        file(),
        file(search={"lookback": [24, 36]}),
        file(training={"batch_size": 64}),
        file(seed=2),
        file(make_task(splits={"train": 410, "val": 140, "test": 150}).series),
    ]
    assert len(set(files)) == len(files)
    assert file(description="Only words.") == files[0]


def test_trials_of_an_earlier_search_count(small, command):
    earlier = {"trials": 5, "dataset": "other", "horizon": 7}
    assert command("tune", small(name="small_tuned", tuned=earlier), "--budget", 1).code == 0
    chosen = load_run(Path("results/tune/small_tuned.yaml"))
    assert chosen.name == "small_tuned"
    assert chosen.tuned.model_dump() == {"trials": 6, "dataset": "toy", "horizon": 12}


def test_a_search_that_has_tried_all_its_values_says_so(small, command):
    done = command("tune", small(search={"lookback": [24, 36]}), "--budget", 9)
    assert done.code == 0, done.err
    assert "\n2 trials, not 9: the search has no other values to try.\n" in done.out
    less = command("tune", "small.yaml", "--budget", 1)
    assert "no other values" not in less.out
