"""Train a model to its last epoch, keep every epoch's weights, and score what each way chooses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.data.folds import folds
from benchmark.data.load import Series
from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.epochs.ways import WAYS, Array, Curves
from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster, forecasters_fault
from benchmark.forecasters.resolve import find_forecaster, how_fitted, source_digest
from benchmark.harness.build import unfitted
from benchmark.harness.identity import identify
from benchmark.harness.pieces import Piece, made_anew
from benchmark.harness.spec import RunSpec
from benchmark.training.fit import fit
from benchmark.training.report import Epoch, FitOptions
from benchmark.training.score import score

Weights = Mapping[str, Any]


@dataclass(frozen=True)
class Worth:
    """What each way's choice scores on test: one model, one data set, every seed.

    Attributes:
        dataset: its name.
        model: its name.
        mse: mean squared error on test by way, one for each seed.
        of_seeds: the same of the mean forecast of all seeds, each chosen as a run would.
        best: the least of any epoch, one for each seed; only test shows it.
    """

    dataset: str
    model: str
    mse: Mapping[str, tuple[float, ...]]
    of_seeds: float
    best: tuple[float, ...]


@dataclass(frozen=True)
class _Training:
    """A training that went on to its last epoch.

    Attributes:
        forecaster: what was trained.
        epochs: what was reported after each.
        weights: those that validation saw after each.
    """

    forecaster: Forecaster
    epochs: Sequence[Epoch]
    weights: Sequence[Weights]


def study(
    series: Series,
    horizon: int,
    spec: RunSpec,
    seeds: int,
    blocks: int,
    on_start: Callable[[str], None] = lambda text: None,
    piece: Piece = made_anew,
) -> Worth:
    """Train a model with several seeds and score on test what each way would have chosen.

    The blocks, which choose a number of epochs, are trained with the first seed alone.

    Args:
        series: the data.
        horizon: steps forecast.
        spec: the model, at its own lookback and with its own number of epochs.
        seeds: how many, from its own one on.
        blocks: of the rows before test, each held out in turn.
        on_start: told what is about to be trained.
        piece: keeps what the blocks and the seeds have come to.

    Raises:
        UserError: as `check`, or training diverged.
    """
    task, name = check(series, horizon, spec, blocks), f"{spec.name} on {series.name}"
    source = source_digest(spec.model, name)
    of = identify(name, task, {"spec": spec, "source": source, "horizon": horizon})
    with forecasters_fault(name, own=bool(source)):
        by_block = []
        for number, (rest, held_out) in enumerate(folds(task, blocks, spec.lookback)):
            on_start(f"{name}: block {number + 1} of {blocks}")
            curve = partial(_curve, spec, task, rest, held_out)
            by_block.append(piece(list[float], ["block", number, blocks, of], curve))
        texts = iter([f"{name}: seed {seed}" for seed in range(spec.seed, spec.seed + seeds)])
        rest_of_it = partial(_study, task, spec, seeds, by_block, lambda: on_start(next(texts)))
        worth = piece(Worth, ["seeds", seeds, blocks, of], rest_of_it)
        for text in texts:  # of what was kept
            on_start(text)
    return worth


def check(series: Series, horizon: int, spec: RunSpec, blocks: int) -> Task:
    """Find out before any training whether `study` can be done.

    Returns:
        The task.

    Raises:
        UserError: the model is not trained by gradient, or cannot be built, or its lookback and the
            horizon do not fit into the data or a block.
    """
    if how_fitted(spec.model, spec.name) != "gradient":
        raise UserError(
            spec.name, "is not trained by gradient, so it has no epochs", "leave it out"
        )
    if find_forecaster(spec.model["class"], spec.name).fitted_by_member:
        raise UserError(spec.name, "has members with epochs of their own", "give one of them")
    task = Task(series, spec.lookback, horizon)
    with forecasters_fault(spec.name, own=bool(source_digest(spec.model, spec.name))):
        unfitted(spec, task, spec.name)
    for _ in folds(task, blocks, spec.lookback):
        pass  # refuses what does not fit
    return task


def _curve(spec: RunSpec, task: Task, rest: Windows, held_out: Windows) -> list[float]:
    return [epoch.val_mse for epoch in _train(spec, task, rest, held_out).epochs]


def _study(
    task: Task,
    spec: RunSpec,
    seeds: int,
    by_block: Sequence[Sequence[float]],
    on_start: Callable[[], None],
) -> Worth:
    test = task.windows("test")
    chosen: dict[str, list[float]] = {way.name: [] for way in WAYS}
    best: list[float] = []
    members: list[Forecaster] = []
    for seed in range(spec.seed, spec.seed + seeds):
        on_start()
        own = spec.model_copy(update={"seed": seed})
        trained = _train(own, task, task.windows("train"), task.windows("val"))
        by_epoch = [_with(trained, (epoch,)) for epoch in range(len(trained.epochs))]
        errors = [score(forecaster, test)["mse"] for forecaster in by_epoch]
        curves = _curves(trained.epochs, spec, np.mean(by_block, axis=0))
        for way in WAYS:
            epochs = way.choose(curves)
            alone = len(epochs) == 1
            mse = errors[epochs[0]] if alone else score(_with(trained, epochs), test)["mse"]
            chosen[way.name].append(mse)
        best.append(min(errors))
        (as_a_run,) = WAYS[0].choose(curves)
        members.append(by_epoch[as_a_run])
    return Worth(
        dataset=task.series.name,
        model=spec.name,
        mse={way: tuple(values) for way, values in chosen.items()},
        of_seeds=score(_Mean(members), test)["mse"],
        best=tuple(best),
    )


def _train(spec: RunSpec, task: Task, train: Windows, held_out: Windows) -> _Training:
    forecaster = unfitted(spec, task, spec.name)
    to_the_end = spec.training.model_copy(update={"patience": spec.training.epochs})
    weights: list[Weights] = []

    def keep(epoch: Epoch) -> None:
        weights.append(copy.deepcopy(forecaster.state_dict()))

    report = fit(forecaster, train, held_out, to_the_end, spec.seed, FitOptions(on_epoch=keep))
    return _Training(forecaster, report.epochs, weights)


def _curves(epochs: Sequence[Epoch], spec: RunSpec, blocks: Array) -> Curves:
    val_mse = np.array([epoch.val_mse for epoch in epochs])
    val_mae = np.array([epoch.val_mae for epoch in epochs])
    monitor = np.array([spec.training.monitored(epoch) for epoch in epochs])
    return Curves(val_mse, val_mae, blocks, monitor, spec.training.patience)


def _with(trained: _Training, epochs: Sequence[int]) -> Forecaster:
    """The forecaster with the mean of some epochs' weights; what counts is the last one's."""
    several = [trained.weights[epoch] for epoch in epochs]
    forecaster = copy.deepcopy(trained.forecaster)
    forecaster.load_state_dict(
        {
            name: torch.stack([weights[name] for weights in several]).mean(dim=0)
            if isinstance(last, Tensor) and (last.is_floating_point() or last.is_complex())
            else last
            for name, last in several[-1].items()
        }
    )
    return forecaster


class _Mean(Forecaster):
    """The mean forecast of forecasters that are fitted already."""

    fitted = "none"

    def __init__(self, members: Sequence[Forecaster]) -> None:
        super().__init__(members[0].shape)
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)
