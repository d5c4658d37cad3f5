"""The tutorial and the page on continuous integration do what they say, read from top to bottom."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from benchmark.cli import app
from benchmark.reports.gate import HOLDABLE, load_gate

ROOT = Path(__file__).parents[1]
PAGES = {
    name: (ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("tutorial", "compare-in-ci")
}
OUTCOMES = {"compare": (0, 1)}
"""Exit statuses that are no mistake of the page, where there are several."""


def blocks(page: str) -> list[tuple[str, str]]:
    """Every fenced block as (language, text), from top to bottom."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", PAGES[page], flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, as the tutorial asks for."""
    (workplace / "datasets").rmdir()
    for variable in ("BENCHMARK_DATA", "BENCHMARK_RESULTS"):
        monkeypatch.delenv(variable)
    return workplace


def follow(page: str, command: Callable[..., Any]) -> str:
    """Do what the blocks of a page say; what they print."""
    printed = io.StringIO()
    for language, text in blocks(page):
        name = re.match(r"# (\S+)\n", text)
        if name and language in ("python", "yaml"):
            Path(name[1]).write_text(text, encoding="utf-8")
        elif language == "python":
            with contextlib.redirect_stdout(printed):
                exec(text, {"__name__": "__main__"})
        elif language == "bash":
            printed.writelines(follow_line(line, command) for line in text.splitlines())
    return printed.getvalue()


def follow_line(line: str, command: Callable[..., Any]) -> str:
    first, *words = shlex.split(line)
    if first != "benchmark":
        first = sys.executable if first == "python" else first
        return subprocess.run([first, *words], check=True, capture_output=True, text=True).stdout
    answer = command(*words)
    assert answer.code in OUTCOMES.get(words[0], (0,)), f"{line}\n{answer.out}{answer.err}"
    return str(answer.out)


@pytest.mark.slow
def test_the_tutorial_can_be_followed(place: Path, command: Callable[..., Any]) -> None:
    lines = [line.split() for line in follow("tutorial", command).splitlines()]
    (shown,) = [text for language, text in blocks("tutorial") if language == "text"]
    rows = [line.split() for line in shown.splitlines()[1:]]
    assert [row[1] for row in rows] == ["ridge", "nlinear", "seasonal_naive"]
    for row in rows:
        assert any(alike(row, line[: len(row)]) for line in lines), row
    assert ["(5,", "96,", "2)"] * 2 in lines  # the last lines of the last block were reached
    assert {path.name for path in place.iterdir()} >= {"results", "before", "after", "datasets"}


def alike(shown: list[str], printed: list[str]) -> bool:
    """Whether two rows of a table differ by no more than a sum does from machine to machine."""
    if len(shown) != len(printed) or shown[:2] != printed[:2]:
        return False
    pairs = zip(shown[2:], printed[2:], strict=True)
    numbers = ((a.strip("[],"), b.strip("[],")) for a, b in pairs)
    return all(a == b or abs(float(a) - float(b)) < 2e-3 for a, b in numbers)


def commands(page: str) -> list[str]:
    """Command lines that only a cluster, a repository or a runner can follow."""
    text = "\n".join(text for language, text in blocks(page) if language in ("sh", "yaml"))
    found = re.findall(r"^\s*(?:run: )?(benchmark .*?)(?: > .*)?$", text, flags=re.MULTILINE)
    return [re.sub(r"\$\{?\w+\}?", "4", line).split(" #")[0] for line in found]


@pytest.mark.parametrize("line", [line for page in PAGES for line in commands(page)])
def test_every_other_command_exists_with_its_options(line: str) -> None:
    name, *words = shlex.split(line)[1:]
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, words)  # raises on an unknown option or a missing argument


def test_the_pages_have_such_commands() -> None:
    assert {page: len(commands(page)) for page in PAGES} == {"tutorial": 5, "compare-in-ci": 5}


def test_the_gate_shown_is_one_and_every_metric_is_named(tmp_path: Path) -> None:
    gate, workflow = (text for language, text in blocks("compare-in-ci") if language == "yaml")
    (tmp_path / "gate.yaml").write_text(gate)
    assert load_gate(tmp_path / "gate.yaml").held("gru", "ETTh1") == {
        "mse": 0.03, "train_seconds": 0.5, "peak_memory_mb": 0.2, "params": 0,
    }  # fmt: skip
    assert re.findall(r"`(\w+)`", PAGES["compare-in-ci"].split("may hold")[1])[: len(HOLDABLE)] == [
        *HOLDABLE
    ]
    steps = yaml.safe_load(workflow)["jobs"]["compare"]["steps"]
    assert [step["run"] for step in steps if step.get("name") == "Compare"]


def test_comparing_needs_only_what_the_workflow_installs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[>=<]", name)[0] for name in project["dependencies"]}
    (installed,) = re.findall(r"pip install (numpy .*)", PAGES["compare-in-ci"])
    modules = {"scikit-learn": "sklearn"}
    absent = {modules.get(name, name) for name in needed - set(installed.split())}
    assert "torch" in absent
    csv = str(ROOT / "results/reference/etth1/results.csv")
    code = f"""
import sys
sys.modules |= dict.fromkeys({absent!r})  # importing one of these raises
from benchmark.cli import app
app(["compare", {csv!r}, {csv!r}, "--markdown"], standalone_mode=False)
app(["compare", {csv!r}, {csv!r}], standalone_mode=False)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
