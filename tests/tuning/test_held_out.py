"""A search on several blocks or horizons: what it minimises, part by part."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest
import torch

from benchmark.data.folds import folds
from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.harness.spec import RunSpec, load_run
from benchmark.training.fit import fit, seed_all
from benchmark.training.heads import build_for_training
from benchmark.tuning.search import held_out, prepare
from benchmark.tuning.trials import read_trials

CPU = torch.device("cpu")


def validation_mse(spec: RunSpec, task: Task, train: Windows, validation: Windows) -> float:
    seed_all(spec.seed)
    shape = SeriesShape(task.lookback, task.horizon, task.channels, task.season)
    forecaster = build_for_training(spec.model, shape, spec.training, "small.yaml")
    return fit(forecaster, train, validation, spec.training, spec.seed).val_mse


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
    task = make_task(24, 12)
    means = [validation_mse(spec, task, *fold) for fold in folds(task, 3, longest=36)]
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
    several = [{}, {"folds": 2}, {"folds": 3}, {"horizons": (6, 12)}, {"horizons": (6, 24)}]
    several += [{"horizons": (6, 12), "folds": folds} for folds in (2, 3)]
    files = {prepare(yaml, [], tmp_path, series, **each).file for each in several}
    assert len(files) == len(several)


def test_a_search_begins_anew_where_an_option_that_is_not_set_means_something_else(
    small, make_task, tmp_path, monkeypatch
):
    yaml, series = Path(small(search={"lookback": [24, 36]})), make_task().series
    before = prepare(yaml, [], tmp_path, series).file
    monkeypatch.setitem(Linear.__init__.__kwdefaults__, "normalise", "last")
    assert prepare(yaml, [], tmp_path, series).file != before


def test_several_horizons_choose_one_setting_by_the_mean_over_them(small, command, make_task):
    words = ("--horizon", 12, "--horizon", 6, "--horizon", 12)
    done = command("tune", small(), "--budget", 3, *words, "--output", "both.yaml")
    assert done.code == 0, done.err
    (path,) = Path("results", "tune").glob("small-*/trials.json")
    trials = read_trials(path)
    spec = load_run(Path("small.yaml"))
    tasks = [make_task(24, horizon) for horizon in (12, 6)]
    means = [validation_mse(spec, t, t.windows("train"), t.windows("val")) for t in tasks]
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


def write_models(small) -> list[str]:
    """A network with a search, a ridge regression with a longer lookback and none, a naive one."""
    training = {"epochs": 2, "batch_size": 64, "learning_rate": 0.003}
    for name, changes in {
        "linear": {"training": training},
        "ridge": {"lookback": 48, "model": {"class": "Ridge"}, "search": {}},
        "last": {"model": {"class": "LastValue"}, "search": {}},
    }.items():
        Path(small(name=name, **changes)).rename(f"{name}.yaml")
    return ["linear.yaml", "ridge.yaml", "last.yaml"]


def test_several_models_are_ranked_on_the_same_windows_each_by_its_best_trial(
    small, command, make_task
):
    models = write_models(small)
    done = command("tune", *models, "--budget", 1, "--folds", 3, "--every", 5)
    assert done.code == 0, done.err
    expected: dict[str, list[float]] = {}
    for model in models:
        spec = load_run(Path(model))
        task, scores = make_task(spec.lookback, 12), []
        for train, whole in folds(task, 3, longest=48):
            some = whole.only(torch.arange(0, len(whole), 5))
            scores.append(validation_mse(spec, task, train, some))
        expected[spec.name] = scores
    ranked = sorted(expected, key=lambda name: fmean(expected[name]))
    rows = [line.split() for line in done.out.split("Models by validation")[1].splitlines()]
    rows = [row for row in rows if row[1:2] and row[1] in expected]
    assert [row[1] for row in rows] == ranked
    for rank, row in enumerate(rows, 1):
        blocks = expected[row[1]]
        lower = sum(a < b for a, b in zip(blocks, expected[ranked[0]], strict=True))
        assert row[:3] == [str(rank), row[1], f"{fmean(blocks):.4f}"]
        assert row[4:7] == [f"{score:.4f}" for score in blocks]
        assert row[7] == ("-" if rank == 1 else str(lower))
    told = " ".join(done.out.split())
    assert "one time in 4; the first of several is so more often." in told
    assert "chooses its epoch or its penalties on the block" in told
    assert not [*Path("results/tune").glob("*.yaml")], "none was chosen among others"
    again = command("tune", *models, "--budget", 1, "--folds", 3, "--every", 5)
    assert again.out == done.out[done.out.index("Models by") :], "all of it was there already"


def test_a_model_that_scores_as_the_first_does_is_told_as_equal(small, command):
    same = {"model": {"class": "Ridge"}, "search": {}}
    twins = [Path(small(name=name, **same)).rename(f"{name}.yaml").name for name in ("one", "two")]
    done = command("tune", *twins, "--budget", 1, "--folds", 3, "--every", 5)
    assert done.code == 0, done.err
    table = done.out.split("Models by validation")[1]
    assert " +0.0% " in table
    assert " 0 of 3, 3 equal " in table
    assert "one time in 4. " in " ".join(table.split())


def test_models_whose_scores_are_not_alike_are_not_ranked(small, command):
    by_mse = write_models(small)[0]
    by_mae = small(training={"epochs": 1, "monitor": "mae"}, search={})
    done = command("tune", by_mse, by_mae, "--budget", 1)
    assert done.code == 0, done.err
    assert "Models by validation" not in done.out


def test_a_searched_model_among_several_still_writes_what_it_has_chosen(small, command):
    done = command("tune", *write_models(small), "--budget", 2)
    assert done.code == 0, done.err
    assert [path.name for path in Path("results/tune").glob("*.yaml")] == ["linear.yaml"]
    assert "block" not in done.out
    assert "Models by validation, " in done.out


def test_windows_left_out_are_a_search_of_their_own(small, make_task, tmp_path):
    yaml, series = Path(small()), make_task().series
    whole, half, some = (prepare(yaml, [], tmp_path, series, every=every) for every in (1, 2, 4))
    assert len({whole.file, half.file, some.file}) == 3
    counts = [len(held_out(each, each.spec, CPU)[0].validation) for each in (whole, some)]
    assert counts[1] == -(-counts[0] // 4)
