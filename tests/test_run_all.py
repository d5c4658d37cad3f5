"""run_all.sh: what it hands on, what it sets up and when; nothing is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "run_all.sh"
STUB = """#!/usr/bin/env bash
echo "$0 $*" >>"$CALLS"
if [[ $1 == -m && $2 == venv ]]; then
    if [[ $3 == --clear ]]; then rm -rf .venv; fi
    mkdir -p .venv/bin && cp -n "$0" .venv/bin/python && touch .venv/pip
fi
if [[ $1 == -m && $2 == pip ]]; then [[ -e .venv/pip ]] && exit "${PIP_FAILS:-0}" || exit 1; fi
if [[ $1 == -c ]]; then exit "${TOO_OLD:-0}"; fi
if [[ $1 == -m && $2 != venv ]]; then
    shift
    echo "$PWD" >"$CALLS.folder"
    printf '<%s>' "$@"
    exit "${ANSWER:-0}"
fi
"""
ON_ALL_CORES = "<pytest><--numprocesses><auto><--maxprocesses><8><--dist><loadfile>"
AT_ONCE = f"<--jobs><{1 if shutil.which('nvidia-smi') else 2}>"  # of two cores
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the script reads, in a folder whose name has a space."""
    folder = tmp_path / "a copy"
    folder.mkdir()
    for name in ("run_all.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    stub = tmp_path / "python-stub"
    stub.write_text(STUB)
    stub.chmod(0o755)
    tool(tmp_path, "getconf", "echo ${CORES:-2}")
    return folder


def tool(tmp_path: Path, name: str, script: str) -> None:
    """Put a program where the shell looks first."""
    path = tmp_path / "tools" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def run(tree: Path, tmp_path: Path) -> Run:
    """Run the copy from another folder, with a stub for Python."""

    def run(
        *words: str, script: Path = tree / "run_all.sh", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        variables = {"PYTHON": str(tmp_path / "python-stub"), "CALLS": str(tmp_path / "calls")}
        variables["PATH"] = f"{tmp_path / 'tools'}:{os.environ['PATH']}"
        return subprocess.run(
            [str(script), *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | variables | environment,
        )

    return run


def calls(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


def installs(tmp_path: Path) -> list[str]:
    return [call.rpartition(" ")[2] for call in calls(tmp_path) if " -m pip install " in call]


def test_the_script_is_valid_and_executable() -> None:
    assert subprocess.run(["bash", "-n", SCRIPT]).returncode == 0
    assert os.access(SCRIPT, os.X_OK)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_sets_up_nothing_and_names_every_way_to_call_it(
    run: Run, tmp_path: Path, flag: str
) -> None:
    shown = run(flag)
    assert (shown.returncode, shown.stderr) == (0, "")
    for part in ("[SUITE] [OPTION ...]", "--tests", "etth1", "quick", "full", "BENCHMARK_DATA"):
        assert part in shown.stdout
    assert calls(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "handed_on"),
    [
        ([], f"<benchmark><suite><etth1>{AT_ONCE}"),
        (["quick"], f"<benchmark><suite><quick>{AT_ONCE}"),
        (["my suites/a b.yaml"], f"<benchmark><suite><my suites/a b.yaml>{AT_ONCE}"),
        (["--strict"], f"<benchmark><suite><etth1>{AT_ONCE}<--strict>"),
        (["quick", "--jobs", "7"], f"<benchmark><suite><quick>{AT_ONCE}<--jobs><7>"),
        (["quick", "--executor", "ray"], "<benchmark><suite><quick><--executor><ray>"),
        (
            ["full", "--set", "training.epochs=2", "--device", "cpu"],
            f"<benchmark><suite><full>{AT_ONCE}<--set><training.epochs=2><--device><cpu>",
        ),
        (["--tests"], ON_ALL_CORES),
        (["--tests", "-k", "a or b", "tests/data"], f"{ON_ALL_CORES}<-k><a or b><tests/data>"),
    ],
)
def test_arguments_are_handed_on_as_they_are(run: Run, words: list[str], handed_on: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (0, handed_on)


def test_a_suite_is_looked_for_where_the_user_is_and_tests_where_they_are(
    run: Run, tree: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "calls.folder"
    for words, where in ((["mine.yaml", "--results", "out"], tmp_path), (["--tests"], tree)):
        assert run(*words).returncode == 0
        assert Path(folder.read_text().strip()) == where
        assert (tree / ".venv/bin/python").exists()


@pytest.mark.skipif(AT_ONCE == "<--jobs><1>", reason="has a GPU")
def test_as_many_runs_go_on_at_once_as_help(run: Run, tmp_path: Path) -> None:
    for cores, jobs in ((1, 1), (3, 3), (4, 4), (64, 4)):
        assert run(CORES=str(cores)).stdout == f"<benchmark><suite><etth1><--jobs><{jobs}>"
    tool(tmp_path, "nvidia-smi", "exit 0")
    assert run(CORES="64").stdout == "<benchmark><suite><etth1><--jobs><1>"


@pytest.mark.parametrize("code", ["1", "2", "130"])
def test_the_exit_code_is_the_commands_own(run: Run, code: str) -> None:
    assert run("quick", ANSWER=code).returncode == int(code)
    assert run("--tests", ANSWER=code).returncode == int(code)


def test_the_environment_is_set_up_once_for_each_set_of_pins(
    run: Run, tree: Path, tmp_path: Path
) -> None:
    first = run("quick")
    assert "Setting up .venv" in first.stderr
    assert installs(tmp_path) == [".[tensorboard,report,tune]"]
    assert (tree / ".venv" / "bin" / "python").exists()
    assert run("quick").stderr == ""
    assert installs(tmp_path) == [".[tensorboard,report,tune]"]
    run("--tests")
    run("--tests")
    assert installs(tmp_path) == [".[tensorboard,report,tune]", ".[dev]"]
    with (tree / "constraints.txt").open("a") as stream:
        stream.write("# changed\n")
    run("quick")
    assert installs(tmp_path) == [
        ".[tensorboard,report,tune]",
        ".[dev]",
        ".[tensorboard,report,tune]",
    ]
    assert sum(" -m venv --clear " in call for call in calls(tmp_path)) == 1
    (install, *_) = [call for call in calls(tmp_path) if " -m pip install " in call]
    assert "--constraint constraints.txt" in install


def test_an_installation_that_failed_is_tried_again(run: Run, tmp_path: Path) -> None:
    assert run("quick", PIP_FAILS="1").returncode == 1
    assert not any("benchmark suite" in call for call in calls(tmp_path))
    assert run("quick").returncode == 0
    assert len(installs(tmp_path)) == 2


def test_what_was_stopped_before_it_had_pip_gets_it(run: Run, tree: Path, tmp_path: Path) -> None:
    assert run("quick").returncode == 0
    (tree / ".venv" / "pip").unlink()
    next((tree / ".venv").glob(".ready-*")).unlink()
    kept = tree / ".venv" / "kept"
    kept.touch()
    assert run("quick").returncode == 0
    assert len(installs(tmp_path)) == 2
    assert kept.exists()


def test_an_environment_whose_python_is_gone_is_made_anew(
    run: Run, tree: Path, tmp_path: Path
) -> None:
    assert run("quick").returncode == 0
    python = tree / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "upgraded" / "python")
    assert run("quick").returncode == 0
    assert len(installs(tmp_path)) == 2
    assert not python.is_symlink()


def test_a_copy_of_the_folder_is_set_up_for_itself(run: Run, tree: Path, tmp_path: Path) -> None:
    assert run("quick").returncode == 0
    tree.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tree)
    assert run("quick").returncode == 0  # of the same path as before
    assert len(installs(tmp_path)) == 1
    assert run("quick", script=tmp_path / "moved" / "run_all.sh").returncode == 0
    assert len(installs(tmp_path)) == 2


def test_a_link_to_the_script_runs_it_where_it_lies(run: Run, tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "tools" / "leaderboard"
    link.symlink_to(tree / "run_all.sh")
    done = run("quick", script=link)
    assert (done.returncode, done.stdout) == (0, f"<benchmark><suite><quick>{AT_ONCE}")
    assert (tree / ".venv" / "bin" / "python").exists()


@pytest.mark.parametrize("environment", [{"TOO_OLD": "1"}, {"PYTHON": "/no/such/python"}])
def test_a_python_too_old_or_absent_is_one_plain_line(
    run: Run, tree: Path, environment: dict[str, str]
) -> None:
    done = run("quick", **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "is not Python 3.11 or newer; set PYTHON to one that is" in done.stderr
    assert not (tree / ".venv").exists()
