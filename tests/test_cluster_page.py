"""docs/cluster.md does what it says, as far as one machine can do it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.main import get_command

from benchmark.cli import app
from benchmark.records.store import Store

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def block(containing: str) -> str:
    (found,) = [text for _, text in BLOCKS if containing in text]
    return found


def commands() -> list[str]:
    text = "\n".join(text for language, text in BLOCKS if language == "sh").replace("\\\n", " ")
    found = re.findall(r"^\s*(?:srun .* -- +)?(benchmark .*)$", text, flags=re.MULTILINE)
    return [
        re.sub(r'"?\$\{?\w+(\[.*?\])?\}?(/results)?"?', "4", line.split(" #")[0]) for line in found
    ]


@pytest.mark.parametrize("line", commands())
def test_every_command_shown_exists_with_its_options(line: str) -> None:
    _, name, *words = shlex.split(line)
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[name]
        name = words.pop(0) if hasattr(command, "commands") else name
    command.make_context(name, words)  # raises on an unknown option or a missing argument


def test_the_page_shows_such_commands() -> None:
    assert len(commands()) == 10


@pytest.mark.slow
def test_one_run_is_on_two_devices(toy: Path, command: Callable[..., Any]) -> None:
    """The example as it is, but for the sizes that make it large."""
    torch.set_num_threads(2)  # which the two share
    (toy / "large.yaml").write_text(block("# large.yaml"), encoding="utf-8")
    line = next(line for line in commands() if "large.yaml" in line)
    small = {"dataset": "toy", "lookback": 48, "horizon": 12, "model.hidden_size": 8}
    small |= {"training.epochs": 1}
    sets = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    answer = command(*shlex.split(line)[1:], *sets, "--device", "cpu")
    assert answer.code == 0, answer.err
    (record,) = Store(toy / "results").records()
    assert (record.model, record.device, record.epochs) == ("large_gru", "2 x cpu", 1)


@pytest.mark.slow
def test_tasks_of_the_array_job_fill_one_folder_and_the_suite_finds_their_runs_done(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Any]
) -> None:
    monkeypatch.delenv("BENCHMARK_DATA")  # the data set ships with the project
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    monkeypatch.setenv("HOME", str(workplace))
    (workplace / "sweep.sh").write_text(block("#SBATCH --array"), encoding="utf-8")
    (workplace / "sweep.yaml").write_text(block("# sweep.yaml"), encoding="utf-8")
    slurm = {"JOB_ID": "7", "JOB_NAME": "sweep", "NTASKS": "1", "PROCID": "0", "LOCALID": "0"}
    slurm |= {"NODEID": "0", "CPUS_PER_TASK": "1", "JOB_NODELIST": "node1", "ARRAY_JOB_ID": "7"}
    for index, submitted in (("1", "3"), ("3", "1")):  # the third by itself, once more
        task = slurm | {"ARRAY_TASK_ID": index, "ARRAY_TASK_COUNT": submitted}
        given = {f"SLURM_{name}": value for name, value in task.items()}
        done = subprocess.run(
            ["bash", "sweep.sh"], env=os.environ | given, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Part {index} of 3: 1 of its 1 runs are done.\n" in done.stdout
    results = workplace / "results"
    records = Store(results).records()
    assert [record.threads for record in records] == [1, 1]
    assert not (results / "sweep").exists()

    answer = command("suite", "sweep.yaml", "--results", results)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("2 of 3 runs are done already and are not run again.\n")
    done = [line for line in answer.out.splitlines() if line.startswith("done")]
    assert len(done) == 1
    assert (results / "sweep" / "leaderboard.md").exists()
