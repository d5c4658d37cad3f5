"""The shape of the code: what imports what, what stays light, what a command may be asked."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmark import __version__
from benchmark.cli import app
from benchmark.data.card import list_cards, load_card
from benchmark.harness.spec import config_names

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "benchmark").rglob("*.py"))
EMBEDDED = "datasets/akl_pedestrians.csv.gz"
MAX_LINES = 300

COMMANDS = {
    "run": "config --set --seed --results --device --threads --force --checkpoint --tensorboard "
    "--verbose",
    "suite": "name --set --strict --executor --jobs --time-limit --ray-address --gpus-per-run "
    "--part --results --device --threads --force --checkpoint --tensorboard --verbose",
    "reproduce": "run --model --tolerance --threads --results",
    "tune": "configs --budget --horizon --folds --every --set --output --results --device "
    "--threads",
    "forecast": "run --input --output --plot --level --results",
    "backtest": "run --input --stride --output --results",
    "export": "run --output --results",
    "score": "file --name --lookback --dataset --horizon --seed --column --target "
    "--original-units --results",
    "leaderboard": "csvs --output --plot --ranks --latex --against --results",
    "report": "csv --output --results",
    "plot": "kind models --output --dataset --horizon --protocol --channel --window --results",
    "compare": "old new --tolerance --gate --path --published --markdown --results",
    "models": "",
    "check": "model --set",
    "audit": "model --set",
    "pitfalls": "models --dataset --horizon --only --seeds --set --output",
    "epochs": "models --dataset --horizon --seeds --blocks --set --output",
    "speed": "models --loop --cells --device --threads",
    "gradients": "cells --length --plot",
    "abilities": "cells --only --seeds --threads --output",
    "gates": "cell --task --seed --threads --plot",
    "datasets": "",
    "datasets list": "",
    "datasets add": "file --name --time-column --frequency --season --force --dry-run",
    "datasets mend": "file --output --time-column",
    "datasets fetch": "names",
    "datasets check": "names",
}
"""Frozen: a new knob of a run or a model goes into its YAML, where it is part of the run's id."""


def commands(command: Any, path: tuple[str, ...] = ()) -> dict[str, str]:
    """Every command below `command`, with its arguments and options."""
    found = {}
    for name, inner in getattr(command, "commands", {}).items():
        parameters = [
            " ".join(p.opts) if p.param_type_name == "option" else p.name for p in inner.params
        ]
        found[" ".join((*path, name))] = " ".join(parameters)
        found |= commands(inner, (*path, name))
    return found


def python(code: str) -> str:
    """Run code in a fresh interpreter; its standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(code: str, heavy: set[str]) -> set[str]:
    """Which of some packages a fresh interpreter has loaded after running code."""
    return set(python(f"import sys\n{code}\nprint(*({heavy!r} & set(sys.modules)))").split())


def test_the_commands_and_their_options_are_frozen() -> None:
    assert commands(typer.main.get_command(app)) == COMMANDS


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_a_help_text(command: str) -> None:
    for flag in ("--help", "-h"):
        result = CliRunner().invoke(app, [*command.split(), flag])
        assert result.exit_code == 0, result.output
        assert "Usage:" in result.output
    inner = typer.main.get_command(app)
    for part in command.split():
        inner = inner.commands[part]  # type: ignore[attr-defined]
    assert inner.help


def test_the_module_runs_as_a_program() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "benchmark", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert shown.returncode == 0, shown.stderr
    listed = {line.split()[0] for line in shown.stdout.splitlines() if line.startswith("  ")}
    assert listed >= {name for name in COMMANDS if " " not in name}


def test_the_version_names_what_a_report_of_a_fault_should() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert shown.exit_code == 0
    first, *others = shown.output.splitlines()
    assert first.startswith(f"ts-benchmark {__version__}")
    assert [line.split()[0] for line in others] == ["Python", "torch", "lightning"]


def test_a_users_mistake_is_one_line_on_standard_error_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("name: x\nname: y\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "run", str(tmp_path / "broken.yaml")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path / 'broken.yaml'}: not valid YAML: duplicate")
    assert done.stderr.count("\n") == 1


def test_a_command_that_misses_a_package_names_it_and_the_cure() -> None:
    code = "import sys; sys.modules['torch'] = None; sys.argv[1:] = ['run', 'ridge']\n"
    code += "from benchmark.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the package 'torch', which this command needs, is not")
    assert done.stderr.endswith("; pip install ts-benchmark brings all that is needed\n")
    assert done.stderr.count("\n") == 1


def test_the_command_line_starts_without_anything_heavy() -> None:
    heavy = {"torch", "lightning", "pandas", "sklearn", "scipy", "arch", "rich.console"}
    heavy |= {"pydantic", "yaml"}
    assert loaded_by("import benchmark.cli", heavy) == set()
    assert loaded_by("import torch", heavy) == {"torch"}, "the test itself must see what is loaded"


SHOWN_BY_EXAMPLE = (
    "run", "suite", "leaderboard", "compare", "plot", "check", "audit", "score", "datasets add",
    "datasets mend",
)  # fmt: skip


@pytest.mark.parametrize("command", SHOWN_BY_EXAMPLE)
def test_help_shows_an_example_that_can_be_copied_whole(command: str) -> None:
    shown = CliRunner().invoke(app, [*command.split(), "--help"], terminal_width=80).output
    (line,) = [line for line in shown.splitlines() if "Example:" in line]
    assert line.startswith(f"  Example: benchmark {command} ")
    words = shlex.split(line)[2:]
    inner: Any = typer.main.get_command(app)
    while hasattr(inner, "commands"):
        inner = inner.commands[words.pop(0)]
    inner.make_context(command, words)  # raises on an unknown option, or one cut off


def test_help_names_every_suite() -> None:
    shown = CliRunner().invoke(app, ["suite", "--help"], terminal_width=80).output
    assert f"A suite: {', '.join(config_names('suites'))}; or" in " ".join(shown.split())


def test_help_the_version_and_the_lists_answer_without_torch() -> None:
    run = "import benchmark.cli; benchmark.cli.app({!r}, standalone_mode=False)"
    for words in (["suite", "--help"], ["--version"], ["models"], ["datasets", "list"]):
        code = f"import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()):\n    {run}"
        assert loaded_by(code.format(words), {"torch", "lightning", "pandas"}) == set()


@pytest.mark.parametrize("room", ["records", "reports", "statistics"])
def test_what_only_reads_results_never_loads_torch(room: str) -> None:
    paths = [
        path.relative_to(ROOT) for path in SOURCES if path.is_relative_to(ROOT / "benchmark" / room)
    ]
    modules = [".".join(path.with_suffix("").parts) for path in paths if path.stem != "__init__"]
    assert len(modules) > 2
    code = "\n".join(f"import {module}" for module in modules)
    assert loaded_by(code, {"torch", "lightning"}) == set()


@pytest.mark.parametrize(
    "module", ["config", "data.card", "data.fetch", "data.load", "harness.spec", "training.spec"]
)
def test_what_only_reads_cards_and_files_never_loads_torch(module: str) -> None:
    assert loaded_by(f"import benchmark.{module}", {"torch", "lightning"}) == set()


@pytest.mark.parametrize("module", ["processes", "node"])
def test_a_worker_can_say_how_many_threads_it_wants_before_torch_is_loaded(module: str) -> None:
    assert loaded_by(f"import benchmark.suites.{module}", {"torch", "lightning"}) == set()


def test_imports_point_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    linter = pytest.importorskip("importlinter.cli")
    monkeypatch.chdir(ROOT)
    assert linter.lint_imports(no_cache=True) == 0, "run lint-imports to see which import it is"


def test_every_room_is_under_the_import_law() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = project["tool"]["importlinter"]["contracts"]
    named = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    rooms = {f"benchmark.{path.parent.name}" for path in (ROOT / "benchmark").glob("*/__init__.py")}
    assert rooms <= named


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


def test_no_data_set_but_the_embedded_one_is_committed() -> None:
    """Their licences allow use, not copies."""
    data = [name for name in tracked() if name.startswith("datasets/")]
    assert {name for name in data if not name.endswith((".yaml", ".md", ".py"))} == {EMBEDDED}


def test_no_committed_file_is_a_copy_of_a_published_data_file_under_another_name() -> None:
    sources = [load_card(path).source for path in list_cards().values()]
    published = {source.sha256 or source.git_blob for source in sources} - {None}
    assert len(published) > 3
    for name in tracked():
        content = (ROOT / name).read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        assert not {hashlib.sha256(content).hexdigest(), blob} & published, name
