"""What a stranger's results name is never run: not by ranking, comparing, reporting or drawing."""

from __future__ import annotations

import ast
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import benchmark

CLASS = """
from pathlib import Path
from benchmark.forecasters.linear import Linear
Path("mark").touch()
class Harm(Linear):
    pass
"""


class Pickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("mark"),)


@pytest.fixture
def run(toy: Path, command: Any, write_yaml: Any, write_module: Callable[..., None]) -> Path:
    """The folder of a run whose run.yaml names a class that leaves a file behind when imported.

    Without checksums, as of an earlier version: who writes files may write their checksums too.
    """
    spec = {"name": "small", "dataset": "toy", "lookback": 24, "horizon": 12}
    spec |= {"model": {"class": "Linear"}, "training": {"epochs": 1}}
    answer = command("run", write_yaml("small.yaml", spec), "--checkpoint")
    assert answer.code == 0, answer.err
    folder = Path(answer.out.splitlines()[-1].removeprefix("Run folder: "))
    write_module("harm", CLASS)
    text = (folder / "run.yaml").read_text()
    assert "class: Linear" in text
    (folder / "run.yaml").write_text(text.replace("class: Linear", "class: harm.Harm"))
    (folder / "SHA256SUMS").unlink()
    return folder


READING = [
    ["leaderboard"],
    ["leaderboard", "--output", "out"],
    ["leaderboard", "--plot", "costs.svg"],
    ["compare", "results/results.csv", "results/results.csv"],
    ["report", "--output", "report.html"],
    ["plot", "forecasts", "--output", "x.svg"],
]


def test_no_class_that_a_run_names_is_imported(run: Path, command: Any) -> None:
    for words in READING:
        answer = command(*words)
        assert answer.code == 0, answer.err
        assert not Path("mark").exists(), words


def test_no_class_and_no_yaml_that_a_row_names_is_looked_for(run: Path, command: Any) -> None:
    Path("harm.yaml").write_text("name: harm\nmodel: {class: harm.Harm}\n")
    text = (run / "record.json").read_text()
    names = ["harm.Harm", "harm.yaml"]
    for name in names:
        other = shutil.copytree(run, run.with_name(name))
        renamed = text.replace('"small"', f'"{name}"').replace(run.name, name)
        (other / "record.json").write_text(renamed)
    for words in (["report"], ["compare", "--published"], ["leaderboard", "results/results.csv"]):
        answer = command(*words)
        assert answer.code == 0, answer.err
        assert not Path("mark").exists(), words
    assert {f",{name}," in Path("results/results.csv").read_text() for name in names} == {True}
    for name in names:
        answer = command("reproduce", "results/results.csv", "--model", name)
        assert answer.code == 2, answer.out  # it runs a YAML of ours, or none
        assert not Path("mark").exists()


@pytest.mark.parametrize("name", ["errors.npz", "forecasts.npz", "training.json", "record.json"])
def test_no_pickle_in_a_runs_folder_is_loaded(run: Path, command: Any, name: str) -> None:
    (run / name).write_bytes(pickle.dumps(Pickled()))
    for words in READING:
        assert command(*words).code in (0, 1, 2)
        assert not Path("mark").exists(), words


def test_the_tests_above_could_do_harm(run: Path, command: Any) -> None:
    assert command("run", run / "run.yaml").code == 0
    assert Path("mark").exists()
    Path("mark").unlink()
    pickle.loads(pickle.dumps(Pickled()))
    assert Path("mark").exists()


def test_weights_that_are_a_pickle_are_not_loaded(run: Path, command: Any) -> None:
    text = (run / "run.yaml").read_text()
    (run / "run.yaml").write_text(text.replace("class: harm.Harm", "class: Linear"))
    (run / "checkpoint.pt").write_bytes(pickle.dumps(Pickled()))
    answer = command("backtest", run)
    assert answer.code == 2
    assert "checkpoint.pt: holds no weights" in answer.err
    assert not Path("mark").exists()


def test_only_what_a_fit_sends_to_its_own_processes_may_be_a_pickle() -> None:
    """Wherever the package reads weights or pickles, by its source."""
    safe = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False"}
    unsafe = set()
    for path in Path(benchmark.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            what = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            trusted = what in safe and safe[what] not in ast.unparse(node)
            if trusted or what in ("pickle.load", "pickle.loads"):
                unsafe.add(path.name)
    assert unsafe == {"devices.py", "rank.py"}


def test_names_in_a_results_csv_are_texts_on_a_terminal_and_in_markdown(
    run: Path, command: Any
) -> None:
    csv = run.parents[1] / "results.csv"
    odd = "\x1b[31m<script>alert(1)</script>[link](javascript:x)"
    csv.write_text(csv.read_text().replace(",small,", f",{odd},"))
    answer = command("leaderboard", csv, "--output", "out")
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out
    page = Path("out/leaderboard.md").read_text()
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "[link](" not in page
