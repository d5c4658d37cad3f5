from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from benchmark.errors import UserError
from benchmark.records.table import read_results
from benchmark.reports.changes import compare
from benchmark.reports.leaderboard import print_table, to_markdown, write_leaderboard
from benchmark.reports.ranking import leaderboard
from benchmark.reports.tidy import to_csv


def test_markdown_marks_the_best_bold_and_the_second_underlined(run, table):
    board = leaderboard(
        table(
            run("gru", 0.5, mae=0.3, params=12345, train_seconds=1.5, throughput=2e4),
            run("lstm", 0.4, mae=0.35, seed=0, fitted="closed_form"),
            run("lstm", 0.6, mae=0.35, seed=1, fitted="closed_form"),
            run("seasonal_naive", 1.0, mae=0.9, fitted="none"),
        )
    )
    lines = [line for line in to_markdown(board).splitlines() if line.startswith("|")]
    assert lines == [
        "| # | model | lookback | MSE | MAE | skill | params | train s | windows/s | device "
        "| seeds |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |",
        "| 1 | gru | 336 | **0.5000** | **0.3000** | **0.500** | 12.3k | 1.5 | 20,000 | cpu | 1 |",
        "| 2 | lstm | 336 | **0.5000±0.1414** | <u>0.3500±0.0000</u> | **0.500** | - | - | - | cpu "
        "| 2 |",
        "| 3 | seasonal_naive | 336 | <u>1.0000</u> | 0.9000 | <u>0.000</u> | - | - | - | cpu "
        "| 1 |",
    ]


def test_a_table_without_the_row_that_skill_is_beside_says_so(run, table):
    note = "- Skill is beside seasonal_naive, which has no row here: benchmark run seasonal_naive"
    sets = "--set dataset=mine --set horizon=24 --set lookback=48"
    told = to_markdown(leaderboard(table(run("gru", dataset="mine", horizon=24, lookback=48))))
    assert f"{note} {sets}\n" in told
    refitted = run("gru", dataset="mine", horizon=24, lookback=48, fit_rows="train+val")
    assert f"{note} {sets} --set refit=true\n" in to_markdown(leaderboard(table(refitted)))
    assert note not in to_markdown(leaderboard(table(run("gru"), run("seasonal_naive"))))


def test_the_row_that_skill_is_beside_is_to_look_back_a_season_at_least(run, table):
    told = to_markdown(leaderboard(table(run("gru", dataset="ETTm1", horizon=24, lookback=48))))
    assert "--set dataset=ETTm1 --set horizon=24 --set lookback=96\n" in told


def test_markdown_names_the_command_and_the_note(run, table):
    board = leaderboard(table(run()))
    text = to_markdown(board, command="benchmark run `x`", note="On one core.")
    assert text.startswith(
        "# Leaderboard\n\nOn one core.\n\nMade by:\n\n```\nbenchmark run `x`\n```"
    )
    assert "Made by" not in to_markdown(board)
    assert "````\n```x\n````" in to_markdown(board, command="```x")


def test_csv_is_long_and_unrounded(run, table):
    board = leaderboard(table(run("gru", 0.1, seed=0), run("gru", 0.2, seed=1, smape=3.5)))
    lines = {line["metric"]: line for line in csv.DictReader(io.StringIO(to_csv(board)))}
    only = board.groups[0].rows.iloc[0]
    assert float(lines["mse"]["mean"]) == only["mse"] == pytest.approx(0.15, rel=1e-15)
    assert float(lines["mse"]["std"]) == only["mse_std"]
    assert not {"smape", "rmse"} & set(lines)  # known of one seed only, and of none
    assert {line["rank"] for line in lines.values()} == {"1"}


def test_hostile_names_stay_names(table, run, tmp_path):
    table(run("harmless"))
    path = tmp_path / "results.csv"
    text = path.read_text(encoding="utf-8")
    for name, markdown in [
        ("a|b", r"| a\|b |"),
        ("[red]x", r"| \[red\]x |"),
        ("=cmd()", "| =cmd() |"),
        ('"two\nlines"', "| two lines |"),
        ("\x1b[31mx", r"| ?\[31mx |"),
    ]:
        path.write_text(text.replace("harmless", name), encoding="utf-8")
        board = leaderboard(read_results(path))
        assert markdown in to_markdown(board)
        text_csv = to_csv(board)
        assert len(text_csv.splitlines()) == 3  # a header, MSE and MAE
        assert ",=" not in text_csv
        assert "\x1b" not in text_csv
        stream = io.StringIO()
        print_table(board, Console(file=stream, width=100, force_terminal=True))
        assert "\x1b[31m" not in stream.getvalue()


def test_the_terminal_table_fits_a_hundred_columns(run, table):
    costs = {"params": 1234567, "train_seconds": 1234.5, "throughput": 1234.5, "macs": 5}
    board = leaderboard(
        table(
            *(run("slstm_last_value", 0.5 + s / 100, seed=s, mae=s / 9, **costs) for s in range(3)),
            run("seasonal_naive", 1.0, fitted="none", **costs),
        )
    )
    stream = io.StringIO()
    print_table(board, Console(file=stream, width=100))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    row = next(line for line in text.splitlines() if "slstm_last_value" in line)
    assert " ".join(row.split()) == (
        "1 slstm_last_value 0.5100±0.0100 0.1111±0.1111 0.490 1.23M 1,234 1,234 3"
    )
    assert "lookback 336, device cpu" in text


def test_both_files_are_written(run, table, tmp_path):
    board = leaderboard(table(run()))
    paths = write_leaderboard(tmp_path / "new", board, command="benchmark run x.yaml")
    assert paths[0].read_text("utf-8") == to_markdown(board, command="benchmark run x.yaml")
    assert paths[1].read_text("utf-8") == to_csv(board)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "leaderboard.csv",
        "leaderboard.md",
    ]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file, or lies below one"):
        write_leaderboard(tmp_path / "file", board)


def test_a_tuned_row_is_named_with_its_trials(run, table):
    board = leaderboard(table(run("gru", 0.5, tuned=30), run("lstm", 0.4)))
    notes = [line for line in to_markdown(board).splitlines() if "by a search" in line]
    assert notes == ["- Settings chosen on validation by a search: gru (336), 30 trials."]
    assert "by a search" not in to_markdown(leaderboard(table(run("lstm", 0.4))))
    seeds = [run("gru", seed=seed, tuned=trials) for seed, trials in enumerate((20, 30, None))]
    assert "search: gru (336), 30 trials." in to_markdown(leaderboard(table(*seeds)))


def test_every_cost_that_a_row_has_is_a_column(run, table):
    costs = {"macs": 2_500_000, "energy_j": 12.5, "latency_ms": 0.25, "throughput": 4000.0}
    costs["peak_memory_mb"] = 612.0
    board = leaderboard(table(run("gru", params=7, train_seconds=1.5, **costs)))
    head, _, row = [line for line in to_markdown(board).splitlines() if line.startswith("|")]
    assert "| params | MACs | train s | train J | MiB | ms | windows/s |" in head
    assert "| 7 | 2.5M | 1.5 | 12.5 | 612 | 0.25 | 4,000 |" in row
    lines = {line["metric"]: line["mean"] for line in csv.DictReader(io.StringIO(to_csv(board)))}
    assert {name: float(lines[name]) for name in costs} == costs


def test_a_file_from_before_a_cost_was_measured_is_ranked_and_compared_without_it(
    run, table, tmp_path
):
    new = table(run("gru", 0.5, params=7, train_seconds=1.5, macs=10, throughput=9.0))
    path = tmp_path / "results.csv"
    (header, row) = csv.reader(path.read_text().splitlines())
    gone = ("energy_j", "macs", "latency_ms", "throughput", "peak_memory_mb")
    kept = [place for place, name in enumerate(header) if name not in gone]
    lines = [",".join(cells[place] for place in kept) for cells in (header, row)]
    path.write_text(f"{lines[0]},inference_us\n{lines[1]},17.5\n")
    old = read_results(path)
    head = next(line for line in to_markdown(leaderboard(old)).splitlines() if line[0:1] == "|")
    assert "| params | train s | device |" in head
    assert "throughput" not in to_csv(leaderboard(old))
    assert compare(old, new).counts == compare(new, old).counts == {"unchanged": 1}


def test_a_terminal_shows_the_best_of_what_is_long_and_says_so(run, table, monkeypatch):
    monkeypatch.setattr("benchmark.reports.leaderboard.MOST_PRINTED", 6)
    monkeypatch.setattr("benchmark.reports.leaderboard.MOST_FAILURES", 1)
    records = [
        run(f"m{number}", 0.4 + number / 10, dataset=name, config=f"c{number}", horizon=horizon)
        for name in ("ETTh1", "ETTh2")
        for horizon in (96, 192)
        for number in range(4)
    ]
    records += [run(f"f{number}", config=f"f{number}", error="ValueError: no") for number in (1, 2)]
    stream = io.StringIO()
    print_table(leaderboard(table(*records)), Console(file=stream, width=100))
    text = stream.getvalue()
    assert text.count("The best 1 of 4 rows; --output writes a file with all of them.") == 4
    assert text.count("The best 3 of 4 rows; --output writes a file with all of them.") == 2
    assert "failed, unranked: f1 (lookback 336, seed 0): ValueError: no" in text
    assert "failed, unranked: 1 more; --output writes all of them" in text
    assert "f2" not in text
    whole = to_markdown(leaderboard(table(*records)))
    assert "failed, unranked: f2 (lookback 336, seed 0): ValueError: no" in whole


@pytest.mark.parametrize(
    ("device", "told"), [("cpu", ", device cpu, protocol "), ("", ", protocol ")]
)
def test_a_device_that_the_file_does_not_tell_is_not_named(run, table, device, told):
    text = to_markdown(leaderboard(table(run()).assign(device=device)))
    assert f"7 channels, lookback 336{told}" in text
