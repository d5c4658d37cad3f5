"""Results and data sets of any size, made up but of the shape of real ones, the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmark.records.record import RunRecord

HORIZONS = (96, 192, 336, 720)
SEEDS = 5
SHARE_FAILED = 0.01
KINDS = {"seasonal_naive": "none", "last_value": "none", "ridge": "closed_form"}
SEASON = 24
AT_ONCE = 1 << 16  # rows of a data set that are made and written at a time
HELD_OUT = 200_000  # values of validation, and of test: scoring them must not hide what grows


def records(runs: int, seed: int = 0, noise: float = 0.02) -> Iterator[RunRecord]:
    """Make up rows of results: as many tasks as there are configurations on each, halved.

    A model trained by gradient has five seeds, any other one has one; one run of a hundred failed.

    Args:
        runs: how many.
        seed: of the scores.
        noise: standard deviation of a score over seeds, relative.
    """
    rng = np.random.default_rng(seed)
    tasks = max(1, round((runs / SEEDS / 2) ** 0.5))
    lookbacks = (96, 336, 512, 720)
    made = 0
    place = 0
    while made < runs:
        configuration, task = divmod(place, tasks)
        place += 1
        model, lookback = divmod(configuration, len(lookbacks))
        name = [*KINDS, f"model_{model:03d}"][min(model, len(KINDS))]
        fitted = KINDS.get(name, "gradient")
        level = np.random.default_rng([task, configuration]).uniform(0.3, 0.9)  # in every file
        for number in range(min(SEEDS if fitted == "gradient" else 1, runs - made)):
            yield _record(
                f"r{made:07d}", name, fitted, lookbacks[lookback], task, configuration, number,
                float(level * (1 + noise * rng.normal())), bool(rng.random() < SHARE_FAILED),
            )  # fmt: skip
            made += 1


def _record(
    run_id: str, name: str, fitted: str, lookback: int, task: int, configuration: int, seed: int,
    mse: float, failed: bool,
) -> RunRecord:  # fmt: skip
    trained = fitted == "gradient"
    scores: dict[str, Any] = {
        "mse": mse, "mae": 0.8 * mse**0.5, "rmse": mse**0.5, "mase": 1.3 * mse**0.5,
        "smape": 60 * mse**0.5, "r2": 1 - mse, "mae_original": 3 * mse**0.5, "crps": 0.6 * mse**0.5,
        "coverage_80": 0.8 - 0.01 * mse, "width_80": 1.7 * mse**0.5, "coverage_95": 0.95,
        "val_mse": 0.9 * mse, "val_mae": 0.75 * mse**0.5, "test_windows": 2785, "channels": 7,
        "macs": 1000 * lookback, "latency_ms": 0.1 * mse, "throughput": 10000 / mse,
        "peak_memory_mb": 512.5, "epochs": 10 * trained, "best_epoch": 7 * trained,
    }  # fmt: skip
    if failed:
        scores = {"error": "FloatingPointError: the loss of epoch 3 is not finite"}
    return RunRecord(
        run_id=run_id, status="failed" if failed else "done",
        dataset=f"set_{task // len(HORIZONS):03d}", lookback=lookback,
        horizon=HORIZONS[task % len(HORIZONS)], model=name, seed=seed,
        config=f"{configuration:010x}", params=100 * lookback * trained, fitted=fitted,
        train_seconds=1.5 * trained, device="cpu", threads=2, hardware="a CPU of two cores, 8 GB",
        data="0123456789abcdef", fingerprint=f"{task:016x}", started="2026-01-31T12:00:00+00:00",
        benchmark_version="0.1.0", python_version="3.11.9", torch_version="2.9.0",
        lightning_version="2.5.0", git_revision="0123456789abcdef", **scores,
    )  # fmt: skip


def write_dataset(folder: Path, rows: int, channels: int) -> str:
    """Write a card and a CSV of random walks with a daily season; return the card's name.

    Validation and test are a tenth of the rows each; of many, those that hold `HELD_OUT` values.
    Every value depends on its row and channel alone, and on the rows before.
    """
    name = f"walk_{rows}x{channels}"
    names = [f"c{number}" for number in range(channels)]
    held_out = min(0.1, HELD_OUT / (rows * channels))
    card = {
        "name": name, "title": "Random walks with a daily season", "file": f"{name}.csv",
        "licence": "none", "citation": "none", "frequency": "min", "time_column": "date",
        "channels": names, "season": SEASON,
        "splits": {"train": 1 - 2 * held_out, "val": held_out, "test": held_out},
    }  # fmt: skip
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    rng = np.random.default_rng(channels)
    level = np.zeros(channels)
    with (folder / f"{name}.csv").open("w", encoding="ascii") as stream:
        stream.write(",".join(["date", *names]) + "\n")
        for start in range(0, rows, AT_ONCE):
            row = np.arange(start, min(start + AT_ONCE, rows))
            walk = level + rng.normal(scale=0.05, size=(len(row), channels)).cumsum(axis=0)
            level = walk[-1]
            day = np.sin(2 * np.pi * row / SEASON)[:, None]
            times = np.datetime64("2000-01-01T00:00:00") + row * np.timedelta64(60, "s")
            texts = np.char.mod("%.4f", walk + day + 0.2 * rng.normal(size=walk.shape))
            for time, cells in zip(np.datetime_as_string(times).tolist(), texts, strict=True):
                stream.write(f"{time.replace('T', ' ')},{','.join(cells)}\n")
    return name
