"""Leakage checks on a whole run: what no score may depend on is changed, and must not show.

`benchmark.forecasters.check` holds a class to its contract on made-up windows. This goes through
the suite's own line, `benchmark.harness.run.run`, on a short piece of a real series: what is found
may be the model's fault or the pipeline's. A change is noise ten times as wide as the series, so
"did not move" is asked bit for bit, except where only the order of a sum may differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.audit.line import Line, Outcome, short, with_noise_from
from benchmark.audit.opened import watch_opened
from benchmark.data.card import load_card
from benchmark.data.load import load
from benchmark.data.splits import SplitName
from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.errors import UserError, error_text, told_by_line
from benchmark.evaluation.forecast import evaluate
from benchmark.evaluation.metrics import mse
from benchmark.evaluation.quantiles import quantiles_of
from benchmark.forecasters.contract import ClosedFormForecaster, Forecaster
from benchmark.harness.spec import RunSpec

OPENED = "The model opens no file of the data set through Python (in C or elsewhere: not seen)"
SAVED = "What a run saves is all that its forecasts depend on"
ROUNDING = 1e-4  # scaled units: sums in another order, as a batch of another size makes them


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: what must hold, as a sentence.
        moved: by how much the largest of the numbers that must not move did; 0 is bit-equal.
        allowed: how far they may move.
        seen: what is at fault, where that is no number.
    """

    check: str
    moved: float = 0.0
    allowed: float = 0.0
    seen: str = ""

    @property
    def passed(self) -> bool:
        """Whether the check holds; a move that is not a number is a move."""
        return self.moved <= self.allowed and not self.seen


def audit(spec: RunSpec, where: str) -> list[Finding]:
    """Run every check; a few short fits on a CPU.

    Args:
        spec: the model, its task and its training, of which the epochs and batches are cut short.
        where: the file or command it came from, for errors.

    Raises:
        UserError: the data set or the model cannot be had, or the data set is too short.
        FloatingPointError: training diverged or a forecast is not finite.
    """
    card = load_card(spec.dataset)
    series = short(load(card), spec)
    with watch_opened(card.file) as opened:
        line = Line(spec, where, series)
        fitted = line.run(series, epochs=2)
        findings = [
            *_scaler_findings(line),
            *_weight_findings(line, fitted),
            *_forecast_findings(line, fitted),
        ]
    return [*findings, Finding(OPENED, seen=", ".join(sorted(set(opened))))]


def _scaler_findings(line: Line) -> list[Finding]:
    scaler = line.task(line.series).scaler
    findings = []
    borders: dict[SplitName, str] = {"train": "train", "val": "validation"}
    for split, name in borders.items():
        other = line.task(line.noise_after(split)).scaler
        moved = max(
            _largest(torch.from_numpy(scaler.mean), torch.from_numpy(other.mean)),
            _largest(torch.from_numpy(scaler.scale), torch.from_numpy(other.scale)),
        )
        sentence = f"The scaler does not depend on the rows after the {name} border"
        findings.append(Finding(sentence, moved))
    return findings


def _weight_findings(line: Line, fitted: Outcome) -> list[Finding]:
    findings = [] if line.spec.refit else [_validation_finding(line, fitted)]
    blind = line.run(line.noise_after("val"), epochs=2)
    again = line.run(line.series, epochs=2)
    choices = [
        torch.tensor([o.record.best_epoch or 0, o.record.val_mse], dtype=torch.float64)
        for o in (fitted, blind)
    ]
    return [
        *findings,
        Finding(
            "The weights do not depend on the rows after the validation border",
            _moved(fitted.weights, blind.weights),
        ),
        Finding(
            "Nor do the epoch that is kept and its validation score depend on them",
            _largest(*choices),
        ),
        Finding("The same seed gives the same weights", _moved(fitted.weights, again.weights)),
    ]


def _validation_finding(line: Line, fitted: Outcome) -> Finding:
    """Whether weights depend on validation rows, on which only a refit may fit them."""
    parts = line.unfitted(line.task(line.series)).modules()
    if any(isinstance(part, ClosedFormForecaster) for part in parts):
        # what is chosen among a few values stays as it is, what is solved for does not
        shaded = line.run(line.shaded("val"), epochs=2)
        sentence = "Validation rows may choose among weights and are not fitted on"
        return Finding(sentence, _moved(fitted.weights, shaded.weights))
    # of a single epoch there is nothing for validation to choose
    one, other = (line.run(s, epochs=1) for s in (line.series, line.noise_after("train")))
    sentence = "The weights of one epoch do not depend on the rows after the train border"
    return Finding(sentence, _moved(one.weights, other.weights))


def _forecast_findings(line: Line, fitted: Outcome) -> list[Finding]:
    task = line.task(line.series)
    try:
        with told_by_line(line.where):
            forecaster = line.forecaster(fitted.weights, task)
            before = _state(forecaster)
            rebuilt = evaluate(forecaster, task, "cpu")
    except Exception as error:  # which the model that was scored has not raised
        told = error.what if isinstance(error, UserError) else error_text(error)
        return [Finding(SAVED, seen=f"made again from it, the model fails: {told}")]
    first = rebuilt.samples
    written = _moved(before, _state(forecaster))
    second = evaluate(forecaster, task, "cpu").samples

    middle = len(first.first_row) // 2
    later = line.task(with_noise_from(line.series, int(first.first_row[middle])))
    blind = evaluate(line.forecaster(fitted.weights, later), later, "cpu").samples

    windows = task.windows("test")
    order = torch.arange(len(windows))
    together, alone, backwards = (
        _forecasts(line.forecaster(fitted.weights, task), windows, rows, batch_size)
        for rows, batch_size in ((order, len(order)), (order, 1), (order.flip(0), 5))
    )
    return [
        Finding(
            "A forecast does not depend on any value after its lookback",
            _scaled(first.forecast[: middle + 1], blind.forecast[: middle + 1], task),
        ),
        Finding(
            "A window's forecast does not depend on the other windows of its batch",
            _largest(together, alone),
            ROUNDING,
        ),
        Finding(
            "A window's forecast does not depend on the batches before it, nor on their order",
            _largest(together, backwards.flip(0)),
            ROUNDING,
        ),
        Finding("Forecasting does not change weights or buffers", written),
        Finding(
            "Forecasting once more gives the same forecasts",
            _scaled(first.forecast, second.forecast, task),
        ),
        Finding(  # else what was looked at above is not the model that was scored
            SAVED,
            abs(mse(rebuilt.errors) / fitted.record.mse - 1) if fitted.record.mse else 0.0,
            ROUNDING,
        ),
    ]


@torch.no_grad()
def _forecasts(forecaster: Forecaster, windows: Windows, order: Tensor, batch_size: int) -> Tensor:
    """Forecast windows in an order and in batches of a size: ``(W, 1 or Q, H, C)``, scaled."""
    forecaster.eval()
    parts = torch.split(order, batch_size)
    return torch.cat([quantiles_of(forecaster, windows.gather(part)[0]) for part in parts])


def _state(forecaster: nn.Module) -> dict[str, Tensor]:
    """Copy weights and buffers, those that are not saved as well."""
    named = chain(forecaster.named_parameters(), forecaster.named_buffers())
    return {name: tensor.detach().clone() for name, tensor in named}


def _moved(before: Any, after: Any) -> float:
    """By how much the largest of the tensors did, in states that may hold more than tensors."""
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        return _largest(before, after)
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return 0.0 if before == after else math.inf
    if before.keys() != after.keys():
        return math.inf
    return max((_moved(before[name], after[name]) for name in before), default=0.0)


def _scaled(one: NDArray[np.float32], other: NDArray[np.float32], task: Task) -> float:
    """Compare forecasts in original units ``(N, H, C)``, in scaled ones."""
    return _largest(*(torch.from_numpy(part / task.scaler.scale) for part in (one, other)))


def _largest(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference; 0 where all is equal, which infinities may be.

    What is not a number on either side has moved by infinity: `max` would pass over it.
    """
    if one.shape != other.shape:
        return math.inf
    if torch.equal(one, other):
        return 0.0
    moved = float((one.double() - other.double()).abs().max())
    return math.inf if math.isnan(moved) else moved
