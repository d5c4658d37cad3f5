"""A small real suite in a folder of its own, started in processes that can be done harm."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

VARYING = frozenset(
    ("train_seconds", "energy_j", "latency_ms", "throughput", "peak_memory_mb", "started",
     "git_revision")
)  # fmt: skip
"""The columns in which the same run may differ from one time to the next, on the same machine."""

SECONDS = 300.0  # until a suite counts as hanging
MODELS = '''
import os
import time
from pathlib import Path

import torch

from benchmark.forecasters.linear import Linear
from benchmark.forecasters.naive import SeasonalNaive

clock = time.time


class TooLarge(Linear):
    """Asks for more memory than there is."""

    def forward(self, x):
        return torch.zeros(1 << 50).sum() + super().forward(x)


class Endless(SeasonalNaive):
    def forward(self, x):
        while True:
            time.sleep(1)


class Slow(Linear):
    """Takes its time to train until there is a file ``hurry``."""

    def training_forecast(self, x, y):
        if not Path("hurry").exists():
            time.sleep(0.1)
        return self(x)


class Jumping(Linear):
    """Sets the process's time of day a day forwards or backwards with each batch."""

    def forward(self, x):
        days = 1 if time.time() <= clock() else -1
        time.time = lambda: clock() + 86_400 * days
        return super().forward(x)
'''
TASK = {"dataset": "toy", "lookback": 24, "horizon": 3}
TRAINING = {"epochs": 2, "batch_size": 64}
YAMLS: dict[str, dict[str, Any]] = {
    "naive": {"model": {"class": "SeasonalNaive"}},
    "linear": {"model": {"class": "Linear"}, "training": TRAINING},
    "too_large": {"model": {"class": "users_faults.TooLarge"}, "training": TRAINING},
    "undefined": {"model": {"class": "Linear"}, "training": TRAINING | {"learning_rate": 1e38}},
    "endless": {"model": {"class": "users_faults.Endless"}},
    "slow": {
        "model": {"class": "users_faults.Slow"},
        "training": TRAINING | {"epochs": 60, "patience": 60},
    },
    "jumping": {"model": {"class": "users_faults.Jumping"}, "training": TRAINING},
}
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["imported"])


class SmallSuite:
    """The suite's folder: data, configurations and results.

    Args:
        folder: made; everything lies in it.
        models: names of `YAMLS` that the suite runs.
        horizons: of every model; one that is trained has two seeds.
    """

    def __init__(
        self,
        folder: Path,
        models: Sequence[str] = ("naive", "linear"),
        horizons: Sequence[int] = (3, 6),
    ) -> None:
        self.folder = folder
        self.results = folder / "results"
        (folder / "datasets").mkdir(parents=True)
        self.data = folder / "datasets" / "toy.csv"
        _write_data(self.data)
        (folder / "users_faults.py").write_text(MODELS)
        for name, values in YAMLS.items():
            (folder / f"{name}.yaml").write_text(json.dumps({"name": name} | TASK | values))
        suite = {
            "name": "small",
            "models": [f"{name}.yaml" for name in models],
            "grids": [{"datasets": ["toy"], "horizons": list(horizons)}],
            "seeds": [1, 2],
        }
        (folder / "small.yaml").write_text(json.dumps(suite))

    def start(self, *options: str) -> BaseProcess:
        """Start ``benchmark suite`` in a process of its own; it writes to ``out.txt``."""
        words = ["benchmark", "suite", "small.yaml", "--device", "cpu", "--threads", "1", *options]
        process = _context.Process(target=_command, args=(str(self.folder), words))
        process.start()
        return process

    def run(self, *options: str) -> int:
        """Run it to its end; its exit status."""
        return self.wait(self.start(*options))

    def wait(self, process: BaseProcess) -> int:
        """Wait for its end; a suite that hangs is killed, which is no exit status of a suite."""
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        assert process.exitcode is not None
        return process.exitcode

    @property
    def output(self) -> str:
        """All that the suite has printed since it was last asked for."""
        path = self.folder / "out.txt"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        path.unlink(missing_ok=True)
        return text

    def rows(self) -> dict[str, dict[str, str]]:
        """The rows of the suite's results.csv by run id, without what varies by itself."""
        path = self.results / "small" / "results.csv"
        if not path.exists():
            return {}
        with path.open(encoding="utf-8", newline="") as stream:
            found = list(csv.DictReader(stream))
        return {
            row["run_id"]: {key: text for key, text in row.items() if key not in VARYING}
            for row in found
        }

    def lost(self, undisturbed: dict[str, dict[str, str]]) -> int:
        """How many rows are missing, or differ in any text but what varies by itself."""
        found = self.rows()
        assert len(found) <= len(undisturbed)
        return sum(found.get(run_id) != row for run_id, row in undisturbed.items())

    def folders(self) -> list[Path]:
        """The runs' folders."""
        return sorted((self.results / "runs").glob("[!.]*"))


def undisturbed_suite(folder: Path) -> tuple[dict[str, dict[str, str]], float]:
    """The rows of the suite when it is let be, and the seconds that it takes then."""
    suite = SmallSuite(folder / "undisturbed")
    first = _context.Process(target=int)  # waits for what all others find imported
    first.start()
    first.join()
    begin = time.monotonic()
    assert suite.run() == 0, suite.output
    return suite.rows(), time.monotonic() - begin


def wait_until(happened: Callable[[], object], process: BaseProcess) -> None:
    """Wait until something has happened, or the process has ended."""
    while process.is_alive() and not happened():
        time.sleep(0.01)


def _write_data(path: Path) -> None:
    rng = np.random.default_rng(1)
    hours = np.arange(700)
    day = np.sin(2 * np.pi * hours / 24)[:, None] + rng.normal(size=(700, 3)) * 0.2
    times = np.datetime64("2020-01-01T00", "s") + hours * np.timedelta64(3600, "s")
    lines = [
        ",".join([str(t).replace("T", " "), *(f"{x:.4f}" for x in row)])
        for t, row in zip(times, day, strict=True)
    ]
    path.write_text("\n".join(["date,load,heat,wind", *lines]) + "\n", encoding="ascii")
    card = {
        "name": "toy", "title": "Made up", "file": path.name, "licence": "none",
        "citation": "none", "frequency": "h", "time_column": "date",
        "channels": ["load", "heat", "wind"],
        "splits": {"train": 400, "val": 150, "test": 150}, "season": 24,
        "source": {
            "url": "https://unknown.invalid/toy.csv",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
    }  # fmt: skip
    path.with_suffix(".yaml").write_text(json.dumps(card))


def _command(folder: str, words: list[str]) -> None:
    """What the process does: the command line, in the suite's folder."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ["BENCHMARK_DATA"] = str(Path(folder, "datasets"))
    os.environ["BENCHMARK_RESULTS"] = str(Path(folder, "results"))
    os.environ["XDG_CACHE_HOME"] = str(Path(folder, "cache"))
    roots = [str(Path(__file__).parents[2]), folder]  # for processes that it starts
    os.environ["PYTHONPATH"] = os.pathsep.join(roots)
    out = os.open("out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = words
    sys.modules["vl_convert"] = None  # type: ignore[assignment]  # no page: it takes longer than all
    from benchmark.cli import main

    with contextlib.suppress(BrokenPipeError):
        main()
