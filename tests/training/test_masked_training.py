"""A missing target is in no loss, no gradient and no validation score."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.forecasters.contract import LEVELS, Forecaster, SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.naive import LastValue
from benchmark.training.fit import fit, seed_all
from benchmark.training.heads import build_for_training
from benchmark.training.module import TrainingModule
from benchmark.training.score import score
from benchmark.training.spec import TrainingSpec

L, H, C = 6, 4, 2
SHAPE = SeriesShape(L, H, C, season=3)


def gappy_windows() -> Windows:
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(C, 40, generator=generator)
    targets = values.clone()
    targets[torch.rand(C, 40, generator=generator) < 0.3] = float("nan")
    return Windows(values, range(0, 40), L, H, targets=targets)


def loss_by_hand(loss: str, forecast: Tensor, y: Tensor) -> Tensor:
    """The mean over all targets that are there, one by one."""
    parts = []
    for b, h, c in (~y.isnan()).nonzero().tolist():
        true = y[b, h, c]
        if loss == "quantile":
            for level, found in zip(LEVELS, forecast[b, :, h, c], strict=True):
                short = true - found
                parts.append(2 * torch.maximum(level * short, (level - 1) * short))
        else:
            how = {"mse": F.mse_loss, "huber": F.huber_loss}.get(loss, F.l1_loss)
            counts = 1 + math.pi / 4 - math.atan(h + 1) if loss == "arctan" else 1
            parts.append(counts * how(forecast[b, h, c], true))
    return torch.stack(parts).mean()


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "arctan", "quantile"])
def test_the_gradient_is_that_without_the_missing_targets(loss: str) -> None:
    spec = TrainingSpec(loss=loss, learning_rate=1e-30, batch_size=8)
    torch.manual_seed(1)
    forecaster = build_for_training({"class": "Linear"}, SHAPE, spec, "here")
    windows = gappy_windows()
    module = TrainingModule(forecaster, spec, windows)
    module.configure_optimizers()
    module.on_train_epoch_start()
    module.manual_backward = lambda loss: loss.backward()
    x, y = windows.gather(torch.arange(8))
    assert y.isnan().any()
    module.optimise(x, y)
    found = [p.grad.clone() for p in forecaster.parameters()]
    forecaster.zero_grad()
    forecast = forecaster.quantiles(x) if loss == "quantile" else forecaster(x)
    expected = loss_by_hand(loss, forecast, y)
    expected.backward()
    assert float(module._loss_sum) == pytest.approx(float(expected.detach()), rel=1e-5)
    for gradient, parameter in zip(found, forecaster.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)


class Looking(Forecaster):
    """Keeps the horizons it is shown while training."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -1:].expand(-1, H, -1) + self.weight

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        self.seen.append(y)
        return self(x)


def test_teacher_forcing_sees_the_last_known_value_for_a_missing_one() -> None:
    forecaster, windows = Looking(SHAPE), gappy_windows()
    fit(forecaster, windows, windows, TrainingSpec(epochs=1, batch_size=len(windows)), seed=1)
    x, y = windows.gather(torch.arange(len(windows)))
    expected = []
    for lookback, horizon in zip(x, y, strict=True):
        last = lookback[-1]
        for step in horizon:
            last = torch.where(step.isnan(), last, step)
            expected.append(last)
    seen = forecaster.seen[0].reshape(-1, C)
    assert not seen.isnan().any()
    rows = {tuple(row) for row in torch.stack(expected).reshape(-1, H * C).tolist()}
    assert {tuple(row) for row in seen.reshape(-1, H * C).tolist()} == rows


def test_the_validation_score_is_the_mean_over_the_targets_there_are() -> None:
    windows = gappy_windows()
    x, y = windows.gather(torch.arange(len(windows)))
    error = (x[:, -1:] - y).double().numpy()
    found = score(LastValue(SHAPE), windows)
    assert found["mse"] == pytest.approx(np.nanmean(error**2), rel=1e-6)
    assert found["mae"] == pytest.approx(np.nanmean(abs(error)), rel=1e-6)
    forecaster = Looking(SHAPE)
    spec = TrainingSpec(epochs=1, batch_size=8, learning_rate=1e-30)
    assert fit(forecaster, windows, windows, spec, seed=1).val_mse == pytest.approx(found["mse"])


def test_a_batch_without_any_target_is_passed_over() -> None:
    values = torch.randn(C, 40)
    targets = torch.full_like(values, float("nan"))
    targets[:, 30:] = values[:, 30:]
    windows = Windows(values, range(0, 40), L, H, targets=targets)
    forecaster = Linear(SHAPE)
    x, y = windows.gather(torch.arange(len(windows)))
    with torch.no_grad():
        squared = (forecaster(x) - y).square().double().numpy()
    losses = [np.nanmean(one) for one in squared if not np.isnan(one).all()]
    assert len(losses) < len(windows)
    spec = TrainingSpec(epochs=2, batch_size=1, learning_rate=1e-30)
    report = fit(forecaster, windows, windows, spec, seed=1)
    found = [epoch.train_loss for epoch in report.epochs]
    assert found == pytest.approx([np.mean(losses)] * 2, rel=1e-5)


def test_what_is_behind_a_missing_target_changes_nothing(
    make_task: Callable[..., Task], values: Any
) -> None:
    """The mask policy with one gap after the last train row trains as the series without it."""
    gappy = values.copy()
    gappy[560] = np.nan
    weights = []
    for task in (make_task(), make_task(values=gappy, missing="mask")):
        seed_all(1)
        forecaster = Linear(SeriesShape(24, 12, 3, 24))
        spec = TrainingSpec(epochs=2, batch_size=64)
        fit(forecaster, task.windows("train"), task.windows("val"), spec, seed=1)
        weights.append(torch.cat([p.detach().flatten() for p in forecaster.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)
