"""Every row beside one that is named."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.reports import ties
from benchmark.reports.against import against_tables
from benchmark.reports.ranking import leaderboard
from benchmark.statistics.diebold_mariano import diebold_mariano
from benchmark.statistics.noise import NoiseFloor, SeedMean

WINDOWS, HORIZON = 1500, 24


def series(chance: int, mean: float) -> np.ndarray:
    """Losses of overlapping windows with exactly this mean."""
    sums = np.cumsum(np.random.default_rng(chance).standard_normal(WINDOWS + HORIZON))
    losses = 0.1 * (sums[HORIZON:] - sums[:-HORIZON]) / math.sqrt(HORIZON)
    return losses - losses.mean() + mean


@pytest.fixture
def beside(run, table):
    """The rows of the one table beside a model: name to (differs, ±, verdict)."""

    def build(name, scores, known=True, **options):
        runs = [
            run(model, mse, seed=seed, horizon=HORIZON, **options.get(model, {}))
            for model, own in scores.items()
            for seed, mse in enumerate(own)
        ]
        losses = {one.run_id: series(n, one.mse) for n, one in enumerate(runs)} if known else {}
        results = table(*runs)
        (shown,) = against_tables(leaderboard(results, losses), results, losses, name)
        rows = [[cell.text for cell in row] for row in shown.rows]
        return {row[0]: (row[3], *row[5:]) for row in rows}, losses

    return build


NAIVE = {"naive": {"fitted": "none"}, "ridge": {"fitted": "closed_form"}}


def test_both_chances_are_in_the_interval_as_by_hand(beside):
    scores = {"mine": [0.40, 0.41, 0.42], "gru": [0.43, 0.44, 0.46]}
    rows, losses = beside("gru", scores)
    means = {name: float(np.mean(own)) for name, own in scores.items()}
    known = list(losses.values())
    sides = [np.stack(known[:3]), np.stack(known[3:])]
    windows = diebold_mariano(*sides, HORIZON)
    stds = [float(np.std(own, ddof=1)) for own in scores.values()]
    floor = NoiseFloor(std=1.0, configurations=2, freedom=4)  # each of three stands for itself
    seeds = floor.smallest_difference(*(SeedMean(3, std) for std in stds))
    reach = math.hypot(windows, seeds)
    difference = means["mine"] - means["gru"]
    verdict = "significant" if abs(difference) > reach else "within noise"
    assert rows == {
        "mine": (f"{difference:+.4f}", f"{reach:.4f}", verdict),
        "gru": ("", "", ""),
    }


@pytest.mark.parametrize(
    ("scores", "known", "verdict"),
    [
        ({"naive": [0.9], "ridge": [0.4]}, True, "significant"),
        ({"naive": [0.401], "ridge": [0.4]}, True, "within noise"),
        ({"naive": [0.9], "ridge": [0.4]}, False, "-"),
        ({"naive": [0.9], "gru": [0.4]}, True, "beyond windows"),
        ({"naive": [0.9], "gru": [0.4, 0.41, 0.42]}, True, "significant"),
        ({"naive": [0.9], "gru": [0.4, 0.41, 0.42]}, False, "beyond seeds"),
        ({"naive": [0.9], "gru": [0.4]}, False, "-"),
    ],
)
def test_a_verdict_says_what_is_known_of_chance(beside, scores, known, verdict):
    rows, _ = beside("naive", scores, known, **NAIVE)
    (other,) = scores.keys() - {"naive"}
    assert rows[other][2] == verdict


def test_of_several_rows_of_a_model_the_one_that_validation_chooses_is_meant(run, table):
    runs = [
        run("gru", 0.3, lookback=96, val_mse=0.9),
        run("gru", 0.5, lookback=336, val_mse=0.7),
        run("ridge", 0.4),
    ]
    results = table(*runs)
    board = leaderboard(results)
    (shown,) = against_tables(board, results, {}, "gru")
    assert shown.title.endswith("beside gru (336), MSE 0.5000")
    with pytest.raises(UserError, match=r"--against: no row is called 'rigde'; did you mean 'ridg"):
        against_tables(board, results, {}, "rigde")


def test_nothing_but_validation_chooses_among_rows_of_one_name(run, table):
    results = table(*(run("gru", 0.3, lookback=n, val_mse=None) for n in (96, 336)))
    with pytest.raises(UserError, match=r"'gru' has 2 rows .*, and no val_mse that chooses one"):
        against_tables(leaderboard(results), results, {}, "gru")


def test_tiny_errors_and_their_differences_are_told_apart(beside):
    rows, _ = beside("naive", {"naive": [2.5e-7], "ridge": [2.4e-7]}, **NAIVE)
    differs, reach, _ = rows["ridge"]
    assert differs == "-1.000e-08"
    assert "e-" in reach


def test_a_model_of_which_all_runs_failed_is_told_of(run, table):
    results = table(run("gru", 0.3), run("lstm", None, status="failed", error="boom"))
    with pytest.raises(UserError, match=r"--against: 'lstm' has no row: all its runs failed"):
        against_tables(leaderboard(results), results, {}, "lstm")


def test_what_the_columns_mean_stands_above_the_first_table_alone(run, table):
    results = table(*(run(name, 0.3, dataset=own) for name in "ab" for own in ("ETTh1", "ETTh2")))
    first, second = against_tables(leaderboard(results), results, {}, "a")
    assert "-: nothing is known" in first.intro[0]
    assert second.intro == ()


def test_rows_beyond_those_that_ties_compare_are_judged_too(beside, monkeypatch):
    monkeypatch.setattr(ties, "MOST_COMPARED", 1)
    rows, _ = beside("naive", {"naive": [0.9], "ridge": [0.4]}, **NAIVE)
    assert rows["ridge"][2] == "significant"


def test_a_task_without_that_model_has_no_table(run, table):
    results = table(run("gru", 0.3), run("lstm", 0.4, dataset="ETTh2"))
    shown = against_tables(leaderboard(results), results, {}, "gru")
    assert [one.title for one in shown] == ["ETTh1, horizon 96: beside gru (336), MSE 0.3000"]
