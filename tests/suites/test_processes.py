"""Runs in processes of their own: the same rows, and nothing that happens to one harms another."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmark.data.fetch import DatasetUnavailable
from benchmark.errors import UserError
from benchmark.files import StorageFault
from benchmark.harness.plan import plan
from benchmark.harness.spec import Execution, load_run
from benchmark.records.store import Store
from benchmark.suites.attempt import attempt_elsewhere
from benchmark.suites.conduct import run_all
from benchmark.suites.processes import Processes

RunTiny = Callable[..., Any]
MODELS = """
import errno
import os
import signal
import sys
import time
from pathlib import Path

import torch

from benchmark.files import storage_faults
from benchmark.forecasters.naive import SeasonalNaive as Naive


class SeasonalNaive(Naive):
    seeded = False  # one run each


class Killed(SeasonalNaive):
    \"\"\"Is killed the first time, as the kernel does it where memory ends.\"\"\"

    def forward(self, x):
        Path("threads").write_text(f"{torch.get_num_threads()} {os.environ.get('OMP_NUM_THREADS')}")
        if not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Waiting(SeasonalNaive):
    \"\"\"Ends when the run of another name has begun.\"\"\"

    def forward(self, x):
        Path("begun-waiting").touch()
        while not Path("begun-killed").exists():
            time.sleep(0.02)
        return super().forward(x)


class Begun(SeasonalNaive):
    def forward(self, x):
        Path("begun-killed").touch()
        return super().forward(x)


def taken_at_second_time(where):
    \"\"\"Kill the process that is just being given a run, the first time.\"\"\"
    if not Path("killed").exists():
        while not Path("begun-waiting").exists():
            time.sleep(0.02)
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return where


class Filling(SeasonalNaive):
    \"\"\"Has no room for its files, where there is some for a failed row.\"\"\"

    def forward(self, x):
        with storage_faults(Path("results")):
            raise OSError(errno.ENOSPC, "No space left on device")


class Leaving(SeasonalNaive):
    def forward(self, x):
        sys.exit(0)


class Hanging(SeasonalNaive):
    \"\"\"Never ends.\"\"\"

    def forward(self, x):
        Path("pid").write_text(str(os.getpid()))
        time.sleep(600)
"""
VARYING = {"train_seconds", "energy_j", "latency_ms", "throughput", "peak_memory_mb", "started"}
GRID = [{"datasets": ["toy"], "horizons": [6]}]


@pytest.fixture(autouse=True)
def models(
    toy: Path,
    suite_yaml: Callable[..., str],
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> None:
    """Models that are killed once and that hang, beside those of the tiny suite."""
    write_module("users_processes", MODELS)
    suite_yaml()
    for name in ("Killed", "Hanging", "Waiting", "Begun", "Filling", "Leaving"):
        model = {"class": f"users_processes.{name}"}
        task = {"dataset": "toy", "lookback": 24, "horizon": 12}
        write_yaml(f"{name}.yaml", {"name": name, "model": model} | task)


def rows(toy: Path) -> list[dict[str, Any]]:
    """The rows without what differs from one time to the next."""
    records = Store(toy / "results").records()
    return [record.model_dump(exclude=VARYING | {"git_revision"}) for record in records]


@pytest.mark.slow
def test_rows_are_the_same_to_the_last_bit_and_a_killed_process_costs_no_run(
    toy: Path, run_tiny: RunTiny
) -> None:
    made = partial(Processes, jobs=2, threads=1)
    models = ["linear.yaml", "Killed.yaml", "naive.yaml"]
    outcome = run_tiny(models=models, grids=GRID, seeds=[1], executor=made).outcome
    assert (toy / "killed").exists()
    assert (toy / "threads").read_text() == "1 1"
    assert outcome.failed == ()
    found = rows(toy)
    (toy / "results").rename(toy / "others")
    run_tiny(models=models, grids=GRID, seeds=[1])
    assert found == rows(toy)
    assert [(row["model"], row["seed"], row["threads"]) for row in found] == [
        ("Killed", 1, 1), ("linear", 1, 1), ("naive", 1, 1),
    ]  # fmt: skip
    ours, theirs = (
        {path.parent.name: path.read_bytes() for path in folder.glob("runs/*/quantiles.npz")}
        for folder in (toy / "results", toy / "others")
    )
    assert ours == theirs


class Deadly(str):
    """A text that kills the process which reads it from the pipe."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module("users_processes").taken_at_second_time, (str(self),)


def test_a_process_that_is_killed_as_it_takes_a_run_costs_none_and_a_jump_of_the_clock_neither(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, begun = (plan(load_run(Path(f"{n}.yaml")), f"{n}.yaml") for n in ("Waiting", "Begun"))
    plans = [waiting, replace(begun, where=Deadly(begun.where))]
    monkeypatch.syspath_prepend(toy)  # a process reads what it is given before it knows of `toy`
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 3600 * (toy / "killed").exists())
    made = partial(Processes, jobs=2, threads=1, time_limit=60.0)
    execution = Execution(results=toy / "results", device="cpu")
    expected = {planned.run_id: 1.0 for planned in plans}
    assert run_all(plans, expected, made, execution, Console(file=io.StringIO())) == ([], False)
    assert (toy / "killed").exists()
    assert [row["status"] for row in rows(toy)] == ["done", "done"]


def test_a_run_that_hangs_is_ended_at_the_limit_and_named(
    toy: Path, run_tiny: RunTiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() - 3600 * (toy / "pid").exists())
    made = partial(Processes, jobs=1, threads=1, time_limit=1.0)
    (failed,) = run_tiny(models=["Hanging.yaml"], grids=GRID, executor=made).outcome.failed
    assert failed.error == "it was still running after 1 seconds, the --time-limit"
    assert is_gone(toy)


def test_leaving_early_ends_what_is_under_way(toy: Path) -> None:
    planned = plan(load_run(Path("Hanging.yaml")), "Hanging.yaml")
    execution = Execution(results=toy / "results", device="cpu")
    heard: list[str] = []

    def leave() -> None:
        with Processes(execution, lambda run_id, _: heard.append(run_id), jobs=1, threads=1) as own:
            own.submit(planned)
            while not (toy / "pid").exists():
                time.sleep(0.05)
                own.poll()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert is_gone(toy)
    assert heard == [planned.run_id]
    assert list((toy / "results" / "runs").iterdir()) == []


def test_a_killed_suite_takes_its_processes_along(
    toy: Path, write_yaml: Callable[[str, Any], str]
) -> None:
    write_yaml("hangs.yaml", {"name": "hangs", "models": ["Hanging.yaml"], "grids": GRID})
    words = [sys.executable, "-m", "benchmark", "suite", "hangs.yaml", "--time-limit", "600"]
    suite = subprocess.Popen(words, cwd=toy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (toy / "pid").exists() or not (toy / "pid").read_text():
        assert suite.poll() is None
        time.sleep(0.05)
    suite.kill()
    suite.wait()
    until = time.monotonic() + 30
    while not is_gone(toy):
        assert time.monotonic() < until, "its process goes on"
        time.sleep(0.05)


def is_gone(toy: Path) -> bool:
    """Whether the process of the run that hangs is there no more."""
    try:
        os.kill(int((toy / "pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_a_full_disk_ends_the_suite(toy: Path, run_tiny: RunTiny) -> None:
    with pytest.raises(UserError, match="the disk is full"):
        run_tiny(models=["Filling.yaml", "Begun.yaml"], grids=GRID)
    assert rows(toy) == []


def test_one_process_fails_at_two_runs_makes_a_third_and_ends_the_suite_at_a_full_disk(
    toy: Path, run_tiny: RunTiny, write_yaml: Callable[[str, Any], str]
) -> None:
    """Of the first the file is edited while the suite runs: there it is another run."""
    (toy / "users_edited.py").write_text(MODELS)
    task = {"dataset": "toy", "lookback": 24, "horizon": 12}
    write_yaml("Edited.yaml", {"name": "Edited", "model": {"class": "users_edited.Begun"}} | task)

    def made(execution: Execution, report: Any) -> Processes:
        (toy / "users_edited.py").write_text(f"{MODELS}# edited\n")
        return Processes(execution, report, jobs=1, threads=1)

    models = ["Edited.yaml", "Leaving.yaml", "Begun.yaml", "Filling.yaml", "naive.yaml"]
    with pytest.raises(UserError, match="the disk is full"):
        run_tiny(models=models, grids=GRID, executor=made)
    errors = {row["model"]: row["error"] for row in rows(toy)}
    assert "here: data, code or version differ" in errors.pop("Edited")
    assert errors == {
        "Begun": None,
        "Leaving": "RuntimeError: the model ended the program: sys.exit(0)",
    }


def test_a_run_that_would_be_another_one_elsewhere_is_refused(toy: Path) -> None:
    planned = plan(load_run(Path("naive.yaml")), "naive.yaml")
    execution = Execution(results=toy / "results", device="cpu")
    arguments = (planned.spec, planned.where, "other", planned.series, execution)
    with pytest.raises(UserError, match="run other is naive-toy-12-seed1"):
        attempt_elsewhere(*arguments, lambda *_: None)
    assert not (toy / "results").exists()


@pytest.mark.parametrize(
    "error",
    [
        UserError("a.yaml: model", "is wrong", "mend it"),
        DatasetUnavailable("dataset 'x'", "is gone"),
        StorageFault("results", "the disk is full"),
        UserError.join([UserError("a", "b"), UserError("c", "d")]),
    ],
)
def test_a_users_mistake_is_told_the_same_from_another_process(error: UserError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.where, copy.what, copy.cure) == (
        type(error), str(error), error.where, error.what, error.cure,
    )  # fmt: skip
    assert str(copy.inside("f")) == str(error.inside("f"))
