"""A whole run on a data set with gaps: what it leaves behind, what leaks, what stays the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from benchmark.audit.audit import audit
from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.errors import UserError
from benchmark.harness.plan import plan
from benchmark.harness.run import run
from benchmark.harness.spec import Execution, RunSpec
from benchmark.pitfalls.study import measure
from benchmark.records.losses import read_losses
from benchmark.records.store import Store

MODELS: dict[str, dict[str, Any]] = {
    "linear": {"class": "Linear"},
    "ridge": {"class": "Ridge"},
    "naive": {"class": "SeasonalNaive"},
    "seq2seq": {
        "class": "Recurrent",
        "cell": "lstm",
        "hidden_size": 4,
        "patch": 12,
        "normalise": "standard",
        "decoder": "seq2seq",
        "teacher_forcing": 0.5,
    },
}


def spec(model: dict[str, Any], dataset: str = "toy") -> RunSpec:
    return RunSpec(
        name="m", dataset=dataset, lookback=24, horizon=12, model=model,
        training={"epochs": 1, "batch_size": 64},
    )  # fmt: skip


@pytest.fixture
def gappy(toy: Path, write_dataset: Callable[..., Path], values: NDArray[np.float64]) -> Path:
    """The data set ``gaps``: a tenth of the cells empty, an outage, some rows absent."""
    path = write_dataset("gaps", missing="mask")
    missing = np.random.default_rng(2).random(values.shape) < 0.1
    missing[560:600] = True
    lines = path.read_text().splitlines()
    for row in range(len(values)):
        time, *cells = lines[row + 1].split(",")
        kept = ["" if gap else cell for gap, cell in zip(missing[row], cells, strict=True)]
        lines[row + 1] = ",".join([time, *kept])
    del lines[101:104]
    path.write_text("\n".join(lines) + "\n")
    return toy


@pytest.mark.parametrize("model", MODELS)
def test_a_run_on_gaps_scores_what_is_there(model: str, gappy: Path) -> None:
    execution = Execution(results=gappy / "results", device="cpu")
    record = run(plan(spec(MODELS[model], "gaps"), "here"), execution)
    with np.load(Store(execution.results).runs / record.run_id / "errors.npz") as errors:
        known, squared = errors["known"], errors["squared"]
    assert known.min() == 0  # the outage is longer than a horizon
    assert known.max() == 12
    there = known > 0
    assert record.test_windows == there.any(axis=1).sum() < len(known)
    assert record.mse == pytest.approx((squared * known)[there].sum() / known.sum(), rel=1e-6)
    rows = pd.DataFrame([record.model_dump()])
    for metric in ("mse", "mae"):
        (losses,) = read_losses(gappy / "results" / "results.csv", rows, metric).values()
        assert len(losses) == len(known)
        assert losses.mean() == pytest.approx(getattr(record, metric), rel=1e-5)
    assert record.coverage_80 is not None
    assert 0.5 < record.coverage_80 < 1


@pytest.mark.parametrize("model", MODELS)
def test_mask_is_the_error_policy_to_the_last_digit_where_nothing_is_missing(
    model: str, toy: Path, write_dataset: Callable[..., Path]
) -> None:
    write_dataset("whole", missing="mask")
    execution = Execution(results=toy / "results", device="cpu")
    one, other = (run(plan(spec(MODELS[model], d), "here"), execution) for d in ("toy", "whole"))
    scores = [
        {k: v for k, v in record.model_dump().items() if isinstance(v, float)}
        for record in (one, other)
    ]
    measured = {"train_seconds", "latency_ms", "throughput", "peak_memory_mb", "energy_j"}
    for name in scores[0].keys() - measured:
        assert scores[0][name] == scores[1][name], name
    assert one.fingerprint != other.fingerprint  # the policy is part of the protocol


def test_nothing_leaks_through_what_is_filled(
    toy: Path, write_dataset: Callable[..., Path], values: NDArray[np.float64]
) -> None:
    """Gaps in the audit's test rows (118 to 153) alone: a fit must not even know that there are."""
    path = write_dataset("late", missing="mask")
    text = path.read_text()
    for row in (*range(125, 150, 4), 145, 146):
        text = text.replace(f",{float(values[row, 1])!r},", ",,")
    path.write_text(text)
    findings = audit(spec({"class": "Linear"}, "late"), "here")
    assert [finding.check for finding in findings if not finding.passed] == []


def test_known_mistakes_are_measured_on_whole_series_only(gappy: Path) -> None:
    with pytest.raises(UserError, match="dataset gaps: masks missing values"):
        measure(load(load_card("gaps")), 12, [])
