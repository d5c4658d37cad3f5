"""SIGTERM, as from kill, a container or a cluster: what is done stays, nothing false is written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmark.records.store import Store
from benchmark.suites.processes import Processes
from benchmark.tuning.trials import read_trials

WAITING = """
import os
import signal
import time
from pathlib import Path

from benchmark.forecasters.linear import Linear


class Waiting(Linear):
    \"\"\"Never ends a step of its training.\"\"\"

    def forward(self, x):
        if self.training:
            Path("training").touch()
            time.sleep(600)
        return super().forward(x)


class Terminated(Linear):
    \"\"\"Its process gets a SIGTERM in the first attempt.\"\"\"

    def forward(self, x):
        if self.training and not Path("terminated").exists():
            Path("terminated").touch()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(600)
        return super().forward(x)
"""
GRID = [{"datasets": ["toy"], "horizons": [12]}]


@pytest.fixture(autouse=True)
def models(
    toy: Path,
    suite_yaml: Callable[..., str],
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> None:
    """A naive model, and two that are trained."""
    write_module("users_waiting", WAITING)
    suite_yaml(models=["naive.yaml", "Waiting.yaml"], grids=GRID, seeds=[1])
    for name in ("Waiting", "Terminated"):
        model = {"class": f"users_waiting.{name}"}
        task = {"dataset": "toy", "lookback": 24, "horizon": 12, "training": {"epochs": 1}}
        search = {"search": {"model.normalise": ["none", "last"]}} if name == "Waiting" else {}
        write_yaml(f"{name}.yaml", {"name": name, "model": model} | task | search)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "Waiting.yaml"],
        ["suite", "tiny.yaml"],
        ["suite", "tiny.yaml", "--jobs", "2"],
        ["tune", "Waiting.yaml"],
    ],
)
def test_sigterm_while_a_net_trains_ends_the_command_at_once(toy: Path, words: list[str]) -> None:
    whole = [sys.executable, "-m", "benchmark", *words]
    quiet, told = subprocess.DEVNULL, subprocess.PIPE
    command = subprocess.Popen(whole, cwd=toy, stdout=quiet, stderr=told, text=True)
    done = [("naive", "done")] * (words[0] == "suite")
    while not (toy / "training").exists() or rows(toy) != done:
        assert command.poll() is None
        time.sleep(0.05)
    command.terminate()
    _, errors = command.communicate(timeout=20)  # of what the command started, too
    assert command.returncode == -signal.SIGTERM
    assert "leaked" not in errors
    assert rows(toy) == done
    assert [read_trials(path) for path in toy.rglob("trials.json")] == [[]] * (words[0] == "tune")


def rows(toy: Path) -> list[tuple[str, str]]:
    return [(row.model, row.status) for row in Store(toy / "results").records()]


def test_a_process_of_a_suite_that_gets_sigterm_costs_no_run(toy: Path, run_tiny: Any) -> None:
    made = partial(Processes, jobs=1, threads=1)
    run_tiny(models=["Terminated.yaml"], grids=GRID, seeds=[1], executor=made)
    assert (toy / "terminated").exists()
    assert rows(toy) == [("Terminated", "done")]
