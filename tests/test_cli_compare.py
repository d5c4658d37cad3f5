"""``benchmark compare`` as continuous integration calls it: what it says and how it exits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.records.record import COLUMNS

Command = Callable[..., Any]
ROW: dict[str, Any] = {
    "run_id": "r1", "status": "done", "dataset": "ETTh1", "lookback": 336, "horizon": 96,
    "model": "gru", "seed": 1, "config": "c", "mse": 0.5, "mae": 0.4, "fitted": "gradient",
    "train_seconds": 10.0, "device": "cpu", "fingerprint": "f" * 16,
}  # fmt: skip


@pytest.fixture
def write(workplace: Path) -> Callable[..., str]:
    """Write a results CSV of one row into the working directory; return its name."""

    def put(name: str, **values: Any) -> str:
        row = ROW | values
        cells = [str(row.get(column, "")) for column in COLUMNS]
        path = workplace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(",".join(COLUMNS) + "\n" + ",".join(cells) + "\n")
        return name

    return put


def failed(**values: Any) -> dict[str, Any]:
    return {"status": "failed", "mse": "", "mae": "", "error": "ValueError: no", **values}


@pytest.mark.parametrize(
    ("new", "code", "verdict"),
    [
        ({}, 0, "no regression: 1 unchanged (tolerance 1%)"),
        ({"mse": 0.4}, 0, "no regression: 1 improved"),
        ({"mse": 0.6}, 1, "REGRESSED: 1 regressed"),
        (failed(), 1, "REGRESSED: 1 failed"),
        ({"model": "lstm"}, 3, "NOT COMPARABLE: 1 vanished, 1 appeared"),
        ({"fingerprint": "0" * 16}, 3, "NOT COMPARABLE: 1 not comparable"),
    ],
)
def test_the_exit_status_says_the_outcome(
    write: Callable[..., str], command: Command, new: dict[str, Any], code: int, verdict: str
) -> None:
    names = write("old.csv"), write("new.csv", **new)
    shown = command("compare", *names)
    assert (shown.code, shown.err) == (code, "")
    assert shown.out.splitlines()[-1].startswith(verdict)
    marked = command("compare", *names, "--markdown")
    assert (marked.code, marked.err) == (code, "")
    assert marked.out.startswith(f"**{verdict}")
    assert marked.out.splitlines()[2] == "old.csv and new.csv"


def test_a_gate_decides(write: Callable[..., str], command: Command, workplace: Path) -> None:
    names = write("old.csv"), write("new.csv", mse=0.6, train_seconds=30.0)
    gate = workplace / "gate.yaml"
    gate.write_text("overrides: [{model: gru, tolerance: 0.3}]\n")
    assert command("compare", *names, "--gate", "gate.yaml").code == 0
    gate.write_text("tolerance: 0.3\nmetrics: {train_seconds: 1}\n")
    answer = command("compare", *names, "--gate", "gate.yaml", "--markdown")
    assert answer.code == 1
    assert "| train_seconds +200.0% |" in answer.out


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["old.csv", "old.csv", "--gate", "gate.yaml"], "gate.yaml: tolerence: unknown key; did"),
        (["old.csv", "old.csv", "--gate", "absent.yaml"], "absent.yaml: no such file"),
        (["old.csv", "old.csv", "--gate", "x", "--tolerance", "1"], "--tolerance: is what the ga"),
        (["old.csv", "old.csv", "--tolerance", "inf"], "compare: holds an infinite or undefined"),
        (["old.csv", "old.csv", "--path", "a"], "--path: goes with OLD..NEW alone"),
        (["old.csv", "old.csv", "--published"], "--published: goes with one CSV alone"),
        (["../old.csv"], "compare: names fewer than two CSVs"),
        (["--", "--all..HEAD"], "--all..HEAD: no such revision: --all"),
    ],
)
def test_a_mistake_exits_with_2(
    write: Callable[..., str], command: Command, workplace: Path, words: list[str], fault: str
) -> None:
    write("old.csv")
    (workplace / "gate.yaml").write_text("tolerence: 0.1\n")
    answer = command("compare", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {fault}")
    assert answer.err.count("\n") == 1


def test_two_revisions_are_compared_file_by_file(
    write: Callable[..., str],
    command: Command,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    git("init", "--quiet")
    for tag, mse in (("before", 0.5), ("after", 0.6)):
        write("results/a/results.csv")
        write("results/b/results.csv", mse=mse)
        git("add", "--all")
        git("commit", "--quiet", "-m", tag)
        git("tag", tag)
    answer = command("compare", "before..after", "--markdown")
    assert (answer.code, answer.err) == (1, "")
    assert answer.out.startswith("**REGRESSED: 1 regressed, 1 unchanged (tolerance 1%)**")
    assert "\n\nbefore..after: results/a/results.csv, results/b/results.csv\n\n" in answer.out
    assert "| regressed | b | ETTh1 |" in answer.out
    assert command("compare", "after..before").code == 0
    assert command("compare", "before..after", "--path", "results/a/*.csv").code == 0
    assert command("compare", "before..").code == 1
    write("results/b/results.csv", mse=0.5)
    assert command("compare", "before..").code == 0
    assert command("compare", "after~1..after").code == 1
    write("results/c/results.csv")
    answer = command("compare", "after..")
    assert (answer.code, answer.err) == (0, "")
    assert "no regression: 1 improved, 1 appeared, 1 unchanged" in answer.out
    alone = command("compare", "after..", "--path", "results/c/*.csv")
    assert (alone.code, alone.err) == (3, "")


def test_published_figures_stand_beside_all_runs_of_the_results_folder(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    model = {"name": "naive", "dataset": "toy", "lookback": 24, "horizon": 12}
    write_yaml("naive.yaml", model | {"model": {"class": "SeasonalNaive"}})
    assert command("run", "naive.yaml", "--results", "elsewhere").code == 0
    shown = command("compare", "--published", "--results", "elsewhere").out
    assert "published figures has none of these: toy (12)." in shown
    assert "ours and published" not in shown  # of which there would be nothing to see
    assert command("compare", "--published").code == 2  # BENCHMARK_RESULTS names an empty folder


@pytest.mark.parametrize("more", [(), ("--markdown",)])
def test_where_every_run_failed_nothing_stands_beside_published_figures(
    more: tuple[str, ...], command: Command, write: Callable[..., str]
) -> None:
    answer = command("compare", "--published", write("failed.csv", **failed()), *more)
    assert (answer.code, answer.out) == (3, "NOT COMPARABLE: no run is done\n")
    assert command("compare", "--published", write("done.csv"), *more).code == 0
