from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.evaluation.forecast import evaluate
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.naive import LastValue
from benchmark.forecasters.ridge import Ridge
from benchmark.training.fit import fit, seed_all
from benchmark.training.gradient import fit_by_gradient
from benchmark.training.report import Epoch, FitOptions, FitReport
from benchmark.training.score import score
from benchmark.training.spec import Schedule, TrainingSpec

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)


def train(
    task: Task, seed: int = 1, build: Callable[..., Forecaster] = Linear, **training: Any
) -> tuple[Forecaster, FitReport]:
    seed_all(seed)
    forecaster = build(SHAPE)
    spec = TrainingSpec(**({"epochs": 2, "batch_size": 64} | training))
    return forecaster, fit(forecaster, task.windows("train"), task.windows("val"), spec, seed)


class Dropping(Forecaster):
    """A linear map behind dropout: initial weights, order of batches and dropout are random."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.map = nn.Linear(shape.lookback, shape.horizon)
        self.drop = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(self.drop(x).transpose(1, 2)).transpose(1, 2)


class Scripted(Forecaster):
    """Off by `script[epoch]` in each of two channels of a series of zeros."""

    steps: Tensor

    def __init__(self, script: list[tuple[float, float]], steps_per_epoch: int) -> None:
        super().__init__(SeriesShape(lookback=4, horizon=2, channels=2, season=2))
        self.script = torch.tensor([(9.0, 9.0), *script])
        self.steps_per_epoch = steps_per_epoch
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        offset = self.script[self.steps // self.steps_per_epoch]
        return offset.expand(len(x), 2, 2) + 0 * self.weight

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        self.steps += 1
        return self(x)


def scripted(script: list[tuple[float, float]], **training: Any) -> tuple[Any, ...]:
    """A forecaster that follows the script, and what it is fitted on and how."""
    zeros = torch.zeros(2, 40)
    train, val = Windows(zeros, range(0, 30), 4, 2), Windows(zeros, range(30, 40), 4, 2)
    forecaster = Scripted(script, steps_per_epoch=math.ceil(len(train) / 10))
    spec = TrainingSpec(**({"epochs": len(script), "patience": 9, "batch_size": 10} | training))
    return forecaster, train, val, spec


def follow(script: list[tuple[float, float]], **training: Any) -> tuple[Scripted, FitReport]:
    forecaster, *rest = scripted(script, **training)
    return forecaster, fit(forecaster, *rest, seed=1)


def epoch_kept(forecaster: Scripted) -> int:
    return int(forecaster.steps) // forecaster.steps_per_epoch


def test_the_same_seed_gives_bit_equal_metrics_and_another_seed_does_not(task: Task) -> None:
    outcomes = {}
    for run, seed in (("first", 1), ("again", 1), ("other", 2)):
        forecaster, report = train(task, seed, Dropping)
        test = evaluate(forecaster, task, "cpu").errors
        outcomes[run] = (
            report.val_mse,
            report.val_mae,
            [(e.train_loss, e.val_mse) for e in report.epochs],
            test.squared.tobytes(),
            test.absolute.tobytes(),
        )
    assert outcomes["first"] == outcomes["again"]
    assert all(a != b for a, b in zip(outcomes["first"], outcomes["other"], strict=True))


@pytest.mark.parametrize(("monitor", "best"), [("mse", 3), ("mae", 2)])
def test_the_kept_weights_are_those_of_the_best_monitored_epoch(monitor: str, best: int) -> None:
    script = [(1.0, 1.0), (1.3, 0.0), (0.9, 0.9), (2.0, 2.0)]  # MSE 1, .845, .81; MAE 1, .65, .9
    forecaster, report = follow(script, monitor=monitor)
    assert report.best_epoch == best
    assert epoch_kept(forecaster) == best
    a, b = script[best - 1]
    assert report.val_mse == pytest.approx((a * a + b * b) / 2)
    assert report.val_mae == pytest.approx((a + b) / 2)
    assert [e.number for e in report.epochs] == [1, 2, 3, 4]


class Recording(Scripted):
    """Saves a list beside its tensors, and adds to it with each step."""

    def __init__(self, script: list[tuple[float, float]], steps_per_epoch: int) -> None:
        super().__init__(script, steps_per_epoch)
        self.seen: list[int] = []

    def get_extra_state(self) -> dict[str, list[int]]:
        return {"seen": self.seen}

    def set_extra_state(self, state: dict[str, list[int]]) -> None:
        self.seen = list(state["seen"])

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        self.seen.append(len(x))
        return super().training_forecast(x, y)


def test_what_is_kept_beside_tensors_is_of_the_best_epoch_too() -> None:
    _, *rest = scripted([(1.0, 1.0), (0.5, 0.5), (2.0, 2.0)])
    forecaster = Recording([(1.0, 1.0), (0.5, 0.5), (2.0, 2.0)], steps_per_epoch=3)
    report = fit(forecaster, *rest, seed=1)
    assert report.best_epoch == 2
    assert int(forecaster.steps) == len(forecaster.seen) == 2 * 3


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_training_stops_after_patience_epochs_without_a_better_score(patience: int) -> None:
    script = [(3.0, 3.0), (2.0, 2.0), *[(2.0, 2.0)] * 2, *[(5.0, 5.0)] * 4]  # a tie is no gain
    forecaster, report = follow(script, patience=patience)
    assert len(report.epochs) == 2 + patience
    assert report.best_epoch == 2
    assert epoch_kept(forecaster) == 2


def test_a_better_epoch_renews_the_patience() -> None:
    script = [(4.0, 4.0), (5.0, 5.0), (3.0, 3.0), (5.0, 5.0), (2.0, 2.0), (1.0, 1.0)]
    _, report = follow(script, patience=2)
    assert len(report.epochs) == 6
    assert report.best_epoch == 6


def test_an_epoch_that_is_known_is_kept_whatever_validation_says_and_is_the_last() -> None:
    script = [(2.0, 2.0), (1.0, 1.0), (3.0, 3.0), (0.5, 0.5)]
    forecaster, *rest = scripted(script, patience=1)
    report = fit_by_gradient(forecaster, *rest, 1, FitOptions(), 3)
    assert len(report.epochs) == report.best_epoch == 3
    assert epoch_kept(forecaster) == 3


def test_the_reported_validation_score_is_that_of_the_returned_forecaster(task: Task) -> None:
    forecaster, report = train(task, epochs=4, learning_rate=0.05)
    scores = score(forecaster, task.windows("val"))
    assert report.val_mse == pytest.approx(scores["mse"], rel=1e-6)
    assert report.val_mae == pytest.approx(scores["mae"], rel=1e-6)
    assert report.val_mse == min(epoch.val_mse for epoch in report.epochs)


def test_nothing_is_dropped_out_of_a_forecast_that_is_scored(task: Task) -> None:
    forecaster = Dropping(SHAPE)
    first, again = (score(forecaster.train(), task.windows("val")) for _ in range(2))
    assert first == again


def test_validation_scores_equal_a_loop_over_every_validation_window(
    task: Task, values: np.ndarray
) -> None:
    scaled = ((values - values[:400].mean(0)) / values[:400].std(0)).astype(np.float32)
    errors = []
    for first in range(400, 550 - 12 + 1):
        errors.append(scaled[first : first + 12] - scaled[first - 1])
    for build in (LastValue, Ridge):
        forecaster, report = train(task, build=build)
        assert report.epochs == ()
        assert report.best_epoch == 0
        if build is LastValue:
            assert report.val_mse == pytest.approx(np.square(errors).mean(), rel=1e-6)
            assert report.val_mae == pytest.approx(np.abs(errors).mean(), rel=1e-6)
        else:
            assert report.val_mse < np.square(errors).mean()
            alone = Ridge(SHAPE)
            alone.fit(task.windows("train"), task.windows("val"))  # not the other way round
            assert torch.equal(forecaster.get_buffer("weight"), alone.weight)


def test_a_fit_takes_the_steps_of_a_bare_loop(task: Task) -> None:
    forecaster, report = train(task, seed=5, learning_rate=0.01)
    seed_all(5)
    bare = Linear(SHAPE)
    optimiser = torch.optim.Adam(bare.parameters(), lr=0.01)
    order = torch.Generator().manual_seed(5)
    losses: list[list[float]] = []
    for _ in range(2):
        losses.append([])
        for x, y in task.windows("train").shuffled(64, order):
            optimiser.zero_grad()
            loss = (bare(x) - y).square().mean()
            loss.backward()
            optimiser.step()
            losses[-1].append(loss.item())
    assert report.best_epoch == 2
    for found, expected in zip(forecaster.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    expected_losses = [np.mean(epoch) for epoch in losses]
    assert [e.train_loss for e in report.epochs] == pytest.approx(expected_losses, rel=1e-5)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The numbers of the train windows that each step has taken."""
    numbers: list[Tensor] = []
    gather = Windows.gather

    def counting(self: Windows, index: Tensor) -> Any:
        if len(self) == 365:  # the train windows
            numbers.append(index)
        return gather(self, index)

    monkeypatch.setattr(Windows, "gather", counting)
    return numbers


def test_a_fit_reads_every_train_window_once_an_epoch_and_the_last_small_batch_too(
    task: Task, seen: list[Tensor]
) -> None:
    train(task, epochs=2, batch_size=100)
    assert [len(index) for index in seen] == [100, 100, 100, 65] * 2
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(365))
    assert first.tolist() != second.tolist()


def test_an_epoch_of_few_steps_takes_other_windows_each_time(
    task: Task, seen: list[Tensor]
) -> None:
    train(task, epochs=3, batch_size=50, epoch_steps=2)
    assert [len(index) for index in seen] == [50] * 6
    epochs = [set(torch.cat(seen[start : start + 2]).tolist()) for start in (0, 2, 4)]
    assert [len(epoch) for epoch in epochs] == [100] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    seen.clear()
    _, report = train(task, epochs=1, batch_size=50, epoch_steps=8)  # there are no more than 8
    assert [len(index) for index in seen] == [50] * 7 + [15]
    _, whole = train(task, epochs=1, batch_size=50)
    assert report.val_mse == whole.val_mse


def test_diverged_training_names_the_epoch_and_the_cure(task: Task) -> None:
    with pytest.raises(FloatingPointError, match=r"after epoch 1; lower training\.learning_rate"):
        train(task, learning_rate=1e38)


def test_on_epoch_is_told_of_every_epoch_as_it_ends(task: Task) -> None:
    told: list[Epoch] = []
    forecaster = Linear(SHAPE)
    windows = task.windows("train"), task.windows("val")
    spec = TrainingSpec(epochs=3, batch_size=64)
    began = time.perf_counter()
    report = fit(forecaster, *windows, spec, 1, FitOptions(on_epoch=told.append))
    took = time.perf_counter() - began
    assert tuple(told) == report.epochs
    assert [epoch.number for epoch in told] == [1, 2, 3]
    assert 0 < told[0].seconds < told[1].seconds < told[2].seconds <= report.seconds <= took


def test_bf16_trains_close_to_32_bit_but_not_alike(task: Task) -> None:
    _, exact = train(task, learning_rate=0.01)
    forecaster, rough = train(task, learning_rate=0.01, precision="bf16")
    assert rough.val_mse == pytest.approx(exact.val_mse, rel=0.02)
    assert rough.val_mse != exact.val_mse
    assert {p.dtype for p in forecaster.parameters()} == {torch.float32}


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "arctan"])
def test_the_reported_train_loss_is_the_named_loss(task: Task, loss: str) -> None:
    seed_all(1)
    forecaster = Linear(SHAPE)
    x, y = task.windows("train").gather(torch.arange(365))
    with torch.no_grad():
        error = (forecaster(x) - y).double().numpy()
    expected = {
        "mse": np.square(error),
        "mae": np.abs(error),
        "huber": np.where(np.abs(error) < 1, 0.5 * np.square(error), np.abs(error) - 0.5),
        "arctan": np.abs(error) * (1 + np.pi / 4 - np.arctan(np.arange(1, 13)))[:, None],
    }[loss].mean()
    _, report = train(task, epochs=1, batch_size=365, loss=loss)  # one batch: before any step
    assert report.epochs[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_options_that_do_nothing_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one_cycle has a warm-up of its own"):
        Schedule(kind="one_cycle", warmup=2)
