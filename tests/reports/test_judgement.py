"""Verdicts where both kinds of chance act at once, and on each metric for itself."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.reports.changes import compare
from benchmark.reports.gate import Gate
from benchmark.reports.judgement import Side, judge

MODELS, WINDOWS, HORIZON = 400, 600, 24


def overlapping(count, seed):
    """Losses of overlapping windows whose means have a standard deviation of about 1 ``(k, n)``."""
    sums = np.cumsum(
        np.random.default_rng(seed).standard_normal((count, WINDOWS + HORIZON)), axis=1
    )
    return (sums[:, HORIZON:] - sums[:, :-HORIZON]) * np.sqrt(WINDOWS) / HORIZON


@pytest.mark.parametrize("ratio", [0.0, 1.0, 2.0])
def test_equal_models_are_called_different_one_time_in_twenty_whatever_seeds_do(run, table, ratio):
    """Two runs of each of many models: windows make a spread of 1 between them, seeds of ratio."""
    rng = np.random.default_rng(2)
    seeds = 100 + ratio / np.sqrt(2) * rng.standard_normal((2, MODELS))
    losses = [
        seeds[0, :, None] + np.zeros((1, WINDOWS)),
        seeds[1, :, None] + overlapping(MODELS, 3),
    ]
    spread = 100 + ratio / np.sqrt(2) * rng.standard_normal(60)
    floor = [run("many", float(s), seed=n, horizon=HORIZON) for n, s in enumerate(spread)]
    sides, tables = [], []
    for own in losses:
        runs = [run(f"m{n}", float(each.mean()), horizon=HORIZON) for n, each in enumerate(own)]
        known = {record.run_id: each for record, each in zip(runs, own, strict=True)}
        tables.append(table(*runs, *(floor if not sides else [])))
        sides.append(Side(tables[-1], {"mse": known}))
    judged = judge(compare(*tables), *sides).rows
    called = (judged.loc[judged["model"] != "many", "verdict"] == "significant").mean()
    assert 0.015 < called < 0.08  # 0.10 at a ratio of 1, if each chance were asked alone


def test_a_solved_model_beside_a_trained_one_has_half_their_noise(run, table):
    seeds = [run("gru", 0.5 + s / 100, seed=s) for s in range(3)]
    old = table(*seeds, run("ridge", 0.5, fitted="closed_form"))
    new = table(run("ridge", 0.53, fitted="gradient"))
    judged = judge(compare(old, new), Side(old, {}), Side(new, {})).rows
    # t(2) = 4.30 times 0.01 from one seed, and not from two
    assert judged.set_index("model")["verdict"]["ridge"] == "within noise"
    new = table(run("ridge", 0.55, fitted="gradient"))
    judged = judge(compare(old, new), Side(old, {}), Side(new, {})).rows
    assert judged.set_index("model")["verdict"]["ridge"] == "significant"


def test_an_unchanged_mse_hides_no_other_score(run, table):
    """Of a model without seeds: MAE and CRPS a tenth up, MSE and RMSE as they were."""
    rng = np.random.default_rng(0)
    absolute = rng.gamma(2, 0.2, 400)
    scores = {"horizon": 2, "fitted": "closed_form", "run_id": "a"}
    old = table(run("ridge", 0.5, mae=float(absolute.mean()), crps=1.0, **scores))
    new = table(run("ridge", 0.5, mae=float(1.1 * absolute.mean()), crps=1.1, **scores))
    mse = {"a": 0.5 + absolute - absolute.mean()}
    sides = (
        Side(old, {"mse": mse, "mae": {"a": absolute}}),
        Side(new, {"mse": mse, "mae": {"a": 1.1 * absolute}}),
    )
    gate = Gate(significant_only=True, metrics={"crps": 0.01})
    judged = judge(compare(old, new, gate), *sides)
    assert judged.rows["verdict"].tolist() == ["within noise"]
    assert judged.rows["worse"].tolist() == [("mae", "crps")]
    assert judged.regressed
    noise = absolute + 5 * rng.normal(size=400)
    noise += 1.1 * absolute.mean() - noise.mean()
    noisy = Side(new, {"mse": mse, "mae": {"a": noise}})
    assert judge(compare(old, new, gate), sides[0], noisy).rows["worse"].tolist() == [("crps",)]
    mae_alone = Gate(significant_only=True)
    silent = judge(compare(old, new, mae_alone), sides[0], noisy)
    assert silent.rows["category"].tolist() == ["within noise"]
    assert not silent.regressed
