"""The summary of ours beside published figures: what it counts and what it marks."""

from __future__ import annotations

import math
import re

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from benchmark.reports.agreement import WITHIN, agreement, agreement_table
from benchmark.reports.published import compare_published
from benchmark.reports.published_tables import to_markdown
from benchmark.reports.tables import markdown

COLUMNS = ["name", "lookback", "dataset", "horizon", "mse_difference", "mse_within"]


def matches(*rows):
    found = pd.DataFrame(rows, columns=COLUMNS)
    same = {"published_lookback": found["lookback"].astype("str"), "windows": "all"}
    return found.assign(fingerprint="f", own_mse=0.4, **same)


def test_a_pair_is_told_by_its_nearest_and_its_farthest_figure():
    pairs = agreement(
        matches(
            ("gru", 96, "ETTh1", 96, -0.05, False),
            ("gru", 96, "ETTh1", 96, 0.01, True),
            ("gru", 96, "ETTh1", 96, 0.02, False),
            ("gru", 96, "ETTh1", 192, 0.04, True),
            ("gru", 336, "ETTh1", 96, math.nan, False),  # not over known windows
        )
    )
    columns = ["lookback", "horizon", "nearest", "farthest", "figures", "within"]
    assert pairs[columns].to_numpy().tolist() == [
        [96, 96, 0.01, -0.05, 3, True],
        [96, 192, 0.04, 0.04, 1, True],
    ]


def test_the_table_counts_pairs_and_marks_those_that_agree_with_nobody():
    table = agreement_table(
        matches(
            ("gru", 96, "ETTh1", 96, -0.05, False),
            ("gru", 96, "ETTh1", 96, 0.01, False),
            ("gru", 96, "ETTh1", 192, 0.04, True),
            ("lstm", 96, "ETTh2", 192, -0.2, False),
        )
    )
    assert table.intro[0] == (
        "Within 3% of a published figure: 1 of 3 pairs of a model's setting and a task. Of every "
        "figure, where there are several: 0 of 1. One more seed of ours might be as far off in 1 "
        "more."
    )
    written = [line for line in markdown(table).splitlines() if line.startswith("|")]
    assert written[0] == "| model | lookback | data set | at 96 | at 192 |"
    assert written[2] == "| gru | 96 | ETTh1 | +1.0% (-5.0%) | +4.0% ≈ |"
    assert written[3] == "| lstm | 96 | ETTh2 |  | -20.0% |"
    assert [[cell.mark for cell in row[3:]] for row in table.rows] == [["", "bad"], ["", "bad"]]


def test_figures_that_only_the_runs_can_be_compared_with_are_counted():
    found = matches(*[("gru", 96, "ETTh1", 96, 0.01, False)] * 5)
    found["windows"] = ["all", "2688 of 2689", "2688 of 2689", "2688 of 2689", "fewer"]
    found["own_mse"] = [0.4, math.nan, math.nan, 0.4, math.nan]
    found["published_lookback"] = ["96", "96", "336", "96", "96"]
    told = agreement_table(found).intro[0]
    assert "Figures left out: 1, of shortened test sets" in told
    assert "left out" not in agreement_table(found.iloc[[0, 2, 3, 4]]).intro[0]


def test_nothing_to_compare_makes_no_table():
    assert agreement_table(matches(("gru", 96, "ETTh1", 96, math.nan, False))) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from([96, 192]),
            st.floats(-0.2, 0.2).filter(lambda value: abs(abs(value) - WITHIN) > 1e-9),
        ),
        min_size=1,
    )
)
def test_the_counts_are_those_of_a_loop(figures):
    table = agreement_table(
        matches(*((name, 96, "X", horizon, away, False) for name, horizon, away in figures))
    )
    by_pair = {}
    for name, horizon, away in figures:
        by_pair.setdefault((name, horizon), []).append(abs(away) <= WITHIN)
    told = re.search(r": (\d+) of (\d+) pairs (?:.* several: (\d+) of (\d+)\.$)?", table.intro[0])
    several = [close for close in by_pair.values() if len(close) > 1]
    counts = [sum(map(any, by_pair.values())), len(by_pair)]
    counts += [sum(map(all, several)), len(several)] if several else []
    assert [int(n) for n in told.groups() if n] == counts


def test_the_summary_stands_before_the_tables_that_it_sums_up(run, table, published):
    figures = published("ETTh1,gru,336,96,0.4,0.5,,full test set,one,")
    text = to_markdown(compare_published(table(run("gru", 0.41)), figures))
    titles = re.findall(r"^## (.*)", text, flags=re.MULTILINE)
    assert titles[:2] == [
        "Ours and published: the summary",
        "ETTh1, horizon 96: ours and published",
    ]
    assert "| gru | 336 | ETTh1 | +2.5% |" in text
