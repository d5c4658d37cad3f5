"""What the tests of training, evaluation, harness and command line share: a small data set."""

from __future__ import annotations

import gc
import importlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import settings
from numpy.typing import NDArray

from benchmark.cli import main
from benchmark.config import validate
from benchmark.data.card import DatasetCard
from benchmark.data.load import Series
from benchmark.data.task import Task
from benchmark.records.record import RunRecord

# A busy machine is slow, not wrong.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

SEASON = 24
CHANNELS = ("load", "heat", "wind")
SPLITS = {"train": 400, "val": 150, "test": 150}
CARD: dict[str, Any] = {
    "name": "toy",
    "title": "Three made-up hourly channels with a day's season",
    "file": "toy.csv",
    "licence": "none",
    "citation": "none",
    "frequency": "h",
    "time_column": "date",
    "channels": list(CHANNELS),
    "splits": SPLITS,
    "season": SEASON,
}
"""700 rows: windows of 24 + 12 steps give 365 train, 139 validation and 139 test windows."""
SMALL: dict[str, Any] = {
    "name": "small",
    "dataset": "toy",
    "lookback": 24,
    "horizon": 12,
    "model": {"class": "Linear"},
    "training": {"epochs": 3, "batch_size": 128, "learning_rate": 0.003},
    "search": {
        "lookback": [24, 36],
        "model.normalise": ["none", "last", "mean"],
        "training.learning_rate": {"low": 1e-5, "high": 0.1, "log": True},
    },
}


def _values() -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    hours = np.arange(sum(SPLITS.values()))[:, None]
    day = np.sin(2 * np.pi * hours / SEASON + np.arange(len(CHANNELS)))
    drift = rng.normal(size=(len(hours), len(CHANNELS))).cumsum(axis=0) * 0.05
    noise = rng.normal(size=drift.shape) * 0.2
    units = np.array([100.0, 1.0, 0.01])  # channels of very different size, one of them far from 0
    return np.round((day + drift + noise) * units + [500.0, 0.0, 0.0], 4)


def _times() -> NDArray[np.datetime64]:
    return np.datetime64("2020-01-01T00", "s") + np.arange(sum(SPLITS.values())) * np.timedelta64(
        3600, "s"
    )


@pytest.hookimpl(tryfirst=True)  # before a module's fixtures
def pytest_runtest_setup() -> None:
    """Sizes here are too small to be shared among threads; on a busy machine that is far slower."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_interrupts() -> None:
    """A job in the background starts with Ctrl-C ignored, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _what_is_imported_is_no_garbage() -> None:
    """Each run looks for garbage before its memory is measured: not among all modules each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _modules_of_users_are_forgotten() -> Iterator[None]:
    """What a page calls `my_module` or `my_cells` is another file in the next test."""
    searched = list(sys.path)
    yield
    sys.path[:] = searched  # the folder of a user's module stays on it
    for name in ("my_module", "my_cells"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def values() -> NDArray[np.float64]:
    """The toy data set's values ``(700, 3)``, in their own units."""
    return _values()


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Task]:
    """Build a task of the toy data set; `values` replaces its values, `card` fields of its card."""

    def make(lookback: int = 24, horizon: int = 12, values: Any = None, **card: Any) -> Task:
        checked = validate(DatasetCard, CARD | card, "toy.yaml")
        array = _values() if values is None else np.asarray(values, dtype=np.float64)
        series = Series(checked, checked.name, array, _times()[: len(array)], CHANNELS, "d1" * 32)
        return Task(series, lookback, horizon)

    return make


@pytest.fixture(scope="session")
def task(make_task: Callable[..., Task]) -> Task:
    """The toy data set at lookback 24 and horizon 12."""
    return make_task()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an empty ``datasets/`` in use; results go to ``results/`` there."""
    folder = tmp_path / "work"
    (folder / "datasets").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BENCHMARK_DATA", str(folder / "datasets"))
    monkeypatch.setenv("BENCHMARK_RESULTS", str(folder / "results"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users-cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # for child processes
    return folder


@pytest.fixture
def write_dataset(workplace: Path) -> Callable[..., Path]:
    """Write a data set as a card and a CSV into the working directory; return the CSV's path."""

    def write(name: str = "toy", values: Any = None, **card: Any) -> Path:
        rows = _values() if values is None else values
        path = workplace / "datasets" / f"{name}.csv"
        lines = [",".join(("date", *CHANNELS))]
        for time, row in zip(_times(), rows, strict=False):
            lines.append(",".join([str(time).replace("T", " "), *(repr(float(x)) for x in row)]))
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        fields = CARD | {"name": name, "file": f"{name}.csv"} | card
        fields = {key: value for key, value in fields.items() if value is not None}
        path.with_suffix(".yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
        return path

    return write


@pytest.fixture
def toy(workplace: Path, write_dataset: Callable[..., Path]) -> Path:
    """A working directory in which the data set ``toy`` is ready."""
    write_dataset()
    return workplace


@pytest.fixture
def write_yaml(workplace: Path) -> Callable[[str, Any], str]:
    """Write a YAML file into the working directory and return its name."""

    def write(name: str, data: Any) -> str:
        text = data if isinstance(data, str) else json.dumps(data)  # JSON is YAML
        (workplace / name).write_text(text, encoding="utf-8")
        return name

    return write


@pytest.fixture(scope="session")
def row() -> Callable[..., dict[str, Any]]:
    """Build the values of a done record, with some of them replaced."""

    def build(run_id: str = "a1b2", **values: Any) -> dict[str, Any]:
        return {
            "run_id": run_id,
            "status": "done",
            "dataset": "ETTh1",
            "lookback": 336,
            "horizon": 96,
            "model": "gru",
            "seed": 0,
            "config": "c0ffee0000",
            "mse": 0.5,
            "mae": 0.4,
            "fitted": "gradient",
            "device": "cpu",
            "fingerprint": "f" * 16,
            "started": "2026-01-31T12:00:00+00:00",
            "benchmark_version": "0.1.0",
            "python_version": "3.11.9",
            "torch_version": "2.9.0",
            "lightning_version": "2.5.0",
        } | values

    return build


@pytest.fixture(scope="session")
def record(row: Callable[..., dict[str, Any]]) -> Callable[..., RunRecord]:
    """Build a record: done, or failed where an `error` is given."""

    def build(run_id: str = "a1b2", **values: Any) -> RunRecord:
        if "error" in values:
            values = {"status": "failed", "mse": None, "mae": None} | values
        return RunRecord(**row(run_id, **values))

    return build


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Run ``benchmark`` with some words in this process, from the working directory."""

    def run(*words: object) -> Answer:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def write_module(workplace: Path) -> Iterator[Callable[[str, str], None]]:
    """Write a user's module into the working directory, to be imported afresh."""
    names: set[str] = set()

    def write(name: str, text: str) -> None:
        (workplace / f"{name}.py").write_text(text, encoding="utf-8")
        names.add(name)
        importlib.invalidate_caches()

    yield write
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def small(toy: Path, write_yaml: Callable[[str, Any], str]) -> Callable[..., str]:
    """Write a linear model with a search; keywords replace keys of its YAML, and of `training`."""

    def write(file: str = "small.yaml", **changes: Any) -> str:
        training = SMALL["training"] | changes.pop("training", {})
        return write_yaml(file, SMALL | changes | {"training": training})

    return write
