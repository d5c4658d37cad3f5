"""The tables of committed results on terminals of several widths: whole columns or none of it."""

from __future__ import annotations

import functools
import io
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchmark.places import PUBLISHED
from benchmark.records.table import read_results
from benchmark.reports.changes import compare
from benchmark.reports.comparison_tables import print_comparison
from benchmark.reports.judgement import Side, judge
from benchmark.reports.leaderboard import print_table
from benchmark.reports.published import compare_published, read_published
from benchmark.reports.published_tables import print_published
from benchmark.reports.ranking import Leaderboard, leaderboard
from benchmark.reports.tables import (
    EXPONENT,
    Cell,
    Column,
    Table,
    decimals_for,
    mean_and_std,
    number,
)
from benchmark.reports.terminal import print_tables

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
WIDTHS = pytest.mark.parametrize("width", [60, 80, 100, 110, 160])


def results(name):
    return read_results(REFERENCE / name / "results.csv")


@functools.cache
def board_of(name):
    """The leaderboard of committed results, for tests that change nothing in it."""
    return leaderboard(results(name))


@functools.cache
def comparison_of(old, new):
    """The judged comparison of committed results, for tests that change nothing in it."""
    before, after = results(old), results(new)
    return judge(compare(before, after), Side(before, {}), Side(after, {}))


def printed(show, width):
    stream = io.StringIO()
    show(Console(file=stream, width=width))
    lines = stream.getvalue().splitlines()
    assert max(len(line) for line in lines if not line.startswith("   benchmark ")) <= width
    return lines


@WIDTHS
@pytest.mark.parametrize(
    "name", ["etth1", "lookbacks", "best_datasets", "best_horizons", "breadth", "horizons", "tuned"]
)
def test_a_leaderboard_keeps_names_and_errors_whole(name, width):
    board = board_of(name)
    lines = printed(lambda console: print_table(board, console), width)
    words = [line.split() for line in lines]
    for row in board.groups[0].rows.to_dict("records"):
        error = f"{row['mse']:.4f}"
        assert any(row["model"] in line and error in " ".join(line) for line in words), row["name"]


@WIDTHS
def test_a_leaderboard_of_namesakes_keeps_their_brackets(width):
    rows = results("etth1")
    twins = rows.assign(config="575480" + rows["config"], run_id="x" + rows["run_id"])
    board = leaderboard(pd.concat([rows, twins]))
    text = " ".join(printed(lambda console: print_table(board, console), width))
    for name in board.groups[0].rows["name"]:
        assert all(f" {word} " in text for word in name.split())


@WIDTHS
def test_a_comparison_keeps_names_errors_and_verdicts_whole(width):
    comparison = comparison_of("etth1", "lookbacks")
    lines = printed(lambda console: print_comparison(comparison, console), width)
    words = [line.split() for line in lines]
    for row in comparison.rows.to_dict("records"):
        errors = [number(row[f"mse_{side}"]) for side in ("old", "new")[width == 60 :]]
        assert any({row["model"], *errors} <= set(line) for line in words), row["model"]
    assert sum("within noise" in line for line in lines) > 5
    assert any("Left out" in line for line in lines) == (width < 110)


@pytest.mark.parametrize("longest", [0, 37, 90])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_number_is_shown_whole_or_not_at_all(width, longest):
    rows = results("etth1")
    rows["model"] = rows["model"].str.ljust(longest, "x")
    board = leaderboard(rows)
    (group,) = board.groups
    group.rows["vs_best"] = group.rows["mse"] - group.rows["mse"].min()
    group.rows["p_value"] = 0.01
    lines = printed(lambda console: print_table(board, console), width)
    words = {word for line in lines for word in line.split()}
    left_out = "vs best," in " ".join(" ".join(lines).split())
    for row in group.rows.to_dict("records"):
        assert mean_and_std(row["mse"], row["mse_std"]) in words, row["name"]
        if row["rank"] > 1:
            assert (f"{row['vs_best']:+.4f}" in words) != left_out
    assert "model" in words


def test_a_terminal_narrower_than_the_numbers_cuts_none():
    columns = tuple(Column(title) for title in ("MSE", "MAE"))
    cells = (Cell("0.1234±0.0056"), Cell("0.2345±0.0067"))
    stream = io.StringIO()
    print_tables([Table("T", columns, (cells,))], Console(file=stream, width=20))
    assert stream.getvalue().splitlines()[4].split() == [cell.text for cell in cells]


@WIDTHS
def test_figures_beside_published_ones_keep_names_and_errors_whole(width):
    beside = compare_published(results("reproduction"), read_published(PUBLISHED))
    lines = printed(lambda console: print_published(beside, console), width)
    words = [line.split() for line in lines]
    summary = lines[: lines.index("ETTh1, horizon 96: ours and published")]
    assert any(line.startswith(" itransformer ") and "ETTh1" in line for line in summary)
    for row in beside.matches.dropna(subset=["published_mse"]).to_dict("records"):
        error = f"{row['published_mse']:.4f}".removesuffix("0")
        assert any(row["model"] in line and error in line for line in words), row["model"]


def test_the_most_spare_columns_go_first_and_are_named_below():
    table = Table(
        "T",
        (
            Column("model", number=False),
            Column("MSE"),
            Column("windows/s", spare=2),
            Column("device", number=False, spare=1),
            Column("MACs", spare=2),
        ),
        tuple(
            tuple(map(Cell, (name, "0.1234", "1,234,567", "cpu", macs)))
            for name, macs in (("gru", "12.3M"), ("lstm", "1.23G"))
        ),
    )

    def at(width):
        lines = printed(lambda c: print_tables([table], c, elsewhere="--output"), width)
        return " ".join(" ".join(lines).split())

    assert "Left out" not in at(60)
    assert "1,234,567 cpu Left out for lack of width: MACs; a wider terminal or --o" in at(32)
    assert (
        "lstm 0.1234 cpu Left out for lack of width: windows/s (1,234,567 in all rows), MACs;"
        in at(24)
    )
    assert "lstm 0.1234 Left out" in at(14)
    assert "device (cpu in all rows), MACs;" in at(14)


def test_a_command_at_the_end_of_a_note_is_a_line_that_can_be_copied():
    command = f"benchmark run seasonal_naive --set dataset={'a' * 60}"
    stream = io.StringIO()
    notes = (f"Beside it: {command}", "Another, as long as it may be: " + "and on " * 10)
    print_tables([Table("title", (), (), (), notes)], Console(file=stream, width=40))
    lines = stream.getvalue().splitlines()
    assert [line.strip() for line in lines[1:3]] == ["- Beside it:", command]
    assert max(map(len, lines[3:])) <= 40


def test_a_word_without_end_is_folded():
    table = Table(
        "T", (Column("model", number=False), Column("MSE")), ((Cell("m" * 300), Cell("1")),)
    )
    assert sum(line.count("m") for line in printed(lambda c: print_tables([table], c), 80)) == 301


def test_an_interval_and_what_is_told_of_a_column_are_shown_where_the_column_is():
    board = leaderboard(results("etth1"))
    (group,) = board.groups
    group.rows["vs_best"] = group.rows["mse"] - group.rows["mse"].min()
    group.rows["vs_best_low"], group.rows["vs_best_high"] = -0.01, 0.02
    group.rows["p_value"] = 0.5
    board = Leaderboard((replace(group, notes=("vs best: told.", "another note")),))

    def at(width):
        return "\n".join(printed(lambda console: print_table(board, console), width))

    wide, narrow, narrowest = at(160), at(80), at(44)
    assert "[-0.0100, +0.0200]" in wide
    assert "[-0.0100" not in narrow
    assert "Left out for lack of width: 95% interval" in narrow
    assert "vs best: told." in narrow
    assert "vs best: told." not in narrowest
    assert "another note" in narrowest


def test_a_long_name_is_broken_before_a_score_is_left_out():
    rows = results("etth1")
    rows["model"] = rows["model"].str.ljust(53, "x")
    board = leaderboard(rows)
    lines = printed(lambda console: print_table(board, console), 80)
    (head,) = [line.split() for line in lines if "lookback" in line and "#" in line]
    assert [title for title in head if title in ("MSE", "MAE", "skill")] == ["MSE", "MAE", "skill"]
    assert any("train s" in line for line in lines)  # left out, and told so


def test_small_errors_have_the_digits_that_tell_them_apart(run, table):
    board = leaderboard(table(run("gru", 0.023912), run("ridge", 0.023921), run("naive", 0.5)))
    text = "\n".join(printed(lambda console: print_table(board, console), 100))
    assert all(told in text for told in ("0.02391", "0.02392", "0.50000"))
    assert decimals_for([0.1, 12.5]) == 4
    assert decimals_for([1.01e-5, 0.0, math.nan]) == 8
    assert decimals_for([1e-30, 0.0, math.nan]) == EXPONENT
