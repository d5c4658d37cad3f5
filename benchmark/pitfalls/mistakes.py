"""Each mistake alone: the honest test error of a model beside the one the mistake reports.

Shapes: W windows, C channels.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmark.data.load import Series
from benchmark.data.splits import SplitName
from benchmark.data.task import Scaler, Task
from benchmark.errors import UserError
from benchmark.evaluation.errors import Errors
from benchmark.evaluation.forecast import evaluate
from benchmark.evaluation.metrics import mse
from benchmark.forecasters.resolve import how_fitted
from benchmark.harness.build import unfitted
from benchmark.harness.spec import RunSpec
from benchmark.training.fit import fit
from benchmark.words import counted

Array = NDArray[np.float64]

BATCH_SIZES = (32, 128, 256, 512, 2048)  # of test loaders in published code
LOOKBACKS = (96, 192, 336, 504, 720)  # whole days, as models that read days need them
WORSE = 1.1
LEAST_SQUARES = RunSpec(name="least_squares", model={"class": "LeastSquares"})


@dataclass(frozen=True)
class Effect:
    """What one mistake does to one model's number.

    Attributes:
        mistake: its name.
        model: whose test error it is.
        honest: mean squared error on test by the protocol, scaled.
        mistaken: the same with the mistake.
        meaning: what was done.
    """

    mistake: str
    model: str
    honest: float
    mistaken: float
    meaning: str

    @property
    def change(self) -> float:
        """Relative difference; below 0 the mistake flatters."""
        return self.mistaken / self.honest - 1


@dataclass(frozen=True)
class Score:
    """A fitted model's validation error (of the split that chose) and its errors on test."""

    val_mse: float
    errors: Errors

    @property
    def mse(self) -> float:
        """Mean squared error on test, scaled."""
        return mse(self.errors)


class Bench:
    """One data set and horizon; an honest score is computed once however often it is asked for.

    Args:
        series: the data.
        horizon: steps forecast.
    """

    def __init__(self, series: Series, horizon: int) -> None:
        self.series = series
        self.horizon = horizon
        self.task: Callable[[int], Task] = cache(lambda lookback: Task(series, lookback, horizon))
        self._honest: dict[tuple[str, int], Score] = {}

    def honest(self, spec: RunSpec, lookback: int | None = None) -> Score:
        """Score a model by the protocol, at its own lookback or another."""
        lookback = lookback or spec.lookback
        key = (spec.model_dump_json(), lookback)
        if key not in self._honest:
            self._honest[key] = self.score(spec, self.task(lookback), chosen_on="val")
        return self._honest[key]

    def score(self, spec: RunSpec, task: Task, *, chosen_on: SplitName) -> Score:
        """Fit on train windows and evaluate on test; `chosen_on` decides what validation is."""
        forecaster = unfitted(spec, task, spec.name)
        train, chooser = task.windows("train"), task.windows(chosen_on)
        report = fit(forecaster, train, chooser, spec.training, spec.seed)
        return Score(report.val_mse, evaluate(forecaster, task, "cpu").errors)

    def possible(self, spec: RunSpec, lookback: int) -> bool:
        """Whether the train rows hold such windows, and the model can be built for them."""
        train = self.series.card.splits.borders(len(self.series.values))["train"]
        if lookback + self.horizon > len(train):
            return False
        try:
            unfitted(spec, self.task(lookback), spec.name)
        except UserError:
            return False
        return True


def drop_last(bench: Bench, spec: RunSpec) -> Iterator[Effect]:
    """The test loader drops its last, incomplete batch."""
    score = bench.honest(spec)
    windows = len(score.errors.squared)
    for size in BATCH_SIZES:
        kept = kept_windows(windows, size)
        if kept:
            meaning = f"batches of {size}: {kept} of {windows} windows scored"
            mistaken = float(score.errors.squared[:kept].mean())
            yield Effect("drop_last in the test loader", spec.name, score.mse, mistaken, meaning)


def kept_windows(windows: int, batch_size: int) -> int:
    """How many windows are left of `windows` where an incomplete batch is dropped."""
    return windows // batch_size * batch_size


def batch_means(bench: Bench, spec: RunSpec) -> Iterator[Effect]:
    """The errors are averaged per batch and then over batches, the last one counting as much."""
    score = bench.honest(spec)
    windows = len(score.errors.squared)
    for size in BATCH_SIZES:
        if windows > size:
            last = windows % size or size
            meaning = f"batches of {size}: the last, of {counted(last, 'window')}, counts as much"
            mistaken = mean_of_batch_means(score.errors.squared, size)
            yield Effect("mean of batch means", spec.name, score.mse, mistaken, meaning)


def mean_of_batch_means(squared: Array, batch_size: int) -> float:
    """Average ``(W, C)`` per batch of windows, then over batches."""
    starts = range(0, len(squared), batch_size)
    return float(np.mean([squared[start : start + batch_size].mean() for start in starts]))


def epoch_on_test(bench: Bench, spec: RunSpec) -> Iterator[Effect]:
    """The test windows stand where the validation windows should: they choose the epoch."""
    if how_fitted(spec.model, spec.name) != "gradient":
        return
    mistaken = bench.score(spec, bench.task(spec.lookback), chosen_on="test").mse
    meaning = "kept epoch and early stopping by the test error"
    yield Effect("epoch chosen on test", spec.name, bench.honest(spec).mse, mistaken, meaning)


def lookback_on_test(bench: Bench, spec: RunSpec) -> Iterator[Effect]:
    """The lookback with the least test error is reported, not that with the least validation."""
    grid = [lookback for lookback in LOOKBACKS if bench.possible(spec, lookback)]
    if len(grid) < 2:
        return
    scores = {lookback: bench.honest(spec, lookback) for lookback in grid}
    honest = min(grid, key=lambda lookback: scores[lookback].val_mse)
    flattering = min(grid, key=lambda lookback: scores[lookback].mse)
    meaning = f"of {', '.join(map(str, grid))}: test chooses {flattering}, validation {honest}"
    pair = scores[honest].mse, scores[flattering].mse
    yield Effect("lookback chosen on test", spec.name, *pair, meaning)


def scaling_on_all(bench: Bench, spec: RunSpec) -> Iterator[Effect]:
    """The scaler is fitted on all rows, test rows among them."""
    honest, task = bench.honest(spec), bench.task(spec.lookback)
    used = task.series.values[: task.borders["test"].stop]
    leaky = copy.copy(task)
    leaky.scaler = Scaler.fit(used)
    leaky.scaled = leaky.scaler.transform(used).astype(np.float32)
    errors = bench.score(spec, leaky, chosen_on="val").errors
    name = "scaler fitted on all rows"
    meaning = "as reported: in the unit of that scaler"
    yield Effect(name, spec.name, honest.mse, mse(errors), meaning)
    factor = (leaky.scaler.scale / task.scaler.scale) ** 2
    mistaken = float((errors.squared.mean(axis=0) * factor).mean())
    meaning = "the same forecasts, in the honest unit"
    yield Effect(name, spec.name, honest.mse, mistaken, meaning)


def filled_failure(benches: Sequence[Bench]) -> Iterator[Effect]:
    """A model's failed run is filled with its own mean over the other data sets.

    The failing model is least squares with every error 10% larger; it crashes where that error is
    largest.
    """
    if len(benches) < 2:
        return
    sound = {bench.series.name: bench.honest(LEAST_SQUARES).mse for bench in benches}
    worse = {name: WORSE * error for name, error in sound.items()}
    hardest = max(worse, key=lambda name: worse[name])
    # a gap filled with the mean of the rest leaves the mean where the rest has it
    filled = float(np.mean([error for name, error in worse.items() if name != hardest]))
    rival = float(np.mean(list(sound.values())))
    verdict = "ahead of" if filled < rival else "still behind"
    meaning = f"mean over {', '.join(worse)}; it crashed on {hardest}, where its own mean over the "
    meaning += f"others stands in: {verdict} {LEAST_SQUARES.name}, whose mean is {rival:.4f}"
    honest = float(np.mean(list(worse.values())))
    yield Effect(
        "failed run filled in", f"10% worse than {LEAST_SQUARES.name}", honest, filled, meaning
    )


MISTAKES = (drop_last, batch_means, epoch_on_test, lookback_on_test, scaling_on_all)
"""Those of one model on one data set, in the order of the table."""

NAMES = tuple(mistake.__name__ for mistake in (*MISTAKES, filled_failure))
