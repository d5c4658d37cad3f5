"""A run that fails is a row with its error; the suite goes on, and tries it again next time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import benchmark.harness.fitted as harness
from benchmark.records.record import RunRecord
from benchmark.records.store import Store

FAILING = """
import sys
from pathlib import Path

from benchmark.forecasters.linear import Linear


class Big(Linear):
    def forward(self, x):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\\n\\x1b[31mSee above")


class Undefined(Linear):
    fitted = "none"

    def forward(self, x):
        return super().forward(x) * float("nan")


class Crooked(Linear):
    def forward(self, x):
        return super().forward(x)[..., :1]


class Choosy(Linear):
    def __init__(self, shape):
        if shape.horizon > 1:
            raise ValueError("needs a horizon of 1")


class Full(Linear):
    def forward(self, x):
        raise MemoryError


class Leaving(Linear):
    def forward(self, x):
        sys.exit(0)


class LeavingLate(Linear):
    fitted = "none"

    def forward(self, x):
        sys.exit("enough")


class Stopping(Linear):
    def forward(self, x):
        return super().forward(x) if self.training else next(iter(()))


class StoppingSoon(Linear):
    def forward(self, x):
        return next(iter(())) if self.training else super().forward(x)


class Mended(Linear):
    def forward(self, x):
        if not Path("mended").exists():
            raise RuntimeError("not yet")
        return super().forward(x)
"""

RunTiny = Callable[..., Any]


@pytest.fixture
def run_failing(
    toy: Path,
    run_tiny: RunTiny,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> Callable[..., Any]:
    """Run a suite of the naive model, one that fails, and a linear one after it."""

    def run(name: str, **training: Any) -> Any:
        write_module("users_failing", FAILING)
        failing = {
            "name": "failing",
            "lookback": 24,
            "model": {"class": f"users_failing.{name}" if name else "Linear"},
            "training": {"epochs": 1, "batch_size": 64} | training,
        }
        write_yaml("failing.yaml", failing)
        models = ["naive.yaml", "failing.yaml", "linear.yaml"]
        grid = {"datasets": ["toy"], "horizons": [12]}
        return run_tiny(models=models, grids=[grid], seeds=[1])

    return run


def rows(toy: Path) -> dict[str, RunRecord]:
    return {record.model: record for record in Store(toy / "results").records()}


@pytest.mark.parametrize(
    ("name", "training", "error"),
    [
        ("Big", {}, "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB. ?[31mSee above"),
        ("Undefined", {}, "FloatingPointError: the forecast of a validation window is not finite"),
        ("", {"learning_rate": 1e38}, "FloatingPointError: training diverged: validation error is"),
        (
            "Crooked",
            {},
            "ForecastError: a forecast must have shape (64, 12, 3), but has (64,",
        ),
        ("Full", {}, "MemoryError"),
        ("Choosy", {}, "failing.yaml: model: needs a horizon of 1"),
        ("Leaving", {}, "RuntimeError: the model ended the program: sys.exit(0)"),
        ("LeavingLate", {}, "RuntimeError: the model ended the program: sys.exit('enough')"),
        ("Stopping", {}, "RuntimeError: the model raised StopIteration"),
        ("StoppingSoon", {}, "RuntimeError: the model raised StopIteration"),
    ],
)
def test_a_failing_model_is_a_row_with_its_error_and_the_suite_goes_on(
    toy: Path, run_failing: RunTiny, name: str, training: dict[str, Any], error: str
) -> None:
    done = run_failing(name, **training)
    found = rows(toy)
    assert {model: row.status for model, row in found.items()} == {
        "naive": "done", "failing": "failed", "linear": "done",
    }  # fmt: skip
    failed = found["failing"]
    assert failed.error is not None
    assert failed.error.startswith(error)
    assert failed.mse is failed.val_mse is None
    assert done.outcome.failed == (failed,)
    lines = done.output.splitlines()
    assert [line.split()[0] for line in lines] == ["done", "failed", "done"]
    assert error in lines[1]
    folder = toy / "results" / "runs" / failed.run_id
    trace = (folder / "traceback.txt").read_text()
    assert trace.startswith("Traceback (most recent call last):")
    assert "Error" in trace
    assert (folder / "run.yaml").exists()
    assert not (folder / "errors.npz").exists()


def test_a_failed_run_is_tried_again_and_nothing_else_is(toy: Path, run_failing: RunTiny) -> None:
    assert "done already" not in run_failing("Mended").output
    failed = rows(toy)["failing"]
    again = run_failing("Mended")
    assert "2 of 3 runs are done already" in again.output
    assert len(again.outcome.failed) == 1
    (toy / "mended").touch()
    mended = run_failing("Mended")
    assert "2 of 3 runs are done already" in mended.output
    assert mended.outcome.failed == ()
    row = rows(toy)["failing"]
    assert (row.run_id, row.status, row.error) == (failed.run_id, "done", None)
    assert not (toy / "results" / "runs" / row.run_id / "traceback.txt").exists()
    assert "3 of 3 runs are done already" in run_failing("Mended").output


def test_ctrl_c_in_a_run_ends_a_suite_and_is_no_failed_row(
    toy: Path, run_failing: RunTiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = harness.evaluate

    def stopping(forecaster: Any, *arguments: Any) -> Any:
        if type(forecaster).__name__ == "Linear":
            raise KeyboardInterrupt
        return evaluate(forecaster, *arguments)

    monkeypatch.setattr(harness, "evaluate", stopping)
    assert run_failing("").outcome.interrupted
    assert set(rows(toy)) == {"naive"}
    assert [path.name for path in (toy / "results" / "runs").glob(".*")] == []


def test_a_failure_of_what_was_done_before_is_told_and_costs_nothing(
    toy: Path, run_failing: RunTiny, run_tiny: RunTiny
) -> None:
    (toy / "mended").touch()
    run_failing("Mended")
    before = rows(toy)["failing"]
    (toy / "mended").unlink()
    grid = {"datasets": ["toy"], "horizons": [12]}
    again = run_tiny(models=["failing.yaml"], grids=[grid], seeds=[1], force=True)
    (failed,) = again.outcome.failed
    assert (failed.run_id, failed.error) == (before.run_id, "RuntimeError: not yet")
    assert "RuntimeError: not yet" in again.output
    assert rows(toy)["failing"] == before
    assert (toy / "results" / "runs" / before.run_id / "errors.npz").exists()
