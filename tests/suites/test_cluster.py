"""Runs on a Ray cluster whose node has neither the data nor the results folder of the driver."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import benchmark.suites.node as node
from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.errors import UserError
from benchmark.harness.spec import Execution
from benchmark.records.store import Store
from benchmark.suites.cluster import RAY_SETTINGS, RayCluster, require_ray
from benchmark.suites.node import series_here

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ts-benchmark[ray]'")

RunTiny = Callable[..., Any]
MODELS = """
import os
import signal
import time
from pathlib import Path

from benchmark.forecasters.naive import SeasonalNaive as Naive


class SeasonalNaive(Naive):
    seeded = False  # one run each


class Killed(SeasonalNaive):
    \"\"\"Is killed the first time, and told to end the second.\"\"\"

    def forward(self, x):
        for name, how in (("killed", signal.SIGKILL), ("told", signal.SIGTERM)):
            if not Path(name).exists():
                Path(name).touch()
                os.kill(os.getpid(), how)
                time.sleep(600)
        return super().forward(x)


class Hanging(SeasonalNaive):
    \"\"\"Never ends.\"\"\"

    def forward(self, x):
        time.sleep(600)
"""
VARYING = {"train_seconds", "energy_j", "latency_ms", "throughput", "peak_memory_mb", "started"}
GRID = [{"datasets": ["toy"], "horizons": [6]}]


@pytest.fixture
def elsewhere(toy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cluster of one node of two CPUs that was started in another folder, without data."""
    place = toy.parent / "node"
    (place / "data").mkdir(parents=True)
    for variable, value in RAY_SETTINGS.items():
        monkeypatch.setenv(variable, value)
    with monkeypatch.context() as there:
        there.chdir(place)
        there.setenv("BENCHMARK_DATA", str(place / "data"))
        there.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(toy)]))
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=2**27,
        )
    yield place
    ray.shutdown()


@pytest.mark.slow
def test_rows_are_those_of_this_machine_and_what_is_lost_or_hangs_harms_no_other(
    toy: Path,
    elsewhere: Path,
    run_tiny: RunTiny,
    write_module: Callable[[str, str], None],
    write_yaml: Callable[[str, Any], str],
) -> None:
    write_module("users_on_ray", MODELS)
    for name in ("Killed", "Hanging"):
        model = {"class": f"users_on_ray.{name}"}
        task = {"dataset": "toy", "lookback": 24, "horizon": 12}
        write_yaml(f"{name}.yaml", {"name": name, "model": model} | task)
    made = partial(RayCluster, threads=1)
    models = ["linear.yaml", "Killed.yaml"]
    done = run_tiny(models=models, grids=GRID, executor=made)
    assert done.outcome.failed == ()
    assert (elsewhere / "told").exists()
    assert not (toy / "killed").exists()
    assert [line.split()[0] for line in done.output.splitlines()].count("done") == 3
    (brought,) = (toy.parent / "users-cache").glob("ts-benchmark/ray/*/toy.csv")
    assert brought.read_bytes() == (toy / "datasets" / "toy.csv").read_bytes()
    assert list((toy / "results" / "runs").glob(".*")) == []

    limited = partial(RayCluster, threads=1, time_limit=1.0)
    hanging = {"models": ["Hanging.yaml"], "grids": GRID, "executor": limited}
    (failed,) = run_tiny(**hanging).outcome.failed
    assert failed.error == "it was still running after 1 seconds, the --time-limit"

    for asked in ({"threads": 3}, {"threads": 1, "gpus": 0.25}):
        with pytest.raises(UserError, match="no node of the cluster has"):
            run_tiny(models=models, grids=GRID, executor=partial(RayCluster, **asked), force=True)

    found = contents(toy, {"Hanging"})
    (toy / "results").rename(toy / "others")
    (toy / "killed").touch()
    (toy / "told").touch()
    run_tiny(models=models, grids=GRID)
    assert found == contents(toy, set())


def contents(toy: Path, without: set[str]) -> list[tuple[dict[str, Any], bytes, set[str]]]:
    """Each run's row but for what varies, its quantiles, its files' names."""
    store = Store(toy / "results")
    return [
        (
            record.model_dump(exclude=VARYING | {"git_revision"}),
            (store.runs / record.run_id / "quantiles.npz").read_bytes(),
            {path.name for path in (store.runs / record.run_id).iterdir()},
        )
        for record in store.records()
        if record.model not in without
    ]


def test_a_data_set_is_brought_along_only_where_there_is_no_copy(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = load_card("toy")
    series = load(card)
    file = (toy / "datasets" / "toy.csv").read_bytes()
    asked: list[Any] = []
    monkeypatch.setattr(ray, "get", lambda content: asked.append(content) or ("toy.csv", file))

    def here() -> str:
        monkeypatch.setattr(node, "_known", {})  # another process
        found = series_here(card, series.digest, ["content"])
        assert series_here(card, series.digest, ["content"]) is found
        return found.digest

    assert here() == series.digest
    assert asked == []
    (toy / "datasets" / "toy.csv").write_bytes(file.replace(b"500.", b"501.", 1))
    for _ in range(2):
        assert here() == series.digest
        assert asked == ["content"]
    assert os.environ["BENCHMARK_DATA"] == str(toy / "datasets")
    (kept,) = (toy.parent / "users-cache").glob("ts-benchmark/ray/*/toy.csv")
    kept.write_text("damaged")
    assert here() == series.digest
    assert asked == ["content", "content"]


def test_a_data_set_that_is_read_otherwise_on_a_node_is_refused(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = (toy / "datasets" / "toy.csv").read_bytes()
    monkeypatch.setattr(ray, "get", lambda content: ("toy.csv", file))
    with pytest.raises(UserError, match="'toy': is read as other data on this node"):
        series_here(load_card("toy"), "f" * 64, ["content"])


def test_without_ray_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="Ray is not installed; pip install"):
        require_ray()


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("cuda", 0.0, "--device cuda: a run gets no GPU; add --gpus-per-run 1"),
        ("auto", 1.5, "--gpus-per-run: is 1.5"),
    ],
)
def test_what_cannot_be_asked_of_a_cluster_is_refused_before_one_is_joined(
    toy: Path, device: Any, gpus: float, message: str
) -> None:
    execution = Execution(results=toy / "results", device=device)
    with (
        pytest.raises(UserError, match=message),
        RayCluster(execution, lambda *_: None, threads=1, gpus=gpus),
    ):
        pass
    assert not ray.is_initialized()


def test_a_cluster_that_does_not_answer_is_a_users_mistake(toy: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"  # bound, and nobody listens
        execution = Execution(results=toy / "results", device="cpu")
        cluster = RayCluster(execution, lambda *_: None, threads=1, address=address)
        with pytest.raises(UserError, match=f"Ray cluster {address}: cannot be joined"), cluster:
            pass
    assert not ray.is_initialized()
