"""What is there is written over by its own kind alone, and never while it is read.

What is printed is printed in any encoding.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
LINEAR = "name: linear\ndataset: toy\nhorizon: 12\nmodel: {class: Linear}\n"


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (("forecast", "linear", "--input", "in.csv", "--output"), ".csv"),
        (("backtest", "linear", "--output"), ".csv"),
        (("leaderboard", "--latex"), ".tex"),
        (("leaderboard", "--plot"), ".svg or .png or .pdf"),
        (("leaderboard", "--ranks"), ".svg or .png or .pdf"),
        (("gradients", "--plot"), ".svg or .png or .pdf"),
        (("plot", "costs", "--output"), ".svg or .png or .pdf"),
        (
            ("forecast", "x", "--input", "in.csv", "--output", "out.csv", "--plot"),
            ".svg or .png or .pdf",
        ),
        (("report", "--output"), ".html or .htm"),
        (("tune", "linear.yaml", "--output"), ".yaml or .yml"),
        (("pitfalls", "linear.yaml", "--dataset", "toy", "--output"), ".md"),
    ],
)
def test_a_file_of_another_kind_is_not_written_over(
    words: tuple[str, ...],
    ending: str,
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
) -> None:
    write_yaml("linear.yaml", LINEAR)
    (toy / "in.csv").write_text("mine\n")
    (toy / "notes.txt").write_text("mine\n")
    answer = command(*words, "notes.txt")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {words[-1]} notes.txt: does not end in {ending}; ")
    assert (toy / "notes.txt").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["in.csv", "folder/../in.csv", "link.csv"])
@pytest.mark.parametrize("verb", ["forecast", "backtest"])
def test_what_is_read_is_not_written_over_by_whatever_name(
    verb: str, name: str, toy: Path, command: Command
) -> None:
    (toy / "folder").mkdir()
    (toy / "in.csv").write_text("mine\n")
    (toy / "link.csv").symlink_to("in.csv")
    answer = command(verb, "linear", "--input", "in.csv", "--output", name)
    assert (answer.code, answer.out) == (2, "")
    assert f"{name}: is what this command reads, and would be written over" in answer.err
    assert (toy / "in.csv").read_text() == "mine\n"


@pytest.mark.parametrize(
    "words",
    [
        ("forecast", "naive", "--input", "datasets/toy.csv"),
        ("backtest", "naive"),
        ("datasets", "mend", "datasets/toy.csv"),
    ],
)
def test_a_table_of_results_is_not_written_over(
    words: tuple[str, ...], toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    model = {"class": "LastValue"}
    write_yaml("n.yaml", {"name": "naive", "dataset": "toy", "horizon": 12, "model": model})
    assert command("run", "n.yaml", "--checkpoint").code == 0
    table = Path("results/results.csv")
    before = table.read_bytes()
    refused = command(*words, "--output", table)
    assert (refused.code, refused.out) == (2, "")
    what = "is a table of results, and would be written over; name another file"
    assert refused.err == f"error: --output {table}: {what}\n"
    assert table.read_bytes() == before
    for _ in range(2):  # what such a command has written may be
        assert command(*words, "--output", "mine.csv").code == 0


def test_the_chosen_settings_do_not_replace_the_file_that_they_were_searched_by(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("linear.yaml", LINEAR)
    answer = command("tune", "linear.yaml", "--output", "linear.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert "would be written over" in answer.err
    assert (toy / "linear.yaml").read_text() == LINEAR


def test_a_table_names_the_results_folder_that_it_was_made_of(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("naive.yaml", LINEAR.replace("Linear", "SeasonalNaive"))
    command("run", "naive.yaml", "--results", "my results")
    assert command("leaderboard", "--results", "my results", "--output", "board").code == 0
    told = (toy / "board" / "leaderboard.md").read_text()
    assert "benchmark leaderboard --results 'my results'\n" in told


def test_the_run_that_a_table_asks_for_stands_in_the_same_table(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("model.yaml", LINEAR + "lookback: 24\ntraining: {epochs: 1}\n")
    shown = command("run", "model.yaml", "--results", "my results").out
    asked = next(line for line in shown.splitlines() if "benchmark run seasonal_naive" in line)
    assert asked.endswith("--set horizon=12 --set lookback=24 --results 'my results'")
    shown = command(*shlex.split(asked)[1:]).out
    assert " linear " in shown
    assert "no row here" not in shown
    (line,) = [one for one in command("run", "model.yaml").out.splitlines() if asked[:20] in one]
    assert "--results" not in line


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_what_an_encoding_lacks_is_printed_as_a_question_mark(
    encoding: str, toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = ("dataset=toy", "lookback=24", "horizon=12")
    assert command("run", "ridge", *(word for each in sets for word in ("--set", each))).code == 0
    csv = toy / "results" / "results.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace(",ridge,", ",模,"), encoding="utf-8")
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert command("leaderboard", csv).code == 0
    stream.seek(0)
    assert "|1 |? " in stream.read()
