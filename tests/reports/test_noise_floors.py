"""The noise floor of every data set, side by side."""

from __future__ import annotations

from benchmark.reports.leaderboard import to_markdown
from benchmark.reports.noise_floors import noise_table
from benchmark.reports.ranking import leaderboard


def seeds(run, name, mean, spread, **values):
    scores = (mean - spread, mean, mean + spread)
    return [run(name, mse, seed=seed, **values) for seed, mse in enumerate(scores)]


def test_each_data_set_has_its_floor_and_whose_seeds_differ_least_and_most(run, table):
    quiet = [*seeds(run, "gru", 0.5, 0.01), *seeds(run, "rnn", 0.6, 0.03), run("lstm", 0.55)]
    restless = [*seeds(run, "gru", 0.2, 0.04, dataset="ETTh2")]
    single = [run("gru", 0.3, dataset="ETTm1"), run("ridge", 0.1, fitted="closed_form")]
    board = leaderboard(table(*restless, *quiet, *single))
    found = noise_table(board)
    assert found is not None
    texts = [[cell.text for cell in row] for row in found.rows]
    # sqrt((0.01^2 + 0.03^2) / 2) is 0.0224, a quarter of the best row's 0.1; 2.776 sqrt(2) of it
    assert texts == [
        ["ETTh2, horizon 96", "0.0400", "20.0%", "0.2434", "gru 0.0400", "gru 0.0400", "1"],
        ["ETTh1, horizon 96", "0.0224", "22.4%", "0.0878", "gru 0.0100", "rnn 0.0300", "2"],
    ]
    assert "## Noise floors" in to_markdown(board)


def test_one_task_has_a_note_and_no_table(run, table):
    board = leaderboard(table(*seeds(run, "gru", 0.5, 0.01), run("gru", 0.3, dataset="ETTm1")))
    assert noise_table(board) is None
    assert "## Noise floors" not in to_markdown(board)
