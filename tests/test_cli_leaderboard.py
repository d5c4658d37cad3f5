"""The command that ranks: all runs of a folder, one file, or several files together."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
Run = Callable[..., None]


@pytest.fixture
def run(toy: Path, command: Command) -> Run:
    """Run a model on the toy data set into a folder of results."""

    def run(model: str, folder: str = "results", *more: str) -> None:
        sets = ("dataset=toy", "lookback=24", "horizon=12", *more)
        words = [word for item in sets for word in ("--set", item)]
        assert command("run", model, *words, "--results", folder).code == 0

    return run


def test_leaderboard_ranks_all_runs_or_one_csv(toy: Path, run: Run, command: Command) -> None:
    run("ridge")
    run("seasonal_naive")
    (toy / "results" / "results.csv").unlink()  # it is rebuilt from the folders
    answer = command("leaderboard", "--output", "board")
    assert answer.code == 0
    assert "toy, horizon 12" in answer.out
    assert "ridge" in (toy / "board" / "leaderboard.md").read_text()
    one = command("leaderboard", toy / "results" / "results.csv")
    assert one.out in answer.out


def test_a_run_with_damaged_errors_keeps_its_row_and_stops_no_other(
    toy: Path, run: Run, command: Command
) -> None:
    for model in ("ridge", "seasonal_naive", "window_mean"):
        run(model)
    (errors,) = toy.glob("results/runs/window_mean-*/errors.npz")
    errors.write_bytes(errors.read_bytes()[:-100])
    answer = command("leaderboard", "--output", "board")
    assert answer.code == 0
    (line,) = answer.err.splitlines()
    assert line.startswith(f"warning: {errors}: is damaged (")
    assert "give the command that made that run again" in line
    table = (toy / "board" / "leaderboard.md").read_text()
    assert "vs best" in table
    rows = {line.split(" | ")[1]: line for line in table.splitlines() if line.startswith("| ")}
    assert rows.keys() >= {"ridge", "seasonal_naive", "window_mean"}
    (toy / "gate.yaml").write_text("significant_only: true\n")
    table = "results/results.csv"
    for words in ([table, "--published"], [table, table, "--gate", "gate.yaml"]):
        answer = command("compare", *words)  # reads the errors by both metrics
        assert answer.code == 0
        assert answer.err.count("is damaged (") == 1


def test_several_files_are_ranked_together_each_run_once(
    toy: Path, run: Run, command: Command
) -> None:
    for model in ("ridge", "seasonal_naive"):
        run(model)
        run(model, "all")
    run("window_mean", "theirs")
    run("window_mean", "all")
    run("ridge", "theirs")  # is in ours already
    files = ("results/results.csv", "theirs/results.csv")
    together = command("leaderboard", *files, "--output", "board")
    assert (together.code, together.err) == (0, "")
    table = (toy / "board" / "leaderboard.md").read_text()
    assert f"\nbenchmark leaderboard {' '.join(files)}\n" in table
    scores = [line.split(" | ")[:7] for line in table.splitlines() if line.startswith("| ")]
    command("leaderboard", "--results", "all", "--output", "other")
    expected = (toy / "other" / "leaderboard.md").read_text().splitlines()
    assert scores == [line.split(" | ")[:7] for line in expected if line.startswith("| ")]
    assert "vs best" in table  # the runs beside either file tell their windows
    twice = command("leaderboard", files[0], *files)
    assert (twice.code, twice.out) == (0, command("leaderboard", *files).out)


def test_the_first_file_has_the_word_on_a_run_of_both(
    toy: Path, run: Run, command: Command
) -> None:
    run("ridge")
    text = Path("results/results.csv").read_text()
    row = next(csv.DictReader(text.splitlines()))
    mse = row["mse"]
    Path("other.csv").write_text(text.replace(mse, "0.25").replace(row["rmse"], "0.5"))
    assert f"{float(mse):.4f}" in command("leaderboard", "results/results.csv", "other.csv").out
    assert "0.2500" in command("leaderboard", "other.csv", "results/results.csv").out


def test_a_run_that_is_done_in_one_file_is_ranked_whichever_comes_first(
    toy: Path, run: Run, command: Command
) -> None:
    run("ridge")
    with open("results/results.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    failed = row | {"status": "failed", "mse": "", "mae": "", "error": "still running"}
    with open("failed.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, failed)
        writer.writeheader()
        writer.writerow(failed)
    for files in (("failed.csv", "results/results.csv"), ("results/results.csv", "failed.csv")):
        shown = command("leaderboard", *files).out
        assert f"{float(row['mse']):.4f}" in shown
        assert "unranked" not in shown


def test_leaderboard_draws_error_by_cost(toy: Path, run: Run, command: Command) -> None:
    pytest.importorskip("vl_convert")
    run("ridge")
    answer = command("leaderboard", "--plot", "costs.svg")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("Plot: costs.svg\n")
    assert "<svg" in (toy / "costs.svg").read_text()


def test_a_file_is_no_folder_for_two(toy: Path, run: Run, command: Command) -> None:
    run("ridge")
    refused = command("leaderboard", "--output", "board.csv")
    assert refused.code == 2
    assert "--output board.csv: names a file, and two are written; name a folder" in refused.err
    assert not Path("board.csv").exists()


def test_every_row_is_compared_with_one_that_is_named(
    toy: Path, run: Run, command: Command
) -> None:
    run("ridge")
    run("seasonal_naive")
    shown = command("leaderboard", "--against", "ridge", "--latex", "t.tex")
    assert (shown.code, shown.err) == (0, "")
    assert "beside ridge (" in shown.out
    assert "beside ridge" in Path("t.tex").read_text()
    refused = command("leaderboard", "--against", "rigde")
    assert (refused.code, refused.err) == (
        2,
        "error: --against: no row is called 'rigde'; did you mean 'ridge'?\n",
    )
