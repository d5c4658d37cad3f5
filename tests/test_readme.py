"""The README is held to what it says: its examples run, its tables are those of the results."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.records.record import column_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)


def between(name: str) -> str:
    return README.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip()


def block(language: str, containing: str) -> str:
    (found,) = [text for kind, text in BLOCKS if kind == language and containing in text]
    return found


def test_how_many_rows_may_be_the_best_is_what_the_leaderboard_says():
    written = (ROOT / "results/reference/etth1/leaderboard.md").read_text(encoding="utf-8")
    (counts,) = set(re.findall(r"Judged all at once, (\d+) of (\d+) rows may be", written))
    shown = re.findall(r"Judged all at once, (\d+) of the (\d+) may be best", README)
    assert shown == [counts]


@pytest.mark.parametrize(("name", "suite"), [("leaderboard", "etth1"), ("cells", "cells")])
def test_a_leaderboard_shown_is_the_one_that_the_reference_results_hold(name, suite):
    written = (ROOT / f"results/reference/{suite}/leaderboard.md").read_text(encoding="utf-8")
    written = written.split("\n### ")[0]  # quantiles have a table of their own
    table = [line for line in between(name).splitlines() if line.startswith("|")]
    assert len(table) >= 10
    assert table == [line for line in written.splitlines() if line.startswith("|")]


def test_the_columns_are_those_of_a_record():
    assert between("columns") == column_table().strip()


def commands() -> list[str]:
    lines = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
    lines = [line.split("#")[0].strip().removeprefix(".venv/bin/") for line in lines]
    return [line for line in lines if line.startswith("benchmark ")]


@pytest.mark.parametrize("line", commands())
def test_every_command_shown_exists_with_its_options(line):
    words = shlex.split(line)[1:]
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(line, words)  # raises on an unknown option or a missing argument


def test_the_model_shown_passes_the_contract_and_trains(tmp_path, monkeypatch):
    (tmp_path / "my_module.py").write_text(block("python", "class Smoothing"), encoding="utf-8")
    shown = yaml.safe_load(block("yaml", "my_module.Smoothing"))
    shown |= {"dataset": "akl_pedestrians", "horizon": 24}
    shown["training"] |= {"epochs": 1, "batch_size": 512}
    (tmp_path / "smoothing.yaml").write_text(yaml.safe_dump(shown), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    checked = CliRunner().invoke(app, ["check", "my_module.Smoothing"])
    assert checked.exit_code == 0, checked.output
    ran = CliRunner().invoke(app, ["run", "smoothing.yaml", "--results", str(tmp_path / "results")])
    assert ran.exit_code == 0, ran.output
    assert "smoothing" in ran.output


def test_the_cell_shown_is_one_for_the_gru_to_be_measured_by(tmp_path, monkeypatch):
    (tmp_path / "my_cells.py").write_text(block("python", "class Leaky"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_cells", raising=False)
    checked = CliRunner().invoke(app, ["check", "gru", "--set", "cell=my_cells.Leaky"])
    assert checked.exit_code == 0, checked.output
    shown = CliRunner().invoke(app, ["gradients", "gru", "my_cells.Leaky", "--length", "13"])
    assert shown.exit_code == 0, shown.output
    assert [line.split()[0] for line in shown.output.splitlines()[1:]] == ["gru", "my_cells.Leaky"]
    short = ["--set", "model.hidden_size=4", "--set", "training.epochs=1", "--set", "horizon=24"]
    own = ["--set", "model.cell=my_cells.Leaky", "--set", "name=leaky", "--set", "lookback=48"]
    own += ["--set", "dataset=akl_pedestrians", "--set", "training.batch_size=512"]
    run = CliRunner().invoke(app, ["run", "gru", *own, *short, "--results", str(tmp_path / "r")])
    assert run.exit_code == 0, run.output


def test_the_data_set_shown_loads(tmp_path, monkeypatch):
    (tmp_path / "datasets").mkdir()
    card = block("yaml", "my_series.csv")
    (tmp_path / "datasets" / "my_series.yaml").write_text(card, encoding="utf-8")
    rows = [f"2024-01-01 {i // 4:02d}:{15 * (i % 4):02d}:00,{i},{i * i}" for i in range(96)]
    rows += [row.replace("01-01", "01-02") for row in rows]
    text = "date,power,temperature\n" + "\n".join(rows) + "\n"
    (tmp_path / "datasets" / "my_series.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path / "datasets"))
    checked = CliRunner().invoke(app, ["datasets", "check", "my_series"])
    assert checked.exit_code == 0, checked.output
    assert "192" in checked.output
