"""A search by blocked cross-validation: what it minimises, fold by fold."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.data.folds import folds
from benchmark.forecasters.contract import SeriesShape
from benchmark.harness.spec import load_run
from benchmark.harness.trials import read_trials
from benchmark.training.fit import fit, seed_all
from benchmark.training.heads import build_for_training


def test_several_folds_choose_by_the_mean_over_blocks_and_are_a_search_of_their_own(
    small, command, make_task
):
    one = command("tune", small(), "--budget", 3, "--output", "one.yaml")
    (alone,) = Path("results", "tune").glob("small-*/trials.json")
    several = command("tune", small(), "--budget", 3, "--folds", 3, "--output", "three.yaml")
    assert (one.code, several.code) == (0, 0), several.err
    searches = sorted(Path("results", "tune").glob("small-*/trials.json"))
    assert len(searches) == 2
    (trials,) = (t for path in searches if path != alone for t in [read_trials(path)])
    header = Path("three.yaml").read_text().splitlines()[0]
    assert header.endswith("--budget 3 --folds 3")
    spec = load_run(Path("small.yaml"))
    means = []
    for train, held_out in folds(make_task(24, 12), 3, longest=36):
        seed_all(1)
        shape = SeriesShape(24, 12, 3, 24)
        forecaster = build_for_training(spec.model, shape, spec.training, "small.yaml")
        means.append(fit(forecaster, train, held_out, spec.training, 1).val_mse)
    assert trials[0].score == pytest.approx(sum(means) / 3, rel=1e-6)
    assert trials[0].scores[1] == pytest.approx(sum(means[:2]) / 2, rel=1e-6)
