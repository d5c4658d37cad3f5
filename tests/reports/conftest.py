from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.records.record import RunRecord
from benchmark.records.store import read_results
from benchmark.records.table import write_csv

Make = Callable[..., Any]


@pytest.fixture
def run() -> Callable[..., RunRecord]:
    """Build a record; what a test does not care about has a plausible value."""
    ids = itertools.count()

    def build(model: str = "gru", mse: float | None = 0.5, **values: Any) -> RunRecord:
        done = "error" not in values
        row: dict[str, Any] = {
            "run_id": f"run{next(ids):04d}",
            "status": "done" if done else "failed",
            "dataset": "ETTh1",
            "lookback": 336,
            "horizon": 96,
            "model": model,
            "seed": 0,
            "config": "c0ffee0000",
            "mse": mse if done else None,
            "mae": 0.4 if done else None,
            "fitted": "gradient",
            "device": "cpu",
            "fingerprint": "a" * 16,
            "test_windows": 2785 if done else None,
            "channels": 7 if done else None,
            "started": "2026-01-31T12:00:00+00:00",
            "benchmark_version": "0.1.0",
            "python_version": "3.11.9",
            "torch_version": "2.9.0",
            "lightning_version": "2.5.0",
        }
        return RunRecord(**(row | values))

    return build


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Any]:
    """Write records as a results file and read it as the reports do."""

    def build(*records: RunRecord) -> Any:
        path = tmp_path / "results.csv"
        write_csv(path, records)
        return read_results(path)

    return build
