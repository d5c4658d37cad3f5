from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.records.record import RunRecord
from benchmark.records.store import Store


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


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Make a store that fails the test where it sets a run aside."""

    def refuse(message: str) -> None:
        raise AssertionError(f"unexpected warning: {message}")

    return Store(tmp_path / "results", warn=refuse)
