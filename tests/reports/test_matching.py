"""Seeds that no file shares with the other: means are compared, and judged as means."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.reports.changes import compare
from benchmark.reports.comparison_tables import to_markdown
from benchmark.reports.judgement import Side, judge
from benchmark.reports.matching import ALL_SEEDS, KEY, matched

seed_sets = st.lists(st.integers(0, 4), unique=True, max_size=3)


def side(seeds_of):
    rows = [
        {"dataset": "A", "horizon": 1, "model": model, "lookback": 1, "seed": seed, "mse": seed}
        for model, seeds in seeds_of.items()
        for seed in seeds
    ]
    constant = {"fingerprint": "f", "config": "c", "status": "done", "error": ""}
    constant |= {"run_id": "r", "fitted": "gradient"}
    return pd.DataFrame(rows, columns=[*KEY, "mse"]).astype({"seed": int}).assign(**constant)


@settings(max_examples=30)
@given(*(st.fixed_dictionaries({"gru": seed_sets, "lstm": seed_sets}) for _ in "ab"))
def test_seeds_are_taken_together_only_where_none_is_shared(old, new):
    rows = matched(side(old), side(new), ("mse",))
    for model in ("gru", "lstm"):
        before, after = set(old[model]), set(new[model])
        together = before and after and not before & after
        expected = {ALL_SEEDS} if together else before | after
        own = rows[rows["model"] == model]
        assert sorted(own["seed"]) == sorted(expected)
        if together:
            (row,) = own.to_dict("records")
            assert (row["mse_old"], row["mse_new"]) == pytest.approx(
                (np.mean(list(before)), np.mean(list(after)))
            )
            assert (row["runs_old"], row["runs_new"]) == (len(before), len(after))


def test_means_over_other_seeds_are_judged_by_their_windows_and_their_seeds(run, table):
    """Six windows' losses of three seeds a side: the verdict is that of the means over seeds."""
    noise = itertools.cycle((-0.001, 0.0, 0.001))
    steps = np.random.default_rng(4).normal(0, 1e-3, 600)

    def runs(mean, seeds):
        known = {}
        for seed in seeds:
            score = mean + next(noise)
            known[run("gru", score, seed=seed, horizon=1)] = score + steps - steps.mean()
        results = table(*known)
        return results, Side(results, {"mse": {one.run_id: loss for one, loss in known.items()}})

    old, before = runs(0.500, (1, 2, 3))
    for change, verdict in ((0.004, "significant"), (0.002, "within noise")):
        new, after = runs(0.5 + change, (11, 12, 13))
        judged = judge(compare(old, new), before, after)
        (row,) = judged.rows.to_dict("records")
        assert (row["seed"], row["category"], row["verdict"]) == (ALL_SEEDS, "unchanged", verdict)
        assert row["mse_change"] == pytest.approx(change / 0.5)
    text = to_markdown(judged)
    assert "| unchanged | ETTh1 | 1 | gru | 336 | all |" in text
    assert (
        "- no seed is in both files, so means over all of each are compared: gru (3 / 3)\n" in text
    )


def test_a_failure_among_them_is_a_failure(run, table):
    old = table(run(seed=1), run(seed=2))
    new = table(run(seed=3), run(seed=4, error="ValueError: no"))
    comparison = compare(old, new)
    assert comparison.rows["category"].tolist() == ["failed"]
    assert "336 all seeds: ValueError: no" in to_markdown(comparison)


def test_one_shared_seed_is_compared_alone(run, table):
    comparison = compare(table(run(seed=1), run(seed=2)), table(run(seed=2), run(seed=3)))
    assert comparison.rows[["category", "seed"]].to_numpy().tolist() == [
        ["vanished", 1],
        ["appeared", 3],
        ["unchanged", 2],
    ]
