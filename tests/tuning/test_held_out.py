"""A search on several blocks or horizons: what it minimises, part by part."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.data.folds import folds
from benchmark.data.task import Task
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.harness.spec import RunSpec, load_run
from benchmark.training.fit import fit, seed_all
from benchmark.training.heads import build_for_training
from benchmark.tuning.search import prepare
from benchmark.tuning.trials import read_trials


def test_several_folds_choose_by_the_mean_over_blocks_and_are_a_search_of_their_own(
    small, command, make_task
):
    one = command("tune", small(seed=3), "--budget", 3, "--output", "one.yaml")
    (alone,) = Path("results", "tune").glob("small-*/trials.json")
    several = command("tune", "small.yaml", "--budget", 3, "--folds", 3, "--output", "three.yaml")
    assert (one.code, several.code) == (0, 0), several.err
    assert "3 trials; MSE mean over 3 blocks, each held out in turn. Trial 0" in several.out
    assert " epochs " in one.out
    assert " fits " in several.out
    assert " epochs " not in several.out  # which nobody counts
    searches = sorted(Path("results", "tune").glob("small-*/trials.json"))
    assert len(searches) == 2
    (trials,) = (t for path in searches if path != alone for t in [read_trials(path)])
    header = Path("three.yaml").read_text().splitlines()[0]
    assert header.endswith("--budget 3 --folds 3")
    spec = load_run(Path("small.yaml"))
    means = []
    for train, held_out in folds(make_task(24, 12), 3, longest=36):
        seed_all(3)
        shape = SeriesShape(24, 12, 3, 24)
        forecaster = build_for_training(spec.model, shape, spec.training, "small.yaml")
        means.append(fit(forecaster, train, held_out, spec.training, 3).val_mse)
    assert trials[0].score == pytest.approx(sum(means) / 3, rel=1e-6)
    assert trials[0].scores[1] == pytest.approx(sum(means[:2]) / 2, rel=1e-6)


def test_no_trial_is_pruned_by_its_first_blocks(small, command):
    done = command("tune", small(training={"epochs": 1}), "--budget", 6, "--folds", 4)
    assert done.code == 0, done.err
    (path,) = Path("results", "tune").glob("small-*/trials.json")
    found = [(trial.outcome, len(trial.scores)) for trial in read_trials(path)]
    assert found == [("finished", 4)] * 6


def test_no_trial_is_pruned_by_the_epochs_of_one_member(small, command):
    member = {"model": {"class": "Linear"}, "copies": 2}
    search = {"training.learning_rate": {"low": 1e-5, "high": 0.1, "log": True}}
    done = command(
        "tune",
        small(model={"class": "Ensemble", "members": [member]}, search=search),
        "--budget",
        8,
    )
    assert done.code == 0, done.err
    (path,) = Path("results", "tune").glob("small-*/trials.json")
    assert {trial.outcome for trial in read_trials(path)} == {"finished"}


def test_searches_on_other_blocks_or_horizons_keep_trials_of_their_own(small, make_task, tmp_path):
    yaml, series = Path(small()), make_task().series
    several = [{}, {"folds": 3}, {"horizons": (6, 12)}, {"horizons": (6, 12), "folds": 3}]
    files = {prepare(yaml, [], tmp_path, series, **each).file for each in several}
    assert len(files) == len(several)


def test_a_search_begins_anew_where_an_option_that_is_not_set_means_something_else(
    small, make_task, tmp_path, monkeypatch
):
    yaml, series = Path(small(search={"lookback": [24, 36]})), make_task().series
    before = prepare(yaml, [], tmp_path, series).file
    monkeypatch.setitem(Linear.__init__.__kwdefaults__, "normalise", "last")
    assert prepare(yaml, [], tmp_path, series).file != before


def validation_mse(spec: RunSpec, task: Task) -> float:
    seed_all(1)
    shape = SeriesShape(task.lookback, task.horizon, task.channels, task.season)
    forecaster = build_for_training(spec.model, shape, spec.training, "small.yaml")
    parts = task.windows("train"), task.windows("val")
    return fit(forecaster, *parts, spec.training, 1).val_mse


def test_several_horizons_choose_one_setting_by_the_mean_over_them(small, command, make_task):
    words = ("--horizon", 12, "--horizon", 6, "--horizon", 12)
    done = command("tune", small(), "--budget", 3, *words, "--output", "both.yaml")
    assert done.code == 0, done.err
    (path,) = Path("results", "tune").glob("small-*/trials.json")
    trials = read_trials(path)
    spec = load_run(Path("small.yaml"))
    means = [validation_mse(spec, make_task(24, horizon)) for horizon in (12, 6)]
    assert trials[0].score == pytest.approx(sum(means) / 2, rel=1e-6)
    assert trials[0].scores == pytest.approx([means[0], sum(means) / 2], rel=1e-6)
    chosen = load_run(Path("both.yaml"))
    assert chosen.tuned is not None
    assert chosen.tuned.horizon == (12, 6)
    assert chosen.horizon == spec.horizon
    assert "horizon 12, 6" in done.out
    assert "MSE mean over 2 horizons" in done.out
    command_line = Path("both.yaml").read_text().splitlines()[0]
    assert command_line.endswith("--budget 3 --horizon 12 --horizon 6 --horizon 12")


def test_one_horizon_is_the_search_that_the_yaml_with_it_would_be(small, command):
    assert command("tune", small(), "--budget", 2, "--horizon", 6, "--output", "a.yaml").code == 0
    (path,) = Path("results/tune").glob("*/trials.json")
    written = path.read_bytes()
    done = command("tune", small(), "--budget", 2, "--set", "horizon=6", "--output", "b.yaml")
    assert done.code == 0, done.err
    assert [*Path("results/tune").glob("*/trials.json")] == [path]
    assert path.read_bytes() == written, "both trials were there already"
    chosen = [load_run(Path(name)) for name in ("a.yaml", "b.yaml")]
    assert chosen[0] == chosen[1]
    assert chosen[0].horizon == 6


def test_a_horizon_that_does_not_fit_is_refused_before_the_first_trial(small, command):
    done = command("tune", small(), "--horizon", 12, "--horizon", 100_000)
    assert done.code == 2
    assert "100000" in done.err.replace(",", "")
    assert not list(Path("results").glob("tune/*"))
