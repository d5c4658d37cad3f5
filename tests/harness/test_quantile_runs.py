from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.audit.audit import audit
from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.data.task import Task
from benchmark.forecasters.contract import LEVELS
from benchmark.harness.spec import load_run
from benchmark.records.store import Store
from benchmark.records.table import read_results
from benchmark.reports.leaderboard import to_markdown
from benchmark.reports.ranking import leaderboard

NEW = ("crps", "coverage_80", "width_80", "coverage_95")


def row(toy: Path) -> Any:
    (record,) = Store(toy / "results").records()
    return record


def seasonal_naive(task: Task, split: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Target and forecast of every window ``(W, H, C)``, from the scaled rows themselves."""
    rows, season, horizon = task.borders[split], task.season, task.horizon
    first = range(rows.start, rows.stop - horizon + 1)
    values = task.scaled.astype(np.float64)
    target = np.stack([values[r : r + horizon] for r in first])
    return target, np.stack([values[r - season : r - season + horizon] for r in first])


def test_the_kept_quantiles_give_the_rows_coverage_on_the_embedded_data_set(
    workplace: Path, command: Callable[..., Any]
) -> None:
    words = ["dataset=akl_pedestrians", "horizon=24", "lookback=48"]
    answer = command("run", "seasonal_naive", *(w for word in words for w in ("--set", word)))
    assert answer.code == 0, answer.err
    record = row(workplace)
    kept = np.load(workplace / "results" / "runs" / record.run_id / "quantiles.npz")
    assert kept["levels"].tolist() == list(LEVELS)
    task = Task(load(load_card("akl_pedestrians")), 48, 24)
    target, forecast = seasonal_naive(task, "val")
    assert kept["num_windows"] == len(target)
    for number, level in enumerate(LEVELS):
        below = (target <= forecast + kept["offsets"][number] + 1e-5).mean(axis=0)
        assert (np.abs(below - level) < 0.05).mean() > 0.9, level  # but for ties: counts of people
    target, forecast = seasonal_naive(task, "test")
    low, high = (forecast + kept["offsets"][k] for k in (1, 9))
    inside = ((low - 1e-6 <= target) & (target <= high + 1e-6)).mean()
    assert record.coverage_80 == pytest.approx(inside, abs=2e-3)
    assert record.width_80 == pytest.approx((high - low).mean(), rel=1e-4)
    assert 0.7 < record.coverage_80 < 0.9
    assert 0.9 < record.coverage_95 < 1
    assert record.crps < record.mae


def test_heads_are_an_option_of_training(
    toy: Path, command: Callable[..., Any], small: Callable[..., str]
) -> None:
    answer = command("run", small(), "--set", "training.loss=quantile", "--checkpoint")
    assert answer.code == 0, answer.err
    record = row(toy)
    assert record.params == len(LEVELS) * (24 * 12 + 12)
    assert record.crps < record.mae
    assert all(getattr(record, name) is not None for name in NEW)
    command("run", small())
    assert len(Store(toy / "results").records()) == 2  # another loss is another run


def test_a_search_and_an_audit_train_the_heads_too(
    toy: Path, command: Callable[..., Any], small: Callable[..., str]
) -> None:
    path = small(training={"loss": "quantile"})
    answer = command("tune", path, "--budget", 2)
    assert answer.code == 0, answer.err
    (trials,) = (toy / "results" / "tune").glob("*/trials.json")
    assert '"failed"' not in trials.read_text()
    findings = audit(load_run(Path(path)), path)
    assert [finding.check for finding in findings if not finding.passed] == []


def test_runs_and_tables_from_before_there_were_quantiles_keep_working(
    toy: Path, command: Callable[..., Any], small: Callable[..., str]
) -> None:
    command("run", small())
    record = row(toy)
    folder = toy / "results" / "runs" / record.run_id
    (folder / "quantiles.npz").unlink()
    (folder / "SHA256SUMS").unlink()  # nor were there checksums
    old = {key: value for key, value in record.model_dump().items() if key not in NEW}
    (folder / "record.json").write_text(json.dumps(old))
    answer = command("run", small())
    assert "done already" in answer.out
    assert row(toy) == record.model_copy(update=dict.fromkeys(NEW))

    table = toy / "results" / "results.csv"
    with table.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [name for name in lines[0] if name not in NEW])
        writer.writeheader()
        writer.writerows({k: v for k, v in line.items() if k not in NEW} for line in lines)
    read = read_results(table)
    assert read[list(NEW)].isna().all(axis=None)
    assert read["mse"].tolist() == [record.mse]
    assert "quantiles" not in to_markdown(leaderboard(read))
