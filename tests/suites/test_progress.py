from __future__ import annotations

import io
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from benchmark.harness.spec import RunSpec
from benchmark.records.record import RunRecord
from benchmark.suites.progress import RunProgress, describe
from benchmark.training.report import EarlierEpoch, Epoch


def spec(**fields: Any) -> RunSpec:
    given = {"name": "gru", "model": {"class": "Recurrent"}} | fields
    return RunSpec.model_validate_json(json.dumps(given))


def record(**fields: Any) -> RunRecord:
    row: dict[str, Any] = {
        "run_id": "r1", "status": "done", "dataset": "ETTh1", "lookback": 336, "horizon": 96,
        "model": "gru", "seed": 3, "config": "c", "mse": 0.43219, "mae": 0.41,
        "fitted": "gradient", "epochs": 10, "best_epoch": 7, "device": "cpu", "fingerprint": "f",
        "started": "2026-01-31T12:00:00+00:00", "benchmark_version": "1", "python_version": "3",
        "torch_version": "2", "lightning_version": "2",
    }  # fmt: skip
    return RunRecord(**(row | fields))


def lines(text: str) -> str:
    console = Console(file=io.StringIO(), width=60)
    console.print(text, soft_wrap=True, highlight=False)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_done_run_is_one_line_with_its_scores_time_and_best_epoch() -> None:
    line = lines(describe(record(), 12.34))
    assert line.count("\n") == 1
    for part in (
        "done",
        "gru",
        "ETTh1 336>96",
        "seed 3",
        "MSE 0.4322",
        "MAE 0.4100",
        "12.3 s",
        "7",
    ):
        assert part in line


def test_a_run_without_epochs_speaks_of_none() -> None:
    assert "epoch" not in describe(record(epochs=None, best_epoch=None), 0.1)


def test_a_failed_run_is_one_line_with_the_first_line_of_its_error_as_it_is() -> None:
    failed = record(
        status="failed", mse=None, mae=None, error="a.yaml: [bold]odd[/bold] [/]\nb.yaml: more"
    )
    line = lines(describe(failed, 1.0))
    assert line.count("\n") == 1
    assert "[bold]odd[/bold] [/]" in line
    assert "failed" in line
    assert "b.yaml" not in line
    assert "MSE" not in line


@pytest.mark.parametrize("terminal", [False, True])
def test_bars_are_for_terminals_and_count_expected_seconds_not_runs(terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, width=120, force_terminal=terminal)
    specs = {"r1": spec(training={"epochs": 4}), "r2": spec(seed=2)}
    with RunProgress(specs, {"r1": 30.0, "r2": 10.0}, console) as progress:
        total = progress._bars.tasks[0]
        progress.report("r1", None)
        progress.report("r1", Epoch(1, 0.5, 0.25, 0.3, 1.0))
        assert (total.completed, total.total) == (7.5, 40.0)
        assert progress._bars.tasks[1].fields["note"] == "epoch 1 of 4, val MSE 0.2500"
        progress.end(record())
        assert total.completed == 30.0
        assert len(progress._bars.tasks) == 1
        progress.report("r2", None)
        assert total.description == "1 of 2 runs"
        progress.end(record(run_id="r2"))
        assert total.completed == 40.0
    printed = text.getvalue()
    assert printed.count("MSE 0.4322") == 2
    assert ("ETA" in printed) == terminal
    if not terminal:
        assert printed.count("\n") == 2


def test_a_run_that_trains_twice_is_half_done_after_the_first_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        "benchmark.suites.progress.time", SimpleNamespace(perf_counter=lambda: clock.now)
    )
    specs = {"r1": spec(training={"epochs": 2}, refit=True)}
    with RunProgress(specs, {"r1": 40.0}, Console(file=io.StringIO())) as progress:
        total = progress._bars.tasks[0]
        progress.report("r1", None)
        found = []
        for number in (1, 2, 1, 2):
            clock.now += 10
            progress.report("r1", Epoch(number, 0.5, 0.25, 0.3, 1.0))
            found.append((total.completed, progress.seconds_left()))
    assert found == [(10, 30), (20, 20), (30, 10), (40, 0)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that shows its only item."""
    now = [0.0]
    monkeypatch.setattr("benchmark.suites.progress.time.perf_counter", lambda: now[0])
    return now


def test_an_ensembles_bar_never_goes_back() -> None:
    ridge, linear = {"class": "Ridge"}, {"class": "Linear"}
    members = [{"model": ridge}, {"model": linear, "copies": 2}, {"model": linear}]
    given = spec(model={"class": "Ensemble", "members": members}, training={"epochs": 2})
    with RunProgress({"r1": given}, {"r1": 60.0}, Console(file=io.StringIO())) as progress:
        progress.report("r1", None)
        found = []
        for number in (1, 2, 1, 1, 2):  # the second ends after one epoch
            progress.report("r1", Epoch(number, 0.5, 0.25, 0.3, 1.0))
            found.append(progress._bars.tasks[0].completed)
    assert found == [10, 20, 30, 50, 60]


def test_a_run_that_goes_on_says_after_what_and_its_eta_counts_what_was_trained_before(
    clock: list[float],
) -> None:
    text = io.StringIO()
    specs = {"r1": spec(training={"epochs": 4})}
    with RunProgress(specs, {"r1": 100.0}, Console(file=text, width=120)) as progress:
        progress.report("r1", None)
        clock[0] = 5.0
        progress.report("r1", Epoch(1, 0.5, 0.3, 0.4, 400.0))
        progress.report("r1", EarlierEpoch(2, 0.5, 0.25, 0.3, 815.0))
        assert progress.seconds_left() == pytest.approx(820.0), "two more epochs of 410 s"
        clock[0] = 415.0
        progress.report("r1", Epoch(3, 0.5, 0.2, 0.3, 1225.0))
        assert progress.seconds_left() == pytest.approx(410.0)
        progress.end(record())
    gone_on, epoch, done = text.getvalue().splitlines()
    assert gone_on == (
        "goes on  gru ETTh1 336 seed 1: after epoch 2 of 4, val MSE 0.2500, "
        "trained for 0:13:35 before"
    )
    assert epoch.endswith("epoch 3 of 4, val MSE 0.2000, ETA 0:06:50")
    assert "1230.0 s" in done


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_line_of_a_finished_run_and_its_bar_fit_into_the_terminal(width: int) -> None:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=True, color_system=None)
    with RunProgress({"r1": spec()}, {"r1": 30.0}, console) as progress:
        progress.report("r1", None)
        assert [task.visible for task in progress._bars.tasks] == [False, True]
        console.print(progress._bars)
        progress.end(record())
    shown = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", text.getvalue()).splitlines()
    (done,) = [line for line in shown if line.startswith("done")]
    assert len(done) <= width
    assert "MSE 0.4322" in done
    assert "runs" not in text.getvalue()
    assert any("gru ETTh1 336 seed 1" in line and "ETA" in line for line in shown)


def test_no_run_at_all_is_no_fault() -> None:
    with RunProgress({}, {}, Console(file=io.StringIO())) as progress:
        assert progress.seconds_left() == 0.0


def test_a_run_that_begins_anew_has_one_bar_and_what_comes_late_none() -> None:
    with RunProgress({"r1": spec()}, {"r1": 1.0}, Console(file=io.StringIO())) as progress:
        progress.report("r1", Epoch(1, 0.5, 0.25, 0.3, 1.0))  # of an attempt that nobody saw begin
        for _ in range(2):
            progress.report("r1", None)
        assert len(progress._bars.tasks) == 2
        progress.end(record())
        progress.report("r1", None)
        progress.report("r1", Epoch(1, 0.5, 0.25, 0.3, 1.0))
        assert len(progress._bars.tasks) == 1


def test_the_eta_of_several_at_once_shares_what_is_left_and_follows_their_pace(
    clock: list[float],
) -> None:
    specs = {f"r{i}": spec(seed=i, training={"epochs": 4}) for i in range(4)}
    with RunProgress(specs, dict.fromkeys(specs, 40.0), Console(file=io.StringIO())) as progress:
        assert progress.seconds_left() == 160.0
        progress.at_once = 2
        assert progress.seconds_left() == 80.0
        progress.report("r0", None)
        progress.report("r1", None)
        clock[0] = 30.0
        assert progress.seconds_left() == (10 + 10 + 40 + 40) / 2
        progress.report("r1", Epoch(1, 0.5, 0.25, 0.3, 1.0))  # so it takes 120 seconds
        assert progress.seconds_left() == (10 + 90 + 40 + 40) / 2
        progress.at_once = 4
        assert progress.seconds_left() == 90.0, "one run cannot be shared"
        progress.at_once = 2
        clock[0] = 75.0
        progress.end(record(run_id="r0"))  # in 75 seconds, not 40: half as much again, in doubt
        assert progress.seconds_left() == (45 + 60 + 60) / 2
        clock[0] = 85.0
        assert progress.seconds_left() == (35 + 60 + 60) / 2
        progress.end(record(run_id="r1", status="failed", mse=None, mae=None, error="x"))
        assert progress.seconds_left() == (60 + 60) / 2, "a failed run says nothing of the pace"
        clock[0] = 1000.0
        progress.report("r2", None)
        progress.report("r3", None)
        clock[0] = 2000.0
        assert progress.seconds_left() == 0.0


def test_without_a_terminal_a_long_run_shows_an_epoch_a_minute(clock: list[float]) -> None:
    text = io.StringIO()
    specs = {"r1": spec(training={"epochs": 10})}
    with RunProgress(specs, {"r1": 30.0}, Console(file=text)) as progress:
        progress.report("r1", None)
        for number in range(1, 11):
            clock[0] = 25.0 * number
            progress.report("r1", Epoch(number, 0.5, 0.25, 0.3, 25.0))
    shown = text.getvalue().splitlines()
    assert [line.split("epoch ")[1].split()[0] for line in shown] == ["3", "6", "9"]
    first = "gru ETTh1 336 seed 1: epoch 3 of 10, val MSE 0.2500, ETA 0:02:55"
    assert shown[0].strip() == first
