from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.reports.choice import chosen
from benchmark.reports.leaderboard import to_markdown
from benchmark.reports.lookbacks import lookback_table
from benchmark.reports.ranking import leaderboard


def at(run, model, lookback, mse, val_mse, **values):
    """A run; as in real ones the configuration's hash differs between lookbacks."""
    options = {"config": f"{lookback:06d}", "fitted": "closed_form"} | values
    return run(model, mse, lookback=lookback, val_mse=val_mse, **options)


def lines(board):
    table = lookback_table(board.groups[0])
    assert table is not None
    return [" | ".join(cell.text for cell in row) for row in table.rows]


def test_a_column_a_lookback_then_what_validation_chose_and_what_that_cost(run, table):
    board = leaderboard(
        table(
            at(run, "ridge", 96, 0.50, 0.30),
            at(run, "ridge", 336, 0.44, 0.20),
            at(run, "ridge", 512, 0.42, 0.25),
            at(run, "naive", 96, 0.40, 0.50),
            at(run, "naive", 336, 0.45, 0.60),
            at(run, "single", 96, 0.10, 0.10),
            run("crps", crps=0.1),
        )
    )
    main, below, quantiles = to_markdown(board).split("\n### ")
    assert "| single |" in main
    assert quantiles.startswith("ETTh1, horizon 96: quantiles")
    assert below.startswith("ETTh1, horizon 96: several lookbacks\n")
    assert "..." not in below  # a text too long for a table is cut
    assert [line for line in below.splitlines() if line.startswith("|")] == [
        "| model | at 96 | at 336 | at 512 | chosen | MSE | regret |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| naive | **0.4000** | <u>0.4500</u> | - | 96 | **0.4000** | 0.0000 |",
        "| ridge | <u>0.5000</u> | **0.4400** | **0.4200** | 336 | <u>0.4400</u> | 0.0200 |",
    ]


def test_seeds_are_averaged_before_anything_is_chosen(run, table):
    scores = {96: ([0.3, 0.5], [0.1, 0.5]), 336: ([0.6, 0.8], [0.2, 0.3])}
    rows = [
        at(run, "gru", lookback, mse, val, seed=seed)
        for lookback, (test, validation) in scores.items()
        for seed, (mse, val) in enumerate(zip(test, validation, strict=True))
    ]
    assert lines(leaderboard(table(*rows))) == ["gru | 0.4000 | 0.7000 | 336 | 0.7000 | 0.3000"]


def test_a_lookback_without_every_seed_is_neither_shown_nor_chosen(run, table):
    rows = [
        at(run, "gru", lookback, 0.5, 0.5, seed=seed) for lookback in (96, 192) for seed in (0, 1)
    ]
    failed = at(run, "gru", 336, None, None, seed=1, error="ValueError: no")
    rows += [at(run, "gru", 336, 0.1, 0.1, seed=0), failed]  # one seed failed
    rows += [at(run, "gru", 512, 0.2, 0.2, seed=0)]  # one seed is not there yet
    board = leaderboard(table(*rows))
    assert lines(board) == ["gru | 0.5000 | 0.5000 | 96 | 0.5000 | 0.0000"]
    found = lookback_table(board.groups[0])
    assert found is not None
    assert found.notes == (
        "Shown as - and not chosen, for not every seed is done: gru (336), gru (512).",
    )


def test_what_is_ambiguous_is_left_out_and_named(run, table):
    twice = [at(run, "gru", 96, mse, mse, config=f"c{mse}") for mse in (0.1, 0.2)]
    twice.append(at(run, "gru", 336, 0.3, 0.3))
    assert lookback_table(leaderboard(table(*twice)).groups[0]) is None
    clear = [at(run, "ridge", lookback, 0.5, 0.5) for lookback in (96, 336)]
    board = leaderboard(table(*twice, *clear))
    assert [line.split(" | ")[0] for line in lines(board)] == ["ridge"]
    assert "Left out, with several configurations at one lookback: gru." in to_markdown(board)


def test_without_validation_errors_nothing_is_chosen_and_the_row_comes_last(run, table):
    old = [at(run, "a", lookback, 0.1, None) for lookback in (96, 336)]
    new = [at(run, "b", lookback, 0.9, lookback) for lookback in (96, 336)]
    assert lines(leaderboard(table(*old, *new))) == [
        "b | 0.9000 | 0.9000 | 96 | 0.9000 | 0.0000",
        "a | 0.1000 | 0.1000 | - | - | -",
    ]
    assert lines(leaderboard(table(*old))) == ["a | 0.1000 | 0.1000 | - | - | -"]


def test_a_validation_error_of_some_seeds_alone_is_none(run, table):
    rows = [at(run, "a", 96, 0.1, val, seed=seed) for seed, val in enumerate((0.1, None))]
    rows += [at(run, "a", 336, 0.2, 0.3, seed=seed) for seed in (0, 1)]
    board = leaderboard(table(*rows))
    assert lines(board) == ["a | 0.1000 | 0.2000 | 336 | 0.2000 | 0.1000"]


def test_one_lookback_each_needs_no_table(run, table):
    board = leaderboard(table(at(run, "a", 96, 0.5, 0.5), at(run, "b", 336, 0.4, 0.4)))
    assert "several lookbacks" not in to_markdown(board)


def test_a_column_whose_best_seed_noise_may_hide_has_no_mark(run, table):
    rows = [
        at(run, name, lookback, mean + spread, 0.5, seed=seed, fitted="gradient")
        for name, mean in (("gru", 0.5), ("lstm", 0.505))
        for lookback in (96, 336)
        for seed, spread in enumerate((-0.01, 0.01))
    ]
    found = lookback_table(leaderboard(table(*rows)).groups[0])
    assert found is not None
    assert {cell.mark for row in found.rows for cell in row} == {""}


CANDIDATES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from([96, 192, 336]),
        st.integers(1, 2),  # seeds done
        st.integers(0, 1),  # seeds failed
        st.sampled_from([0.1, 0.2, 0.3, math.nan]),
    ),
    unique_by=lambda row: row[:2],
)


@settings(deadline=None)
@given(CANDIDATES)
def test_the_choice_is_the_complete_row_of_least_validation_error(rows):
    names = ["model", "lookback", "seeds", "failed_seeds", "val_mse"]
    frame = pd.DataFrame(rows, columns=names).assign(config="c").astype({"model": "str"})
    found = dict(zip(*(chosen(frame)[name] for name in ("model", "lookback")), strict=True))
    for model in "ab":
        own = [row for row in rows if row[0] == model]
        most = max((done + lost for _, _, done, lost, _ in own), default=0)
        whole = [row for row in own if row[2] == most]
        known = [row for row in whole if not math.isnan(row[4])]
        if len(whole) == 1:
            expected = whole[0][1]
        else:
            expected = min(known, key=lambda row: (row[4], row[1]))[1] if known else None
        assert found.get(model) == expected


def test_the_regret_is_of_what_the_row_shows(run, table):
    rows = [at(run, "a", 96, 0.31, 0.1), at(run, "a", 192, 0.3, 0.2), at(run, "a", 336, 0.5, 0.3)]
    (line,) = lines(leaderboard(table(*rows)))
    shown = line.split(" | ")
    assert float(shown[-1]) == pytest.approx(float(shown[-2]) - min(map(float, shown[1:4])))
