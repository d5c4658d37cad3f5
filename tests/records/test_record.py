from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from benchmark.errors import error_text
from benchmark.records.record import (
    COLUMNS,
    SCORES,
    RunRecord,
    column_kinds,
)

README = Path(__file__).parents[2] / "results" / "README.md"
FIELDS = RunRecord.model_fields


def test_the_columns_are_these_in_this_order():
    assert " ".join(COLUMNS) == (
        "run_id status dataset lookback horizon model seed config tuned mse mae rmse mase smape "
        "r2 mae_original crps coverage_80 width_80 coverage_95 "
        "val_mse val_mae params fitted fit_rows epochs best_epoch train_seconds "
        "energy_j macs latency_ms throughput "
        "peak_memory_mb device threads hardware data fingerprint test_windows channels started "
        "benchmark_version python_version "
        "torch_version lightning_version git_revision error"
    )


def test_the_kind_of_every_column_is_known():
    kinds = column_kinds()
    assert list(kinds) == list(COLUMNS)
    whole = [name for name, kind in kinds.items() if kind is int]
    assert " ".join(whole) == (
        "lookback horizon seed tuned params epochs best_epoch macs threads test_windows channels"
    )
    assert {
        kinds[name] for name in (*SCORES, "train_seconds", "latency_ms", "throughput", "energy_j")
    } == {float}
    assert {
        kinds[name] for name in ("status", "fitted", "fit_rows", "started", "error", "run_id")
    } == {str}


def test_every_column_is_described_and_the_readme_has_the_same_table():
    rows = [f"| `{name}` | {field.description} |" for name, field in FIELDS.items()]
    table = "\n".join(["| column | meaning |", "| --- | --- |", *rows, ""])
    assert table in README.read_text(encoding="utf-8")
    assert all(row.count("|") == 3 and len(row.split("|")[2]) > 10 for row in rows)


def test_a_notebook_that_reads_results_as_the_readme_says_has_what_the_file_has():
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    path = README.parent / "reference" / "etth1" / "results.csv"
    assert code
    found: dict[str, Any] = {}
    exec(code[1].replace("results/results.csv", path.as_posix()), found)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for name in found["names"]:
        assert found["rows"][name].tolist() == [row[name] for row in rows]


@pytest.mark.parametrize("score", ["mse", "mae"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_done_run_without_a_finite_score_cannot_exist(row, score, value):
    with pytest.raises(ValidationError):
        RunRecord(**row(**{score: value}))


@pytest.mark.parametrize(
    "score",
    [
        "mse", "mae", "rmse", "mase", "smape", "r2", "mae_original", "crps", "coverage_80",
        "width_80", "coverage_95", "val_mse", "val_mae",
    ],
)  # fmt: skip
def test_a_failed_run_with_a_score_cannot_exist(row, score):
    empty = row(status="failed", error="ValueError: no", mse=None, mae=None)
    RunRecord(**empty)
    with pytest.raises(ValidationError, match=f"cannot have a score, got {score}"):
        RunRecord(**(empty | {score: 0.5}))


def test_a_failed_run_without_an_error_and_a_done_run_with_one_cannot_exist(row):
    with pytest.raises(ValidationError, match="must say its error"):
        RunRecord(**row(status="failed", mse=None, mae=None))
    with pytest.raises(ValidationError, match="cannot have an error"):
        RunRecord(**row(error="ValueError: no"))


@pytest.mark.parametrize(
    "run_id",
    ["", ".", "..", "../up", "a/b", "a\\b", ".hidden", "-rf", "a b", "a\n", "ä", "x" * 129],
)
def test_a_run_id_that_is_no_safe_folder_name_is_refused(row, run_id):
    with pytest.raises(ValidationError, match="run_id"):
        RunRecord(**row(run_id))


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-x", "@a", "two\nlines", "\x1b[31m", ""])
@pytest.mark.parametrize("field", ["model", "dataset"])
def test_a_name_that_a_spreadsheet_or_a_terminal_would_run_is_refused(row, field, name):
    with pytest.raises(ValidationError, match=field):
        RunRecord(**row(**{field: name}))


def test_a_start_that_is_not_utc_is_refused(row):
    RunRecord(**row(started="2026-01-31T12:00:00Z"))
    for started in ("2026-01-31T12:00:00", "2026-01-31T12:00:00+02:00", "yesterday"):
        with pytest.raises(ValidationError, match="started"):
            RunRecord(**row(started=started))


def test_nothing_is_coerced_and_an_unknown_column_is_refused(row):
    for wrong in ({"seed": "0"}, {"lookback": 336.0}, {"mse": "0.5"}, {"scores": 1}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            RunRecord(**row(**wrong))


def test_a_numpy_double_is_kept_bit_for_bit(row):
    value = np.float64(0.1) + np.float64(0.2)
    assert RunRecord(**row(mse=value)).mse == float(value)


def test_an_error_becomes_one_printable_line():
    assert error_text(ValueError("loss is\n  nan\tat \x1b[31mepoch 3")) == (
        "ValueError: loss is nan at ?[31mepoch 3"
    )
    assert error_text(KeyboardInterrupt()) == "KeyboardInterrupt"
    long = error_text(RuntimeError("x" * 9000))
    assert len(long) == 500
    assert long.endswith("...")
