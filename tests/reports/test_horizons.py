from __future__ import annotations

import numpy as np
import pytest

from benchmark.reports.horizons import horizon_tables
from benchmark.reports.leaderboard import to_markdown
from benchmark.reports.ranking import leaderboard


def lines(board):
    return [
        [" | ".join(cell.text for cell in row) for row in table.rows]
        for table in horizon_tables(board)
    ]


def test_a_column_a_horizon_then_their_mean_by_which_rows_are_sorted(run, table):
    board = leaderboard(
        table(
            run("gru", 0.4, horizon=96, mae=0.30),
            run("gru", 0.5, horizon=192, mae=0.40, test_windows=100),
            run("ridge", 0.3, horizon=96, mae=0.50),
            run("ridge", 0.4, horizon=192, mae=0.60, test_windows=100),
            run("half", 0.1, horizon=96),
            run("elsewhere", 0.1, dataset="ETTh2"),
        )
    )
    text = to_markdown(board)
    assert [line for line in text.split("\n## ")[-1].splitlines() if line] == [
        "ETTh1, over 2 horizons",
        "MSE at each horizon, mean over seeds; then mean MSE and MAE over the horizons, each "
        "counting alike. Bold is best, underlined second; neither is marked where seeds could "
        "change which is best.",
        "| model | at 96 | at 192 | mean MSE | mean MAE |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| ridge | **0.3000** | **0.4000** | **0.3500** | <u>0.5500</u> |",
        "| gru | <u>0.4000</u> | <u>0.5000</u> | <u>0.4500</u> | **0.3500** |",
        "- Left out, not done at every horizon: half.",
    ]


def test_seeds_are_averaged_and_every_horizon_counts_alike(run, table):
    scores = np.random.default_rng(1).uniform(0.1, 1, (4, 3))  # horizons, seeds
    rows = [
        run("gru", score, horizon=horizon, seed=seed)
        for horizon, own in zip((96, 192, 336, 720), scores, strict=True)
        for seed, score in enumerate(own)
    ]
    ((line,),) = lines(leaderboard(table(*rows)))
    assert float(line.split(" | ")[5]) == pytest.approx(scores.mean(), abs=5e-5)


def test_of_several_lookbacks_the_one_counts_that_validation_chose_at_each_horizon(run, table):
    rows = [
        run("gru", 0.9, horizon=96, lookback=96, val_mse=0.1, config="a" * 10),
        run("gru", 0.1, horizon=96, lookback=336, val_mse=0.2, config="b" * 10),
        run("gru", 0.2, horizon=192, lookback=96, val_mse=0.4, config="c" * 10),
        run("gru", 0.7, horizon=192, lookback=336, val_mse=0.3, config="d" * 10),
    ]
    (found,) = horizon_tables(leaderboard(table(*rows)))
    assert [cell.text for cell in found.rows[0]][:4] == ["gru", "0.9000", "0.7000", "0.8000"]
    assert "least validation MSE counts, at each horizon by itself: gru." in found.notes[0]


def test_one_horizon_or_two_protocols_or_nothing_done_have_no_such_table(run, table):
    assert lines(leaderboard(table(run(), run(dataset="ETTh2", horizon=192)))) == []
    two = [run(horizon=96), run(horizon=192), run(horizon=192, fingerprint="b" * 16)]
    assert lines(leaderboard(table(*two))) == []
    failed = [run(horizon=96, error="no"), run(horizon=192, error="no")]
    assert lines(leaderboard(table(*failed))) == []
    apart = [run("gru", horizon=96), run("lstm", horizon=192)]
    assert lines(leaderboard(table(*apart))) == []


def test_no_column_is_bold_where_seed_noise_may_hide_which_is_best(run, table):
    def at(horizon, model, *scores, **fields):
        return [
            run(model, score, horizon=horizon, seed=seed, **fields)
            for seed, score in enumerate(scores)
        ]

    closed = {"fitted": "closed_form"}
    rows = [
        *at(96, "gru", 0.30, 0.31, 0.32),
        *at(96, "ridge", 0.40, **closed),  # 0.09 beyond 4.30 * 0.01 / 3 ** 0.5
        *at(192, "gru", 0.42, 0.43, 0.44),
        *at(192, "ridge", 0.44, **closed),  # 0.01 within it
        *at(336, "gru", 0.70, 0.71, 0.72),
        *at(336, "ridge", 0.60, **closed),
    ]
    (found,) = horizon_tables(leaderboard(table(*rows)))
    marks = {row[0].text: [cell.mark for cell in row[1:5]] for row in found.rows}
    # the means 0.4833 and 0.4800 differ by less than 4.30 * 0.01 / 3 ** 0.5 / 3 ** 0.5
    assert marks == {"gru": ["best", "", "second", ""], "ridge": ["second", "", "best", ""]}
    rows += [*at(720, "gru", 0.70, 0.71, 0.72), *at(720, "ridge", 0.60, **closed)]
    (found,) = horizon_tables(leaderboard(table(*rows)))
    assert {row[0].text: row[5].mark for row in found.rows} == {"ridge": "best", "gru": "second"}


def test_a_mean_over_horizons_is_of_as_many_seeds_as_the_horizon_with_the_fewest(run, table):
    """Of two seeds, with 0.01 at each of two horizons: 3.42 * 0.01 / 2, or 0.0171.

    As of three it would be 3.42 * 0.01 / 2 ** 0.5 / 3 ** 0.5, or 0.0140.
    """
    apart = 0.01 / 2**0.5
    rows = [run("gru", 0.5 + s / 100, horizon=96, seed=s) for s in (0, 1, 2)]
    rows += [run("gru", 0.5 + s * apart, horizon=192, seed=s) for s in (0, 2)]
    gru = (0.51 + 0.5 + apart) / 2
    for below, mark in ((0.016, ""), (0.018, "best")):
        ridge = [
            run("ridge", gru - below, horizon=horizon, fitted="closed_form")
            for horizon in (96, 192)
        ]
        (found,) = horizon_tables(leaderboard(table(*rows, *ridge)))
        assert {row[0].text: row[3].mark for row in found.rows}["ridge"] == mark


def test_what_was_fitted_on_validation_rows_too_has_a_table_of_its_own(run, table):
    rows = [
        run("ridge", score, horizon=horizon, fit_rows=kind, fingerprint=kind[-1] * 16)
        for kind, scores in {"train": (0.2, 0.4), "train+val": (0.1, 0.3)}.items()
        for horizon, score in zip((96, 192), scores, strict=True)
    ]
    failed = run("gru", horizon=96, error="diverged", fingerprint="f" * 16)
    tables = list(horizon_tables(leaderboard(table(*rows, failed))))
    assert [(found.title, found.rows[0][3].text) for found in tables] == [
        ("ETTh1, over 2 horizons", "0.3000"),
        ("ETTh1, fitted on validation rows too, over 2 horizons", "0.2000"),
    ]


def test_a_horizon_under_two_protocols_is_left_out_and_said_so(run, table):
    rows = [run("ridge", 0.2, horizon=horizon) for horizon in (96, 192, 336)]
    (found,) = horizon_tables(leaderboard(table(*rows, run("ridge", 0.1, fingerprint="b" * 16))))
    assert found.title == "ETTh1, over 2 horizons"
    assert found.notes == ("Left out, run under more than one protocol: horizon 96.",)
