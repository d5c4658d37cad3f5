from __future__ import annotations

import json
from collections.abc import Callable
from inspect import getclosurevars
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import benchmark.speed.cells as cell_speed
import benchmark.speed.models as speed
import benchmark.speed.timing as timing
from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster
from benchmark.forecasters.linear import Linear
from benchmark.harness.spec import RunSpec
from benchmark.speed.cells import measure_cells


def spec(name: str, **model: Any) -> RunSpec:
    given = {"name": name, "lookback": 24, "horizon": 12, "model": model}
    return RunSpec.model_validate_json(json.dumps(given))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "BATCH", 4)
    monkeypatch.setattr(speed, "LENGTH", 24)
    monkeypatch.setattr(speed, "WIDTH", 8)
    monkeypatch.setattr(speed, "ETTH1_ROWS", {"train": range(200), "val": range(200, 280)})


def test_every_model_is_timed_beside_the_yardstick() -> None:
    specs = [spec("linear", **{"class": "Linear"}), spec("naive", **{"class": "LastValue"})]
    yardstick, linear, naive = speed.measure(specs, torch.device("cpu"), repeats=1)
    assert yardstick.name == "torch.nn.GRU, 2 x 64"
    assert yardstick.relative == 1.0
    assert (linear.name, naive.name) == ("linear", "naive")
    assert yardstick.step is not None
    assert linear.step is not None
    assert naive.step is None  # nothing is trained
    assert min(yardstick.forward, yardstick.step, linear.forward, linear.step, naive.forward) > 0
    assert naive.relative < 1  # a view of the last value beside two recurrent layers


def test_a_models_windows_a_second_and_share_of_the_yardsticks_time_are_of_its_own_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def clock(own: Callable[[], None], yardstick: Callable[[], None], *_: object) -> Any:
        """A step takes longer than a forecast, and a model longer than the yardstick."""
        steps = ["optimiser" in getclosurevars(call).nonlocals for call in (own, yardstick)]
        modules = [getclosurevars(call).nonlocals["module"] for call in (own, yardstick)]
        assert steps[0] == steps[1]
        assert [isinstance(module, Forecaster) for module in modules] == [True, False]
        return (0.4, 0.1) if steps[0] else (0.02, 0.01)

    def alone(call: Callable[[], None], *_: object) -> float:
        return 0.08 if "optimiser" in getclosurevars(call).nonlocals else 0.008

    monkeypatch.setattr(timing, "side_by_side", clock)
    monkeypatch.setattr(timing, "seconds", alone)
    specs = [spec("linear", **{"class": "Linear"}), spec("naive", **{"class": "LastValue"})]
    rows = speed.measure(specs, torch.device("cpu"))
    assert [(row.forward, row.step, row.relative) for row in rows] == [
        pytest.approx((500, 50, 1)),
        pytest.approx((200, 10, 4)),
        (pytest.approx(200), None, pytest.approx(2)),
    ]


class Short(Linear):
    """Forecasts a step less than it should."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, 1:]


def test_a_forecast_of_another_shape_is_not_timed() -> None:
    wrong = spec("short", **{"class": f"{__name__}.Short"})
    with pytest.raises(UserError, match=r"short: model: a forecast must have shape \(4, 12, 7\)"):
        speed.measure([wrong], torch.device("cpu"), repeats=1)


def test_of_an_ensemble_with_nothing_to_train_no_step_is_timed() -> None:
    members = [{"model": {"class": "Ridge"}}, {"model": {"class": "LastValue"}}]
    given = spec("mean", **{"class": "Ensemble", "members": members})
    _, mean = speed.measure([given], torch.device("cpu"), repeats=1)
    assert mean.step is None


def test_the_loop_is_timed_beside_bare_ones() -> None:
    took = speed.measure_loop(repeats=1)
    assert min(took.suite, took.bare, took.dlinear) > 0


def test_every_cell_is_timed_at_growing_lengths_beside_the_yardstick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cell_speed, "BATCH", 2)
    monkeypatch.setattr(cell_speed, "WIDTH", 8)

    def clock(
        own: Callable[[], None], yardstick: Callable[[], None], *_: object
    ) -> tuple[float, float]:
        """Both are really called; what a busy machine would say of them is not the matter here."""
        gru = getclosurevars(yardstick).nonlocals["recurrence"]
        assert isinstance(gru, nn.GRU)
        assert gru.batch_first
        own()
        yardstick()
        return 0.3, 0.2

    monkeypatch.setattr(cell_speed, "side_by_side", clock)
    rows = list(measure_cells(["gru", "mamba"], torch.device("cpu"), lengths=(8, 400), repeats=1))
    assert [(row.cell, row.length) for row in rows] == [
        ("gru", 8),
        ("gru", 400),
        ("mamba", 8),
        ("mamba", 400),
    ]
    assert rows[0].memory == rows[1].memory == pytest.approx(1, abs=0.2)  # ours is torch's
    assert rows[3].memory > 1  # a state of 16 numbers a channel is not for nothing
    assert [(row.seconds, row.relative) for row in rows] == [(0.3, pytest.approx(1.5))] * 4


def test_an_accelerators_earlier_work_is_in_no_calls_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=0.0, busy_until=0.0)

    def call() -> None:  # takes the host 10 ms to ask for and the device 200 ms to do
        clock.now += 0.01
        clock.busy_until = max(clock.busy_until, clock.now) + 0.2

    def synchronize(device: torch.device) -> None:
        clock.now = max(clock.now, clock.busy_until)

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    assert timing.seconds(call, torch.device("cuda"), 3) == pytest.approx(0.2, rel=0.05)


def test_the_command_shows_the_figures_of_each_where_they_belong(
    toy: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def models(*_: object) -> list[speed.Speed]:
        return [speed.Speed("one", 1234.0, 56.0, 0.25), speed.Speed("two", 78.0, None, 2.5)]

    def cells(names: list[str], _: object) -> list[cell_speed.CellSpeed]:
        figures = enumerate(cell_speed.LENGTHS, 1)
        return [
            cell_speed.CellSpeed(*names, length, n / 100, n / 2, n / 4) for n, length in figures
        ]

    monkeypatch.setattr(speed, "LENGTH", 336)
    monkeypatch.setattr(speed, "measure", models)
    monkeypatch.setattr(speed, "measure_loop", lambda: speed.LoopSpeed(6.0, bare=2.0, dlinear=4.0))
    monkeypatch.setattr(cell_speed, "measure_cells", cells)
    shown = [command("speed", *words) for words in ((), ("--loop",), ("--cells",))]
    assert [answer.code for answer in shown] == [0, 0, 0]
    by_name, loop, by_cell = (
        [line.split() for line in answer.out.splitlines()] for answer in shown
    )
    assert ["one", "1,234", "56", "0.250", "x"] in by_name
    assert ["two", "78", "-", "2.500", "x"] in by_name
    seconds = [next(word for word in line if word[0].isdigit()) for line in loop]
    assert seconds == ["2.000", "4.000", "6.000"]
    assert "3.00 x the first, 1.50 x the second" in shown[1].out
    times = "10 ms 0.50 x 20 ms 1.00 x 30 ms 1.50 x 40 ms 2.00 x"
    memory = "0.50 x"  # at 336 steps
    assert f"gru {times} {memory}" in [" ".join(line) for line in by_cell]
