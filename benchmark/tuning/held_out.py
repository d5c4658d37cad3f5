"""A configuration's validation score: what a search minimises. No test window comes here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.data.task import Task
from benchmark.data.windows import Windows
from benchmark.errors import no_exit
from benchmark.harness.build import unfitted
from benchmark.harness.spec import RunSpec
from benchmark.training.fit import fit
from benchmark.training.report import Epoch, FitOptions
from benchmark.training.unfinished import Unfinished

OnEpoch = Callable[[Epoch], None]


@dataclass(frozen=True)
class HeldOut:
    """What a configuration is fitted on and scored on.

    Attributes:
        task: the data, split and scaled.
        train: windows to train on.
        validation: windows held out.
    """

    task: Task
    train: Windows
    validation: Windows


@no_exit()
def validation_score(
    spec: RunSpec,
    where: str,
    parts: Sequence[HeldOut],
    watch: Callable[[float], None],
    on_epoch: OnEpoch | None = None,
    unfinished: Unfinished | None = None,
) -> float:
    """Fit as a run would and score on what is held out.

    Args:
        spec: the configuration.
        where: the file it came from, for errors.
        parts: on what; of several, one for each fold and horizon, the score is the mean.
        watch: told the score after each epoch; of several parts, the mean so far after each part.
        on_epoch: told each epoch.
        unfinished: where the fits are kept, to go on with.

    Raises:
        UserError: the model cannot be built.
        FloatingPointError: training diverged.
    """
    several = len(parts) > 1
    scores: list[float] = []

    def each(epoch: Epoch) -> None:
        if on_epoch:
            on_epoch(epoch)
        if not several:
            watch(spec.training.monitored(epoch))

    every = FitOptions(on_epoch=each, parallel=spec.parallel, unfinished=unfinished)
    for number, part in enumerate(parts):
        forecaster = unfitted(spec, part.task, where).to(part.train.device)
        rows, options = (part.train, part.validation), every.part(str(number))
        report = fit(forecaster, *rows, spec.training, spec.seed, options)
        scores.append(spec.training.monitored(report))
        if not math.isfinite(scores[-1]):
            raise FloatingPointError(f"the validation score is {scores[-1]}")
        if several:
            watch(sum(scores) / len(scores))
    return sum(scores) / len(scores)
