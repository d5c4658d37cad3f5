from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scene import Scene

from benchmark.records.record import RunRecord
from benchmark.records.table import read_results, write_csv
from benchmark.reports.published import read_published

Make = Callable[..., Any]
PUBLISHED_HEADER = "dataset,model,lookback,horizon,mse,mae,test_batch,protocol,source,remark\n"


@pytest.fixture
def run(record: Make) -> Callable[..., RunRecord]:
    """Build a record; what a test does not care about has a plausible value."""
    ids = itertools.count()

    def build(model: str = "gru", mse: float | None = 0.5, **values: Any) -> RunRecord:
        shown: dict[str, Any] = {"run_id": f"run{next(ids):04d}", "model": model}
        if "error" not in values:
            shown |= {"mse": mse, "test_windows": 2785, "channels": 7}
        return record(**(shown | {"fingerprint": "a" * 16} | values))

    return build


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Any]:
    """Write records as a results file and read it as the reports do."""

    def build(*records: RunRecord) -> Any:
        path = tmp_path / "results.csv"
        write_csv(path, records)
        return read_results(path)

    return build


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., Any]:
    """Read rows as a table of published figures."""

    def build(*rows: str) -> Any:
        path = tmp_path / "published.csv"
        path.write_text(PUBLISHED_HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        return read_published(path)

    return build


@pytest.fixture
def leave(tmp_path: Path) -> Callable[..., RunRecord]:
    """Write the folder that a run of a record would leave behind, with made-up numbers."""

    def build(record: RunRecord, channels: tuple[str, ...] = ("HUFL", "OT"), **arrays: Any) -> Any:
        folder = tmp_path / "runs" / record.run_id
        folder.mkdir(parents=True)
        rng = np.random.default_rng(len(record.run_id) + record.seed)
        shape = record.horizon, len(channels)
        windows = np.sqrt(record.mse) * rng.normal(size=(60, *shape))
        target = np.sin(np.arange(record.horizon) / 4)[:, None] * np.ones((8, *shape))
        forecast = target + 0.2 * rng.normal(size=target.shape)
        squared = np.square(windows)
        squared *= record.mse / squared.mean()
        absolute = np.abs(windows) * record.mae / np.abs(windows).mean()
        np.savez(
            folder / "errors.npz",
            channels=np.array(channels),
            squared=squared.mean(axis=1),
            absolute=absolute.mean(axis=1),
            squared_by_step=squared.mean(axis=0),
            absolute_by_step=absolute.mean(axis=0),
            scale=np.full(len(channels), 2.0),
            borders=np.array([(0, 8640), (8640, 11520), (11520, 14400)]),
        )
        kept: dict[str, Any] = {
            "kind": np.array(["common"] * 5 + ["best", "median", "worst"]),
            "first_row": np.array([100, 200, 300, 400, 500, 111, 222, 333]),
            "time": np.datetime64("2020-01-01T00", "s") + np.arange(8) * np.timedelta64(1, "D"),
            "channel": np.arange(len(channels)),
            "history": np.zeros((8, 24, len(channels))),
            "target": target,
            "forecast": forecast,
            "low": forecast - 1,
            "high": forecast + 1,
        }
        kept |= arrays
        np.savez(
            folder / "forecasts.npz", **{key: value for key, value in kept.items() if len(value)}
        )
        epochs = [
            {"number": number, "val_mse": 1 / number, "train_loss": 2 / number}
            for number in range(1, (record.epochs or 0) + 1)
        ]
        (folder / "training.json").write_text(json.dumps(epochs))
        return record

    return build


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Scene]:
    """The figures that were written, as they were drawn."""
    vl_convert = pytest.importorskip("vl_convert")
    scenes: list[Scene] = []

    def keeping(draw: Make) -> Make:
        def keep(spec: Any, **options: Any) -> bytes:
            scenes.append(Scene(vl_convert.vegalite_to_scenegraph(spec)))
            return draw(spec, **options)

        return keep

    for name in ("vegalite_to_svg", "vegalite_to_png", "vegalite_to_pdf"):
        monkeypatch.setattr(vl_convert, name, keeping(getattr(vl_convert, name)))
    return scenes
