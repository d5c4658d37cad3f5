from __future__ import annotations

import csv
import io

import pytest

from benchmark.reports.leaderboard import to_markdown
from benchmark.reports.ranking import leaderboard
from benchmark.reports.tidy import to_csv


def test_the_second_table_is_by_crps_and_leaves_the_first_as_it_was(run, table):
    gru = {"crps": 0.25, "coverage_80": 0.8123, "width_80": 1.5, "coverage_95": 0.95}
    lstm = [  # not by gradient: seed noise would leave the best unmarked
        run("lstm", 0.4, fitted="closed_form", seed=0, crps=0.3, coverage_80=0.7, width_80=1.0),
        run("lstm", 0.4, fitted="closed_form", seed=1, crps=0.4, coverage_80=0.8, width_80=2.0),
    ]
    rows = [
        run("gru", 0.5, **gru),
        *lstm,
        run("old", 0.3),
    ]
    first, second = to_markdown(leaderboard(table(*rows))).split("\n### ")
    assert second.startswith("ETTh1, horizon 96: quantiles\n")
    assert "..." not in second  # a text too long for a table is cut
    assert [line for line in second.splitlines() if line.startswith("|")] == [
        "| # | model | lookback | CRPS | in 80% | width 80% | in 95% |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
        "| 1 | gru | 336 | **0.2500** | 81.2% | 1.500 | 95.0% |",
        "| 2 | lstm | 336 | <u>0.3500±0.0707</u> | 75.0% | 1.500 | - |",
    ]
    bare = [run("lstm", 0.4, fitted="closed_form", seed=seed) for seed in (0, 1)]
    bare += [run("gru", 0.5), run("old", 0.3)]
    assert to_markdown(leaderboard(table(*bare))).rstrip() == first.rstrip()


def test_the_csv_has_quantile_scores_where_they_are_known(run, table):
    board = leaderboard(table(run("gru", crps=0.25, coverage_80=0.8), run("old")))
    lines = list(csv.DictReader(io.StringIO(to_csv(board))))
    found = {(line["model"], line["metric"]): line["mean"] for line in lines}
    assert float(found["gru", "crps"]) == pytest.approx(0.25)
    assert float(found["gru", "coverage_80"]) == pytest.approx(0.8)
    assert ("old", "crps") not in found
    assert ("gru", "width_80") not in found
