"""Suites that are killed, interrupted, or run twice at once lose nothing and break nothing."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.commands import GOES_ON
from benchmark.records.store import Store
from benchmark.suites.conduct import STOPPING

SLOW = '''
import os
import time
from pathlib import Path

from benchmark.forecasters.linear import Linear
from benchmark.forecasters.naive import SeasonalNaive


def stop(horizon):
    if horizon == 12 and not Path("go").exists():
        Path("begun").touch()
        time.sleep(60)


class Trained(Linear):
    """Stops in the second horizon's training until it may go on."""

    def training_forecast(self, x, y):
        stop(self.shape.horizon)
        return self(x)


class Naive(SeasonalNaive):
    """Stops in the second horizon's forecasts: its process has no Lightning to import."""

    def forward(self, x):
        stop(self.shape.horizon)
        return super().forward(x)


class Meeting(SeasonalNaive):
    """Waits in its first run for that of another process."""

    def forward(self, x):
        Path(f"met-{os.getpid()}").touch()
        while len(list(Path().glob("met-*"))) < 2:
            time.sleep(0.02)
        return super().forward(x)
'''
VARYING = {
    "train_seconds",
    "energy_j",
    "latency_ms",
    "throughput",
    "peak_memory_mb",
    "started",
    "git_revision",
}
"""What differs from one time to the next; the revision, where someone commits meanwhile."""

RunTiny = Callable[..., Any]


@pytest.fixture
def suite(
    toy: Path,
    suite_yaml: Callable[..., str],
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> Callable[[str], list[str]]:
    """The command that runs a suite of two horizons, naive and slow, in the working directory."""

    def write(slow: str) -> list[str]:
        write_module("users_slow", SLOW)
        model = {"class": f"users_slow.{slow}"}
        training = {"epochs": 2, "batch_size": 64} if slow == "Trained" else {}
        write_yaml(
            "slow.yaml", {"name": "slow", "lookback": 24, "model": model, "training": training}
        )
        suite_yaml(models=["naive.yaml", "slow.yaml"], seeds=[1])
        return [sys.executable, "-m", "benchmark", "suite", "tiny.yaml", "--threads", "1"]

    return write


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    for _ in range(600):
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.1)


def lasting(results: Path) -> list[dict[str, str]]:
    """The rows of results.csv without what differs from one time to the next."""
    with (results / "results.csv").open() as stream:
        return [
            {key: value for key, value in row.items() if key not in VARYING}
            for row in csv.DictReader(stream)
        ]


@pytest.mark.parametrize(
    ("slow", "stop", "code"), [("Naive", signal.SIGKILL, -9), ("Trained", signal.SIGINT, 130)]
)
def test_a_stopped_suite_goes_on_to_the_same_results(
    toy: Path,
    suite: Callable[[str], list[str]],
    run_tiny: RunTiny,
    slow: str,
    stop: signal.Signals,
    code: int,
) -> None:
    process = start(suite(slow))
    try:
        wait_for(toy / "begun", process)
        process.send_signal(stop)
        if stop == signal.SIGINT:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            assert lines.pop() == f"{STOPPING}\n"
            process.send_signal(stop)
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == code, err
    if stop == signal.SIGINT:
        assert err.strip() == f"Stopped.{GOES_ON}"
        assert "toy, horizon 6" in out  # the tables of what is done
        assert "Leaderboard: " in out
        out = "".join(lines)
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["done", "naive"], ["done", "slow"], ["done", "naive"],
    ]  # fmt: skip

    (toy / "go").touch()
    models = ["naive.yaml", "slow.yaml"]
    resumed = run_tiny(models=models, seeds=[1])
    assert "3 of 4 runs are done already" in resumed.output
    store = Store(toy / "results")
    store.rebuild_csv()
    found = lasting(store.folder)
    assert list(store.runs.glob(".*")) == []

    store.folder.rename(toy / "disturbed")
    assert "done already" not in run_tiny(models=models, seeds=[1]).output
    Store(toy / "results").rebuild_csv()
    assert found == lasting(toy / "results")
    assert len(found) == 4


def test_two_suites_at_once_share_one_results_folder(
    toy: Path, suite: Callable[[str], list[str]], command: Callable[..., Any]
) -> None:
    words = suite("Meeting")
    process = start(words)
    try:
        here = command(*words[3:])
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, err) == (here.code, here.err) == (0, "")
    for told in (out, here.out):
        assert "toy, horizon 12" in told
    rows = lasting(toy / "results")
    assert sorted((row["model"], row["horizon"], row["status"]) for row in rows) == [
        (model, horizon, "done") for model in ("naive", "slow") for horizon in ("12", "6")
    ]
    store = Store(toy / "results")
    assert len(store.records()) == 4
    assert list(store.runs.glob(".*")) == []
    assert "slow" in (toy / "results" / "tiny" / "leaderboard.md").read_text()
