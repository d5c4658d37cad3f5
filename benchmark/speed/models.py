"""How fast every model is, against ``torch.nn.GRU`` measured in the same process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.data.windows import Windows
from benchmark.forecasters.contract import (
    Forecaster,
    SeriesShape,
    check_shape,
    forecasters_fault,
    going_back,
)
from benchmark.forecasters.linear import DLinear
from benchmark.forecasters.resolve import build_forecaster, how_fitted, source_digest
from benchmark.harness.spec import RunSpec
from benchmark.speed import timing
from benchmark.training.fit import fit
from benchmark.training.report import FitOptions
from benchmark.training.spec import TrainingSpec

BATCH = 32
LENGTH = 336
WIDTH = 64
CHANNELS = 7
SEASON = 24
ETTH1_ROWS = {"train": range(8640), "val": range(8640, 11520)}


@dataclass(frozen=True)
class Speed:
    """One model's speed at a batch of 32 windows of ETTh1's size.

    Attributes:
        name: the model.
        forward: windows forecast a second.
        step: windows trained on a second (forward, backward and optimiser); None where nothing
            is trained by gradient.
        relative: time of a training step (or of a forecast, where there is none) over that of the
            yardstick: two layers of ``torch.nn.GRU`` 64 wide over 336 steps.
    """

    name: str
    forward: float
    step: float | None
    relative: float


def measure(specs: Sequence[RunSpec], device: torch.device, repeats: int = 5) -> list[Speed]:
    """Time each model's forecast and training step beside the yardstick's.

    Args:
        specs: the models, at their own lookback and horizon.
        device: where.
        repeats: interleaved repeats, of which the median is taken.

    Raises:
        UserError: a model cannot be built, or its forecast is of another shape.
    """
    gru = nn.GRU(WIDTH, WIDTH, num_layers=2, batch_first=True).to(device)
    x = torch.randn(BATCH, LENGTH, WIDTH, device=device)
    gru_forward, gru_step = _forward(gru, x), _step(gru, lambda: gru(x)[0].square().mean())
    forward, step = (timing.seconds(call, device, repeats) for call in (gru_forward, gru_step))
    rows = [Speed("torch.nn.GRU, 2 x 64", BATCH / forward, BATCH / step, 1.0)]
    for spec in specs:
        shape = SeriesShape(spec.lookback, spec.horizon, CHANNELS, SEASON)
        with forecasters_fault(spec.name, own=bool(source_digest(spec.model, spec.name))):
            forecaster = build_forecaster(spec.model, shape, spec.name).to(device)
            rows.append(_measure_one(spec, forecaster, device, repeats, gru_forward, gru_step))
    return rows


def _measure_one(
    spec: RunSpec,
    forecaster: Forecaster,
    device: torch.device,
    repeats: int,
    gru_forward: Callable[[], None],
    gru_step: Callable[[], None],
) -> Speed:
    x = torch.randn(BATCH, spec.lookback, CHANNELS, device=device)
    y = torch.randn(BATCH, spec.horizon, CHANNELS, device=device)
    check_shape(forecaster(x), (BATCH, spec.horizon, CHANNELS))
    forward, gru = timing.side_by_side(_forward(forecaster, x), gru_forward, device, repeats)
    if how_fitted(spec.model, spec.name) != "gradient":
        return Speed(spec.name, BATCH / forward, None, forward / gru)
    step, gru = timing.side_by_side(
        _step(forecaster, lambda: F.mse_loss(forecaster.training_forecast(x, y), y)),
        gru_step,
        device,
        repeats,
    )
    return Speed(spec.name, BATCH / forward, BATCH / step, step / gru)


def _forward(module: nn.Module, x: Tensor) -> Callable[[], None]:
    def call() -> None:
        module.eval()
        with torch.no_grad():
            module(x)

    return call


def _step(module: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimiser = torch.optim.Adam(module.parameters(), fused=True)

    def call() -> None:
        module.train()
        optimiser.zero_grad()
        found = loss()
        with going_back():
            found.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return call


@dataclass(frozen=True)
class LoopSpeed:
    """A DLinear training epoch on ETTh1's size: seconds through `fit`, and in a bare loop.

    Attributes:
        suite: Lightning and all, without validation.
        bare: gather, two linear layers, Adam, nothing else.
        dlinear: the bare loop with DLinear's moving average as well.
    """

    suite: float
    bare: float
    dlinear: float


def measure_loop(repeats: int = 5) -> LoopSpeed:
    """Time the suite's training loop against bare ones, epoch by epoch in turn."""
    rows, end = ETTH1_ROWS["train"], ETTH1_ROWS["val"].stop
    values = torch.randn(CHANNELS, end)
    train = Windows(values[:, : rows.stop].contiguous(), rows, LENGTH, LENGTH)
    tail = Windows(values, range(end - LENGTH, end), LENGTH, LENGTH)
    shape = SeriesShape(LENGTH, LENGTH, CHANNELS, SEASON)
    two = nn.ModuleList([nn.Linear(LENGTH, LENGTH), nn.Linear(LENGTH, LENGTH)])
    dlinear = DLinear(shape)
    spec = TrainingSpec(epochs=2, patience=99)

    def through_fit() -> float:
        ends: list[float] = []
        fit(DLinear(shape), train, tail, spec, 1, FitOptions(lambda e: ends.append(e.seconds)))
        return ends[1] - ends[0]

    def two_linear(x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        return cast(Tensor, (two[0](x) + two[1](x)).transpose(1, 2))

    turns = [
        (through_fit(), _bare_epoch(two, two_linear, train), _bare_epoch(dlinear, dlinear, train))
        for _ in range(repeats)
    ]
    suite, bare, with_average = (statistics.median(column) for column in zip(*turns, strict=True))
    return LoopSpeed(suite=suite, bare=bare, dlinear=with_average)


def _bare_epoch(module: nn.Module, forecast: Callable[[Tensor], Tensor], train: Windows) -> float:
    optimiser = torch.optim.Adam(module.parameters())
    order = torch.Generator().manual_seed(1)
    started = time.perf_counter()
    for x, y in train.shuffled(BATCH, order):
        loss = F.mse_loss(forecast(x), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return time.perf_counter() - started
