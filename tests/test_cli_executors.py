"""Which executor the options of ``benchmark suite`` come to, and how an interrupted suite ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmark.harness.fitted as harness
from benchmark.cli.commands import GOES_ON
from benchmark.records.store import Store

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def suite(toy: Path, write_yaml: Callable[[str, Any], str]) -> None:
    """A suite of one naive run."""
    grids = [{"datasets": ["toy"], "horizons": [12], "lookbacks": [24]}]
    write_yaml("tiny.yaml", {"name": "tiny", "models": ["seasonal_naive"], "grids": grids})


@pytest.mark.parametrize(
    ("words", "name", "options"),
    [
        ([], "InProcess", {}),
        (["--jobs", 1, "--threads", 3], "InProcess", {}),
        (["--jobs", 2, "--threads", 3], "Processes", {"jobs": 2, "threads": 3, "time_limit": None}),
        (["--jobs", 2], "Processes", {"jobs": 2, "threads": 4, "time_limit": None}),
        (["--jobs", 16], "Processes", {"jobs": 16, "threads": 1, "time_limit": None}),
        (["--time-limit", 9], "Processes", {"jobs": 1, "threads": 8, "time_limit": 9.0}),
        (
            ["--executor", "ray"],
            "RayCluster",
            {"address": None, "jobs": None, "threads": 1, "gpus": 0.0, "time_limit": None},
        ),
        (
            ["--executor", "ray", "--jobs", 4, "--ray-address", "a:1", "--gpus-per-run", 0.25],
            "RayCluster",
            {"address": "a:1", "jobs": 4, "threads": 1, "gpus": 0.25, "time_limit": None},
        ),
    ],
)
def test_options_decide_what_executes_the_runs(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    words: list[Any],
    name: str,
    options: dict[str, Any],
) -> None:
    if name == "RayCluster":
        pytest.importorskip("ray", reason="Ray is not installed")
    made: list[Any] = []
    stop = KeyboardInterrupt

    def run_suite(*arguments: Any) -> None:
        made.append(arguments[6])
        raise stop

    monkeypatch.setattr("benchmark.suites.suite.run_suite", run_suite)
    torch.set_num_threads(8)
    assert command("suite", "tiny.yaml", *words).code == 130
    (executor,) = made
    assert getattr(executor, "func", executor).__name__ == name
    assert getattr(executor, "keywords", {}) == options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ray-address", "auto"], "--ray-address: is for a Ray cluster; add --executor ray"),
        (["--gpus-per-run", "1"], "--gpus-per-run: is for a Ray cluster; add --executor ray"),
    ],
)
def test_options_of_a_cluster_without_one_are_refused(
    command: Command, toy: Path, words: list[str], message: str
) -> None:
    answer = command("suite", "tiny.yaml", *words)
    assert (answer.code, answer.err) == (2, f"error: {message}\n")
    assert not (toy / "results").exists()


def test_a_suite_that_is_stopped_before_its_first_row_has_no_table_to_write(
    command: Command, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(harness, "evaluate", stop)
    answer = command("suite", "tiny.yaml")
    assert answer.code == 130
    assert answer.err.strip() == f"Stopped.{GOES_ON}"
    assert answer.out == "No run is done yet: there is no leaderboard to write.\n"
    assert not (toy / "results" / "tiny").exists()


def test_parts_make_no_table_and_the_whole_finds_their_runs_done(
    command: Command, toy: Path, write_yaml: Callable[[str, Any], str]
) -> None:
    grids = [{"datasets": ["toy"], "horizons": [6, 12, 18], "lookbacks": [24]}]
    models = ["seasonal_naive", "last_value"]
    write_yaml("six.yaml", {"name": "six", "models": models, "grids": grids})
    for number in (1, 2):
        part = ["--part", f"{number}/2"] if number == 1 else [f"--part={number}/2"]
        answer = command("suite", "six.yaml", *part, "--threads", 1)
        assert (answer.code, answer.err) == (0, "")
        told = f"Part {number} of 2: 3 of its 3 runs are done.\n"
        told += "When all parts are through, this ranks them: benchmark suite six.yaml --threads 1"
        assert answer.out.endswith(f"{told}\n")
        assert not (toy / "results" / "six").exists()
    whole = command("suite", "six.yaml")
    assert (whole.code, whole.err) == (0, "")
    assert whole.out.startswith("6 of 6 runs are done already and are not run again.\n")
    assert (toy / "results" / "six" / "leaderboard.md").exists()
    wrong = command("suite", "six.yaml", "--part", "3/2")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == "error: --part 3/2: is no part of a whole; write 1/8, or up to 8/8\n"


def test_parts_are_drawn_alike_on_a_machine_that_lacks_a_data_set(
    command: Command,
    toy: Path,
    write_dataset: Callable[..., Path],
    write_yaml: Callable[[str, Any], str],
) -> None:
    grids = [{"datasets": ["there", "toy"], "horizons": [6, 12, 18], "lookbacks": [24]}]
    models = ["seasonal_naive", "last_value", "window_mean"]
    write_yaml("both.yaml", {"name": "both", "models": models, "grids": grids})
    whole = write_dataset("there")
    assert command("suite", "both.yaml", "--part", "1/2").code == 0
    whole.unlink()
    lacking = command("suite", "both.yaml", "--part", "2/2")
    assert (lacking.code, lacking.err) == (1, "")
    assert "there is left out" in lacking.out
    datasets = [record.dataset for record in Store(toy / "results").records()]
    assert datasets.count("toy") == 9
    assert 0 < datasets.count("there") < 9
