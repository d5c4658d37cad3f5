from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmark.records.losses import read_losses
from benchmark.reports import ties
from benchmark.reports.changes import compare
from benchmark.reports.comparison_tables import print_comparison, to_markdown
from benchmark.reports.judgement import Side, judge
from benchmark.reports.leaderboard import print_table
from benchmark.reports.leaderboard import to_markdown as board_markdown
from benchmark.reports.ranking import leaderboard
from benchmark.reports.tidy import to_csv

WINDOWS = 1500


def series(seed: int, mean: float, horizon: int = 24, scale: float = 0.1) -> np.ndarray:
    """Losses of overlapping windows with exactly this mean."""
    sums = np.cumsum(np.random.default_rng(seed).standard_normal(WINDOWS + horizon))
    losses = scale * (sums[horizon:] - sums[:-horizon]) / np.sqrt(horizon)
    return losses - losses.mean() + mean


@pytest.fixture
def scored(run):
    """Build a record and its windows' losses, by run id."""

    def build(model, mse, chance, **values):
        record = run(model, mse, horizon=24, **values)
        return record, {record.run_id: series(chance, mse)}

    return build


def joined(pairs):
    return [record for record, _ in pairs], {k: v for _, own in pairs for k, v in own.items()}


@pytest.fixture
def board(scored, table):
    records, losses = joined(
        [
            scored("best", 0.500, 0, seed=0),
            scored("best", 0.502, 1, seed=1),
            scored("close", 0.503, 2),
            scored("worse", 0.9, 3),
        ]
    )
    unknown = scored("unknown", 0.6, 4)[0]
    return leaderboard(table(*records, unknown), losses)


def test_of_very_many_rows_the_best_are_compared_and_said_so(scored, table, monkeypatch):
    monkeypatch.setattr(ties, "MOST_COMPARED", 3)
    records, losses = joined([scored(f"m{n}", 0.5 + n / 100, n) for n in range(5)])
    group = leaderboard(table(*records), losses).groups[0]
    assert group.rows["p_value"].notna().tolist() == [True] * 3 + [False] * 2
    assert any(note.endswith("Only the best 3 are compared.") for note in group.notes)


def test_rows_whose_interval_holds_zero_are_marked_as_ties_and_worse_ones_are_not(board):
    rows = board.groups[0].rows.set_index("model")
    assert rows["vs_best"]["close"] == pytest.approx(0.503 - 0.501)
    assert rows["vs_best_low"]["close"] < 0 < rows["vs_best_high"]["close"]
    assert rows["vs_best_low"]["worse"] > 0.2
    assert rows["p_value"]["close"] >= 0.1 > rows["p_value"]["worse"]
    assert rows.loc["unknown", ["vs_best", "p_value"]].isna().all()
    lines = {
        line.split(" | ")[1]: line for line in board_markdown(board).splitlines() if "|" in line
    }
    assert "| best |" in lines["best"]
    assert " ≈ |" in lines["close"]
    assert "\\]" in lines["worse"]
    assert "≈" not in lines["worse"] + lines["unknown"] + lines["best"]
    assert "2 of 3 rows, up to an MSE of" in board_markdown(board)


@pytest.mark.parametrize(("windows", "told"), [(158, "3.0 times"), (700, "")])
def test_intervals_on_few_independent_windows_are_told_to_hold_less(run, table, windows, told):
    losses = {name: series(n, 0.5 + n / 100, 36)[:windows] for n, name in enumerate("ab")}
    runs = [
        run(name, float(own.mean()), horizon=36, test_windows=windows, run_id=name)
        for name, own in losses.items()
    ]
    notes = " ".join(leaderboard(table(*runs), losses).groups[0].notes)
    assert "vs best: difference" in notes
    assert ("a 95% interval holds the truth in only 83 to 93" in notes) == bool(told)
    assert told in notes


@pytest.mark.parametrize(("windows", "told"), [(300, True), (1500, False)])
def test_a_memory_that_short_tests_cannot_see_is_told(run, table, windows, told):
    losses = {name: series(n, 0.5 + n / 100)[:windows] for n, name in enumerate("ab")}
    runs = [
        run(name, float(own.mean()), horizon=24, test_windows=windows, run_id=name)
        for name, own in losses.items()
    ]
    notes = " ".join(leaderboard(table(*runs), losses).groups[0].notes)
    assert ("correlated over 47 windows" in notes) == told  # 24 and 1.3 sqrt(300)
    assert ("in 80 on 300" in notes) == told


def test_the_csv_holds_the_comparison_on_the_lines_of_the_mse(board):
    lines = list(csv.DictReader(io.StringIO(to_csv(board))))
    filled = {(x["model"], x["metric"]) for x in lines if x["vs_best"]}
    assert filled == {("best", "mse"), ("close", "mse"), ("worse", "mse")}
    (worse,) = [x for x in lines if x["model"] == "worse" and x["metric"] == "mse"]
    assert float(worse["vs_best_low"]) < float(worse["vs_best"]) < float(worse["vs_best_high"])


def test_the_terminal_table_with_ties_fits_a_hundred_columns(board):
    stream = io.StringIO()
    print_table(board, Console(file=stream, width=100))
    assert max(map(len, stream.getvalue().splitlines())) <= 100
    assert "+0.0020 ≈" in stream.getvalue()


def test_without_the_best_rows_losses_or_with_too_few_windows_ties_are_said_to_be_unknown(
    scored, table, run
):
    pairs = [scored("a", 0.5, 0), scored("b", 0.6, 1)]
    records, losses = joined(pairs)
    results = table(run("first", 0.4, horizon=24), *records)
    for board in (
        leaderboard(results, losses),
        leaderboard(table(*records)),
        leaderboard(table(*records), {name: own[:60] for name, own in losses.items()}),
    ):
        assert "vs best" not in board_markdown(board)
        assert "Which rows are tied with the best cannot be told" in board_markdown(board)
        assert "vs_best" not in to_csv(board)
    alone = leaderboard(table(run("first", 0.4, horizon=24)))
    assert "cannot be told" not in board_markdown(alone)


@pytest.mark.parametrize(
    ("windows", "why"),
    [
        (134, ": 134 windows of 60 steps are too few to tell."),
        (1500, " folders beside the CSV, which hold them, are missing or damaged."),
    ],
)
def test_why_ties_are_unknown_is_said(run, table, windows, why):
    runs = [run(name, 0.5, horizon=60, test_windows=windows) for name in "ab"]
    notes = leaderboard(table(*runs)).groups[0].notes
    assert any(note.startswith("Which rows are tied") and note.endswith(why) for note in notes)


def test_a_board_of_twenty_five_models_takes_under_two_seconds(table, run):
    records = [run(f"m{i}", 0.5 + i / 50, horizon=336) for i in range(25)]
    rng = np.random.default_rng(0)
    losses = {record.run_id: rng.standard_normal(2545) for record in records}
    results = table(*records)
    before = time.process_time()
    leaderboard(results, losses)
    assert time.process_time() - before < 2


def test_seed_noise_is_of_what_is_trained_by_gradient(table, run):
    def told(*rows):
        (note,) = [n for n in leaderboard(table(*rows)).groups[0].notes if "Seed noise" in n]
        return note

    rows = [run("gru", 0.5 + seed / 100, seed=seed) for seed in range(3)]
    rows += [run("ridge", 0.4, seed=seed, fitted="closed_form") for seed in range(3)]
    assert "of 0.0100 (pooled over 1 configuration, 2 degrees of freedom)" in told(*rows)
    assert "depends on its seed has three or more and is judged by its own" in told(*rows[:4])
    one_seed = told(*rows, run("lstm", 0.6))
    assert "differ by less than 0.0608 may" in one_seed  # 4.303 x 0.01 x sqrt(2)
    assert "Seed noise" not in board_markdown(leaderboard(table(*rows[2:])))


def save(runs, record, losses):
    (runs / record.run_id).mkdir(parents=True)
    squared = np.stack([losses, losses], axis=1).astype(np.float32)
    np.savez_compressed(runs / record.run_id / "errors.npz", squared=squared)


def test_losses_are_read_beside_the_csv_or_a_folder_up_and_only_those_of_the_row(
    table, run, tmp_path
):
    records = [run("beside"), run("up"), run("rerun"), run("gone"), run("x", error="E: no")]
    results = table(*records)
    path = tmp_path / "suite" / "results.csv"
    save(path.parent / "runs", records[0], series(0, 0.5))
    save(tmp_path / "runs", records[1], series(1, 0.5))
    save(tmp_path / "runs", records[2], series(2, 0.51))  # not the row's MSE
    found = read_losses(path, results)
    assert set(found) == {records[0].run_id, records[1].run_id}
    np.testing.assert_allclose(found[records[1].run_id], series(1, 0.5), atol=1e-6)
    damaged = tmp_path / "runs" / records[1].run_id / "errors.npz"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    lines = []
    assert set(read_losses(path, results, warn=lines.append)) == {records[0].run_id}
    (line,) = lines
    assert line.startswith(f"{damaged}: is damaged (")
    assert "run that model again with --force; until then" in line


@pytest.mark.parametrize(
    ("place", "csv"),
    [
        (".", "suite/results.csv"),
        ("suite", "results.csv"),
        ("suite", "./results.csv"),
        ("suite/deeper", "../results.csv"),
    ],
)
def test_losses_a_folder_up_are_found_however_the_csv_is_named(
    table, run, tmp_path, monkeypatch, place, csv
):
    record = run()
    save(tmp_path / "runs", record, series(0, 0.5))
    (tmp_path / "suite" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / place)
    assert set(read_losses(Path(csv), table(record))) == {record.run_id}


def test_losses_of_another_number_of_windows_than_the_others_are_left_out(table, run, tmp_path):
    records = [run("gru", 0.5, seed=0), run("gru", 0.5, seed=1), run("ridge", 0.5)]
    results, path = table(*records), tmp_path / "results.csv"
    for place, record in enumerate(records):
        save(tmp_path / "runs", record, series(place, 0.5)[place == 1 :])
    losses = read_losses(path, results)
    assert sorted(losses) == sorted(record.run_id for record in (records[0], records[2]))
    assert leaderboard(results, losses).groups[0].rows["p_value"].isna().all()


def test_of_two_folders_of_a_run_the_one_beside_the_csv_counts(table, run, tmp_path):
    record = run()
    results, path = table(record), tmp_path / "suite" / "results.csv"
    save(tmp_path / "runs", record, series(1, 0.5))
    np.testing.assert_allclose(read_losses(path, results)[record.run_id], series(1, 0.5), atol=1e-6)
    save(path.parent / "runs", record, series(0, 0.5))
    np.testing.assert_allclose(read_losses(path, results)[record.run_id], series(0, 0.5), atol=1e-6)


@pytest.mark.parametrize(
    ("new", "seeds", "windows", "verdict"),
    [
        (0.3, 1, True, "beyond windows"),
        (0.502, 1, True, "within noise"),
        (0.3, 1, False, ""),
        (0.3, 3, False, "beyond seeds"),
        (0.505, 3, False, "within noise"),
        (0.3, 3, True, "significant"),
    ],
)
def test_a_difference_is_significant_where_neither_chance_explains_it(
    scored, table, new, seeds, windows, verdict
):
    old, old_losses = joined([scored("gru", 0.5 + s / 100, s, seed=s) for s in range(seeds)])
    now, new_losses = joined([scored("gru", new, 9, seed=0)])
    before, after = table(*old), table(*now)
    sides = (
        Side(before, {"mse": old_losses} if windows else {}),
        Side(after, {"mse": new_losses} if windows else {}),
    )
    judged = judge(compare(before, after), *sides)
    assert judged.rows.set_index("seed")["verdict"][0] == verdict
    assert ("verdict" in to_markdown(judged)) == bool(verdict)


def test_a_difference_beyond_the_windows_chance_but_within_the_seeds_is_within_noise(scored, table):
    old, losses = joined([scored("gru", 0.5 + s / 4, 0, seed=s) for s in range(3)])
    now, new_losses = joined([scored("gru", 0.4, 0, seed=0)])
    before, after = table(*old), table(*now)
    judged = judge(
        compare(before, after), Side(before, {"mse": losses}), Side(after, {"mse": new_losses})
    )
    assert judged.rows.set_index("seed")["verdict"][0] == "within noise"
    calm = old[:1]
    before = table(*calm)
    judged = judge(
        compare(before, after), Side(before, {"mse": losses}), Side(after, {"mse": new_losses})
    )
    assert judged.rows["verdict"].tolist() == ["beyond windows"]


def test_two_protocols_are_not_comparable_and_the_verdict_fits_the_terminal(scored, table):
    old, losses = joined([scored("gru", 0.5, 0), scored("lstm", 0.5, 1)])
    now, more = joined([scored("gru", 0.3, 2), scored("lstm", 0.3, 3, fingerprint="b" * 16)])
    before, after = table(*old), table(*now)
    judged = judge(
        compare(before, after), Side(before, {"mse": losses}), Side(after, {"mse": more})
    )
    verdicts = judged.rows.set_index("model")["verdict"].to_dict()
    assert verdicts == {"gru": "beyond windows", "lstm": "not comparable"}
    stream = io.StringIO()
    print_comparison(judged, Console(file=stream, width=120))
    assert "verdict" in stream.getvalue()


@pytest.mark.parametrize("told", [True, False])
def test_a_verdict_is_on_the_windows_of_the_configurations_that_are_compared(scored, table, told):
    twins = [scored("gru", 0.5, 0, config="aaaaaa"), scored("gru", 0.9, 1, config="bbbbbb")]
    now, more = joined([scored("gru", 0.3, 2, config="aaaaaa")])
    old, losses = joined(twins)
    before, after = table(*old), table(*now)
    if not told:
        before, after = before.assign(config=""), after.assign(config="")
    judged = judge(
        compare(before, after), Side(before, {"mse": losses}), Side(after, {"mse": more})
    ).rows
    verdicts = dict(zip(judged["name"], judged["verdict"], strict=True))
    both = {"gru [aaaaaa]": "beyond windows", "gru [bbbbbb]": ""}
    assert verdicts == (both if told else {"gru": "beyond windows"})


def test_a_model_of_three_seeds_is_judged_by_its_own_spread(run, table):
    """A restless neighbour makes no steady model's change noise, nor the other way round."""
    steady = [run("nlinear", 0.5 + s / 1000, seed=s) for s in range(3)]
    restless = [run("dlinear", 0.5 + s / 10, seed=s) for s in range(3)]
    now = [run("nlinear", 0.51, seed=0), run("dlinear", 0.51, seed=0)]
    before, after = table(*steady, *restless), table(*now)
    judged = judge(compare(before, after), Side(before, {}), Side(after, {})).rows
    verdicts = judged.set_index(["model", "seed"])["verdict"]
    assert verdicts["nlinear", 0] == "beyond seeds"
    assert verdicts["dlinear", 0] == "within noise"
