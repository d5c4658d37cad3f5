from __future__ import annotations

import json
from typing import Any

import pytest
import torch

import benchmark.harness.speed as speed
from benchmark.harness.spec import RunSpec


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


def test_the_loop_is_timed_beside_bare_ones() -> None:
    took = speed.measure_loop(repeats=1)
    assert min(took.suite, took.bare, took.dlinear) > 0
