from __future__ import annotations

import io
import math
import re
import statistics
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.reports.leaderboard import to_markdown
from benchmark.reports.ranking import leaderboard
from benchmark.reports.tidy import to_csv

SCORES = st.sampled_from([0.25, 0.5, 0.5000001, 0.75, 1.5])
RUNS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.sampled_from([96, 192]),
        st.sampled_from(["f" * 8 + "1", "f" * 8 + "2"]),
        st.sampled_from(["gru", "lstm", "seasonal_naive"]),
        st.sampled_from([96, 336]),
        st.integers(0, 2),
        st.none() | st.tuples(SCORES, SCORES),
    ),
    min_size=1,
    max_size=30,
)


def averaged(scores):
    return [statistics.fmean(column) for column in zip(*scores, strict=True)]


def by_hand(runs):
    """Groups of (rank, model, lookback, mse, std, skill, done seeds, failed seeds), by loops."""
    groups = {}
    for dataset, horizon, fingerprint, model, lookback, seed, scores in runs:
        rows = groups.setdefault((dataset, horizon, fingerprint), {})
        rows.setdefault((model, lookback), []).append((seed, scores))
    result = {}
    for key, rows in sorted(groups.items()):
        means = {}
        of_seeds = {}
        for row, seeds in rows.items():
            done = {}
            for seed, scores in seeds:
                if scores:
                    done.setdefault(seed, []).append(scores)
            of_seeds[row] = [averaged(own) for own in done.values()]
            if done:
                means[row] = averaged(of_seeds[row])
        ranked = sorted(means, key=lambda row: (*means[row], *row))
        table = []
        for rank, row in enumerate(ranked, start=1):
            model, lookback = row
            mses = [scores[0] for scores in of_seeds[row]]
            naive = {n[1]: means[n][0] for n in means if n[0] == "seasonal_naive"}
            base = naive.get(lookback, min(naive.values(), default=math.nan))
            done = {seed for seed, scores in rows[row] if scores}
            lost = {seed for seed, scores in rows[row] if not scores} - done
            std = statistics.stdev(mses) if len(mses) > 1 else math.nan
            skill = 1 - means[row][0] / base
            table.append((rank, model, lookback, means[row][0], std, skill, len(done), len(lost)))
        result[key] = table
    return result


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)
@given(RUNS)
def test_groups_means_ranks_and_skill_are_those_found_by_hand(run, table, runs):
    records = []
    for dataset, horizon, fingerprint, model, lookback, seed, scores in runs:
        values = {"dataset": dataset, "horizon": horizon, "fingerprint": fingerprint}
        values |= {"lookback": lookback, "seed": seed}
        values |= {"mae": scores[1]} if scores else {"error": "ValueError: no"}
        records.append(run(model, scores[0] if scores else None, **values))
    board = leaderboard(table(*records))
    expected = by_hand(runs)
    assert [(g.dataset, g.horizon, g.fingerprint) for g in board.groups] == list(expected)
    columns = ["rank", "model", "lookback", "mse", "mse_std", "skill", "seeds", "failed_seeds"]
    for group, rows in zip(board.groups, expected.values(), strict=True):
        found = list(group.rows[columns].itertuples(index=False, name=None))
        assert [row[:3] + row[6:] for row in found] == [row[:3] + row[6:] for row in rows]
        for got, want in zip(found, rows, strict=True):
            assert got[3:6] == pytest.approx(want[3:6], rel=1e-12, abs=1e-12, nan_ok=True)
    to_csv(board)
    to_markdown(board)


def test_equal_scores_tie_whatever_the_number_of_seeds(run, table):
    records = [run("gru", 0.4, mae=0.7, seed=seed) for seed in range(3)]
    naive = run("seasonal_naive", 0.4, mae=0.7, fitted="none")
    board = leaderboard(table(*records, naive))
    (group,) = board.groups
    assert group.rows["mse"].tolist() == [0.4, 0.4]
    assert group.rows["mae"].tolist() == [0.7, 0.7]
    assert group.rows["model"].tolist() == ["gru", "seasonal_naive"]
    assert "| -0.000 |" not in to_markdown(board)


def test_two_protocols_are_two_tables_that_say_why(run, table):
    board = leaderboard(
        table(
            run("gru", 0.5, fingerprint="a" * 16),
            run("lstm", 0.4, fingerprint="b" * 16, test_windows=2784),
            run("lstm", 0.4, fingerprint="b" * 16, horizon=192),
        )
    )
    assert [(g.label, len(g.rows), g.rows["rank"].tolist()) for g in board.groups] == [
        ("a" * 8, 1, [1]),
        ("b" * 8, 1, [1]),
        ("b" * 8, 1, [1]),
    ]
    text = to_markdown(board)
    assert "## ETTh1, horizon 96, protocol aaaaaaaa\n" in text
    assert "## ETTh1, horizon 96, protocol bbbbbbbb\n" in text
    assert "## ETTh1, horizon 192\n" in text
    assert text.count("2 protocols were used") == 2
    assert "2784 test windows, 7 channels, lookback 336, device cpu, protocol bbbbbbbb." in text


def test_skill_does_not_come_from_another_protocol(run, table):
    board = leaderboard(
        table(run("seasonal_naive", 1.0, fingerprint="a" * 9), run("gru", fingerprint="b" * 9))
    )
    assert board.groups[0].rows["skill"].tolist() == [0.0]
    assert board.groups[1].rows["skill"].isna().all()


def test_skill_compares_with_the_baseline_at_the_same_lookback_else_the_best(run, table):
    board = leaderboard(
        table(
            run("seasonal_naive", 1.0, lookback=96),
            run("seasonal_naive", 0.8, lookback=336),
            *(run("gru", 0.4, lookback=lookback) for lookback in (96, 336, 512)),
        )
    )
    rows = board.groups[0].rows.set_index(["model", "lookback"])["skill"]
    assert rows["gru"].to_dict() == pytest.approx({96: 0.6, 336: 0.5, 512: 0.5})


def test_skill_is_that_of_its_own_row_where_the_baseline_has_several_settings(run, table):
    board = leaderboard(
        table(
            run("seasonal_naive", 1.0),
            run("seasonal_naive", 0.8, config="badc0ffee0"),
            run("gru", 0.4),
            *(run(name, mse, dataset="z") for name, mse in (("seasonal_naive", 4.0), ("gru", 1.0))),
        )
    )
    skills = [group.rows["skill"].tolist() for group in board.groups]
    assert skills == [pytest.approx([0.5, 0.0, -0.25]), pytest.approx([0.75, 0.0])]


def test_skill_is_absent_where_the_baseline_has_no_error(run, table):
    board = leaderboard(table(run("seasonal_naive", 0.0), run("gru")))
    assert board.groups[0].rows["skill"].isna().all()


def test_a_failed_run_is_listed_and_never_filled_in(run, table):
    results = table(
        run("gru", 0.5), run("lstm", error="ValueError: loss is nan", seed=3, horizon=96)
    )
    board = leaderboard(results)
    assert board.groups[0].rows["model"].tolist() == ["gru"]
    text = to_markdown(board)
    assert "- failed, unranked: lstm (lookback 336, seed 3): ValueError: loss is nan" in text
    assert "| lstm" not in text
    lost = pd.read_csv(io.StringIO(to_csv(board))).query("model == 'lstm'")
    assert lost["metric"].tolist() == ["mae", "mse"]
    assert lost[["rank", "mean", "std"]].isna().all().all()
    assert lost["seeds"].tolist() == [0, 0]
    assert lost["failed_seeds"].tolist() == [1, 1]


def test_a_seed_that_failed_in_two_ways_is_one_failed_seed(run, table):
    errors = ("ValueError: no", "MemoryError: none left")
    board = leaderboard(table(*(run("lstm", error=error, seed=3) for error in errors)))
    lost = pd.read_csv(io.StringIO(to_csv(board)))
    assert lost["failed_seeds"].tolist() == [1, 1]


def test_a_table_of_failures_alone_has_no_rank(run, table):
    board = leaderboard(table(run("lstm", error="ValueError: no")))
    text = to_markdown(board)
    assert "failed, unranked: lstm" in text
    assert "| 1 |" not in text
    assert to_csv(board).count("\n") == 3


def test_a_model_with_failed_seeds_is_flagged(run, table):
    board = leaderboard(
        table(
            run("gru", 0.5, seed=0),
            run("gru", 0.6, seed=1),
            run("gru", error="ValueError: no", seed=2),
            run("lstm", 0.7),
        )
    )
    text = to_markdown(board)
    assert re.search(r"\| 1\\\* \| gru \|.*\| 2 of 3 \|", text)
    assert "some seeds failed; the mean is of those that finished: gru (336)" in text
    assert re.search(r"\| 2 \| lstm \|.*\| 1 \|", text)


def test_a_seed_that_failed_once_and_is_done_now_is_not_missing(run, table):
    board = leaderboard(table(run("gru", 0.5), run("gru", error="ValueError: no")))
    assert board.groups[0].rows[["seeds", "failed_seeds"]].to_numpy().tolist() == [[1, 0]]


def test_two_configurations_under_one_name_are_two_rows_told_apart_by_their_hash(run, table):
    board = leaderboard(
        table(
            run("gru", 0.5, config="aaaaaaaaaa", seed=1),
            run("gru", 0.7, config="bbbbbbbbbb", seed=1),
            run("gru", 0.9, config="bbbbbbbbbb", seed=2),
            run("lstm", 0.1),
        )
    )
    rows = board.groups[0].rows
    assert rows["name"].tolist() == ["lstm", "gru [aaaaaa]", "gru [bbbbbb]"]
    assert rows["mse"].tolist() == pytest.approx([0.1, 0.5, 0.8])
    assert any("share a model's name" in note for note in board.groups[0].notes)


def test_a_failed_configuration_of_a_ranked_name_is_told_apart_by_its_hash(run, table):
    results = table(
        run("gru", 0.5, config="aaaaaaaaaa"),
        run("gru", error="ValueError: no", config="bbbbbbbbbb"),
        run("lstm", error="ValueError: no"),
    )
    (group,) = leaderboard(results).groups
    assert group.rows["name"].tolist() == ["gru [aaaaaa]"]
    assert group.failed["name"].tolist() == ["gru [bbbbbb]", "lstm"]
    assert r"failed, unranked: gru \[bbbbbb\] (lookback" in to_markdown(leaderboard(results))


def test_two_runs_of_one_configuration_and_seed_are_told(run, table):
    board = leaderboard(table(run("gru", 0.5), run("gru", 0.7), run("lstm", 0.1)))
    assert any(
        "Several runs of one configuration and seed" in note and "gru" in note
        for note in board.groups[0].notes
    )
    assert not any("lstm" in note for note in board.groups[0].notes)


def test_what_does_not_beat_naive_or_closed_form_says_so(run, table):
    board = leaderboard(
        table(
            run("ridge", 0.4, fitted="closed_form"),
            run("seasonal_naive", 0.6, fitted="none"),
            run("last_value", 0.9, fitted="none"),
            run("good", 0.3),
            run("fair", 0.5),
            run("bad", 0.7),
        )
    )
    notes = "\n".join(board.groups[0].notes)
    assert "Naive, nothing is fitted: seasonal_naive (336), last_value (336)." in notes
    assert "naive forecast (seasonal_naive, MSE 0.6000): bad (336)." in notes
    assert "closed-form model (ridge, MSE 0.4000): fair (336), bad (336)." in notes


def test_a_trained_model_that_is_as_good_as_naive_is_no_better(run, table):
    naive = run("seasonal_naive", 0.6, fitted="none")
    board = leaderboard(table(naive, run("level", 0.6), run("better", 0.5999)))
    (note,) = [note for note in board.groups[0].notes if "no better than" in note]
    assert note.endswith("naive forecast (seasonal_naive, MSE 0.6000): level (336).")


def test_reports_import_neither_torch_nor_pandas_until_they_are_used():
    code = (
        "import sys, benchmark.reports.leaderboard, benchmark.reports.comparison_tables, "
        "benchmark.reports.published, benchmark.records.store\n"
        "print(sorted({'torch', 'lightning', 'pandas', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
