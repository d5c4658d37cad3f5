from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.data.task import Task
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.training.average import WeightAverage
from benchmark.training.fit import fit, seed_all
from benchmark.training.module import OPTIMISERS
from benchmark.training.score import score
from benchmark.training.spec import Schedule, TrainingSpec

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)
STEPS = 6  # 365 windows in batches of 64


class Log:
    """What the optimiser saw at each step."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.norms: list[float] = []
        self.weights: list[list[Tensor]] = []
        self.options: dict[str, Any] = {}


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """Make the optimisers of the suite tell what they do."""
    log = Log()

    def telling(base: Any) -> Any:
        class Telling(base):
            def step(self, closure: Any = None) -> Any:
                group = self.param_groups[0]
                log.options = {"kind": base.__name__, "weight_decay": group["weight_decay"]}
                log.rates.append(group["lr"])
                log.norms.append(
                    float(torch.cat([p.grad.flatten() for p in group["params"]]).norm())
                )
                result = super().step(closure)
                log.weights.append([p.detach().clone() for p in group["params"]])
                return result

        return Telling

    for name, base in list(OPTIMISERS.items()):
        monkeypatch.setitem(OPTIMISERS, name, telling(base))
    return log


@pytest.fixture
def train(task: Task, log: Log) -> Callable[..., Linear]:
    def train(**training: Any) -> Linear:
        seed_all(1)
        forecaster = Linear(SHAPE)
        spec = TrainingSpec(**({"epochs": 1, "batch_size": 64, "patience": 99} | training))
        fit(forecaster, task.windows("train"), task.windows("val"), spec, 1)
        return forecaster

    return train


def rates(train: Callable[..., Linear], log: Log, epochs: int, **schedule: Any) -> list[float]:
    train(epochs=epochs, learning_rate=0.01, schedule=Schedule(**schedule))
    assert len(log.rates) == epochs * STEPS
    return [rate / 0.01 for rate in log.rates]


def test_a_constant_rate_stays(train: Callable[..., Linear], log: Log) -> None:
    assert rates(train, log, 2) == [1.0] * 12


def test_the_exponential_schedule_halves_after_each_epoch(
    train: Callable[..., Linear], log: Log
) -> None:
    expected = [1.0] * STEPS + [0.5] * STEPS + [0.25] * STEPS
    assert rates(train, log, 3, kind="exponential") == pytest.approx(expected)


def test_the_exponential_schedule_holds_the_full_rate_first(
    train: Callable[..., Linear], log: Log
) -> None:
    expected = [1.0] * 3 * STEPS + [0.8] * STEPS + [0.64] * STEPS
    found = rates(train, log, 5, kind="exponential", factor=0.8, hold=3)
    assert found == pytest.approx(expected)


def test_warm_up_climbs_in_equal_steps_and_comes_before_the_held_epochs(
    train: Callable[..., Linear], log: Log
) -> None:
    climb = [(step + 1) / (2 * STEPS + 1) for step in range(2 * STEPS)]
    expected = climb + [1.0] * STEPS + [0.5] * STEPS
    assert rates(train, log, 4, kind="exponential", warmup=2) == pytest.approx(expected)


def test_warm_up_goes_before_a_constant_rate(train: Callable[..., Linear], log: Log) -> None:
    climb = [(step + 1) / (STEPS + 1) for step in range(STEPS)]
    assert rates(train, log, 2, warmup=1) == pytest.approx(climb + [1.0] * STEPS)


def test_the_cosine_schedule_falls_to_zero_over_what_follows_the_warm_up(
    train: Callable[..., Linear], log: Log
) -> None:
    climb = [(step + 1) / (STEPS + 1) for step in range(STEPS)]
    fall = [0.5 * (1 + math.cos(math.pi * step / (2 * STEPS))) for step in range(2 * STEPS)]
    found = rates(train, log, 3, kind="cosine", warmup=1)
    assert found == pytest.approx(climb + fall, abs=1e-6)
    assert found[-1] < 0.02


def test_one_cycle_peaks_at_the_full_rate_after_30_percent_of_the_steps(
    train: Callable[..., Linear], log: Log
) -> None:
    found = rates(train, log, 5, kind="one_cycle")
    peak = found.index(max(found))
    assert max(found) == pytest.approx(1.0, abs=0.01)
    assert peak in (8, 9)
    assert found[0] == pytest.approx(1 / 25)
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert found[-1] < 0.01


def test_gradient_clip_limits_the_norm_of_the_whole_gradient(
    train: Callable[..., Linear], log: Log
) -> None:
    train()
    free = list(log.norms)
    limit = sorted(free)[1]
    log.norms.clear()
    train(gradient_clip=limit)
    assert max(free) > 1.05 * limit
    assert max(log.norms) <= limit * (1 + 1e-4)
    assert log.norms[0] == pytest.approx(min(free[0], limit), rel=1e-4)


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW")])
def test_the_named_optimiser_gets_its_weight_decay(
    train: Callable[..., Linear], log: Log, name: str, kind: str
) -> None:
    train(optimiser=name, weight_decay=0.25)
    assert log.options == {"kind": kind, "weight_decay": 0.25}


def averaged(steps: list[list[Tensor]], first: list[Tensor], decay: float) -> list[Tensor]:
    """The moving average of the weights, in float64, one step at a time."""
    average = [weight.double() for weight in first]
    for number, weights in enumerate(steps):
        share = min(decay, (1 + number) / (10 + number))
        average = [
            share * a + (1 - share) * w.double() for a, w in zip(average, weights, strict=True)
        ]
    return average


def test_weight_average_equals_a_loop_and_swapping_twice_restores_both() -> None:
    torch.manual_seed(1)
    weights = [torch.randn(3, 2, requires_grad=True), torch.randn(4, requires_grad=True)]
    first = [weight.detach().clone() for weight in weights]
    average = WeightAverage(weights, decay=0.3)
    steps = []
    for _ in range(20):
        with torch.no_grad():
            for weight in weights:
                weight += torch.randn_like(weight)
        average.update()
        steps.append([weight.detach().clone() for weight in weights])
    average.swap()
    for found, expected in zip(weights, averaged(steps, first, 0.3), strict=True):
        torch.testing.assert_close(found.detach().double(), expected, rtol=1e-5, atol=1e-5)
    average.swap()
    assert all(torch.equal(a, b) for a, b in zip(weights, steps[-1], strict=True))
    average.swap()
    average.swap()
    assert all(torch.equal(a, b) for a, b in zip(weights, steps[-1], strict=True))


def test_with_ema_the_kept_weights_are_the_average_and_training_goes_on_from_its_own(
    train: Callable[..., Linear], task: Task, log: Log
) -> None:
    train(epochs=3, learning_rate=0.02)
    plain = list(log.weights)
    log.weights.clear()
    seed_all(1)
    first = [weight.detach().clone() for weight in Linear(SHAPE).parameters()]
    forecaster = train(epochs=3, learning_rate=0.02, ema_decay=0.5)
    for a, b in zip(plain, log.weights, strict=True):  # averaging does not touch the steps
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    candidates = [averaged(log.weights[: STEPS * n], first, 0.5) for n in (1, 2, 3)]
    scores = []
    probe = Linear(SHAPE)
    for candidate in candidates:
        with torch.no_grad():
            for weight, value in zip(probe.parameters(), candidate, strict=True):
                weight.copy_(value)
        scores.append(score(probe, task.windows("val"))["mse"])
    best = candidates[scores.index(min(scores))]
    for found, expected in zip(forecaster.parameters(), best, strict=True):
        torch.testing.assert_close(found.detach().double(), expected, rtol=1e-4, atol=1e-6)


def test_what_is_not_set_is_trained_as_ever() -> None:
    assert TrainingSpec(precision=32) == TrainingSpec()  # type: ignore[arg-type]
    assert TrainingSpec().model_dump() == {
        "epochs": 10,
        "epoch_steps": 0,
        "patience": 3,
        "monitor": "mse",
        "batch_size": 32,
        "optimiser": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "loss": "mse",
        "schedule": {"kind": "constant", "factor": 0.5, "hold": 1, "warmup": 0},
        "gradient_clip": 0.0,
        "ema_decay": 0.0,
        "precision": "32",
        "compile": False,
    }
