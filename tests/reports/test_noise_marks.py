from __future__ import annotations

import math

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from benchmark.reports.leaderboard import to_markdown
from benchmark.reports.ranking import leaderboard
from benchmark.reports.seed_noise import noise_marks
from benchmark.reports.tables import marks
from benchmark.statistics.noise import NoiseFloor, SeedMean

ROWS = st.lists(
    st.tuples(
        st.integers(0, 12).map(lambda step: step / 100) | st.just(math.nan),
        st.sampled_from(["gradient", "closed_form", "none"]),
        st.integers(1, 5),
        st.sampled_from([0.005, 0.03]),
    ),
    min_size=1,
    max_size=6,
).filter(lambda rows: not all(math.isnan(value) for value, *_ in rows))


@given(ROWS)
def test_nothing_is_marked_where_any_row_is_within_seed_noise_of_the_best(rows):
    noise = NoiseFloor(std=0.02, configurations=2, freedom=4)
    values = [value for value, *_ in rows]
    frame = pd.DataFrame(rows, columns=["mse", "fitted", "seeds", "mse_std"])
    best = int(np.nanargmin(values))
    hidden = False
    for place, (value, *_) in enumerate(rows):
        means = [
            SeedMean(seeds if fitted == "gradient" else math.inf, std)
            for _, fitted, seeds, std in (rows[best], rows[place])
        ]
        hidden |= place != best and value - values[best] < noise.smallest_difference(*means)
    assert noise_marks("mse", frame, noise) == ([""] * len(rows) if hidden else marks(values))
    assert noise_marks("mse", frame, None) == marks(values)


def trained(run, name, mean, spread=0.01, **values):
    scores = (mean - spread, mean, mean + spread)
    return [run(name, mse, rmse=mse**0.5, seed=seed, **values) for seed, mse in enumerate(scores)]


def row(board, name):
    (line,) = [x for x in to_markdown(board).splitlines() if f"| {name} |" in x]
    return line


def notes(board):
    return [line for line in to_markdown(board).splitlines() if " no bold: " in line]


def test_each_metric_is_judged_by_its_own_noise_and_skill_by_that_of_the_mse(run, table):
    rows = [*trained(run, "gru", 0.5, mae=0.3), *trained(run, "lstm", 0.51, mae=0.31)]
    naive = run("seasonal_naive", 1.0, mae=0.9, fitted="none")
    board = leaderboard(table(*rows, naive))
    assert "| 0.5000±0.0100 | **0.3000±0.0000** |" in row(board, "gru")
    assert "| 0.5100±0.0100 | <u>0.3100±0.0000</u> |" in row(board, "lstm")
    assert "| 0.500 |" in row(board, "gru")
    assert notes(board) == [
        "- MSE, RMSE and skill have no bold: the best row and lstm differ by less than seed noise."
    ]
    assert set(board.groups[0].noise) == {"mse", "mae", "rmse"}
    apart = leaderboard(table(*rows[:3], *trained(run, "lstm", 0.53, mae=0.31), naive))
    assert "**0.5000±0.0100**" in row(apart, "gru")  # 2.776 x 0.01 x sqrt(2 / 3) is 0.0227
    assert "**0.500**" in row(apart, "gru")
    assert notes(apart) == []


def test_a_row_that_hangs_on_no_seed_adds_no_noise(run, table):
    """A model of three seeds: 4.303 x 0.01 / sqrt(3) is 0.0248."""
    rows = [*trained(run, "gru", 0.5), *trained(run, "lstm", 0.7)]
    ridge = run("ridge", 0.47, fitted="closed_form")
    assert "**0.4700**" in row(leaderboard(table(*rows, ridge)), "ridge")
    near = run("ridge", 0.476, fitted="closed_form")
    assert "| 0.4760 |" in row(leaderboard(table(*rows, near)), "ridge")
    twin = run("ridge_512", 0.4701, fitted="closed_form")
    board = leaderboard(table(*rows, ridge, twin))
    assert "**0.4700**" in row(board, "ridge")
    assert "<u>0.4701</u>" in row(board, "ridge_512")


def test_the_best_is_not_bold_where_only_the_third_is_within_noise(run, table):
    rows = [*trained(run, "gru", 0.482), *trained(run, "lstm", 0.7)]
    rows += [run("ridge", 0.48, fitted="closed_form"), run("ridge_512", 0.481, fitted="none")]
    board = leaderboard(table(*rows))
    assert "| 0.4800 |" in row(board, "ridge")
    assert len(notes(board)) == 1


def test_single_seeds_are_marked_as_ever(run, table):
    board = leaderboard(table(run("gru", 0.5), run("lstm", 0.5001), run("rnn", 0.9)))
    assert "**0.5000**" in row(board, "gru")
    assert "<u>0.5001</u>" in row(board, "lstm")
    assert notes(board) == []
    assert board.groups[0].noise == {}


def test_the_table_of_quantiles_is_judged_alike(run, table):
    scores = [("gru", 0.24), ("gru", 0.26), ("lstm", 0.251)]
    rows = [run(name, crps=crps, seed=seed) for seed, (name, crps) in enumerate(scores)]
    quantiles = to_markdown(leaderboard(table(*rows))).split("### ")[1]
    assert "| 1 | gru | 336 | 0.2500±0.0141 |" in quantiles
    assert "- CRPS has no bold: the best row and lstm differ by less than seed noise." in quantiles
