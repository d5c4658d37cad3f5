"""What goes into a fit and comes out of it, besides the forecaster."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.training.parallel import ONE, Parallel

if TYPE_CHECKING:
    from benchmark.training.unfinished import Unfinished


@dataclass(frozen=True)
class Epoch:
    """One epoch of training, as it is reported and kept.

    Attributes:
        number: from 1.
        train_loss: mean over the epoch's batches that hold a target, of the spec's loss.
        val_mse: on all validation windows, scaled.
        val_mae: likewise.
        seconds: since the start of the fit.
    """

    number: int
    train_loss: float
    val_mse: float
    val_mae: float
    seconds: float


@dataclass(frozen=True)
class EarlierEpoch(Epoch):
    """The last epoch that an earlier process trained, as it is reported where another goes on.

    Those before it are reported first, as any other.
    """


@dataclass(frozen=True)
class FitReport:
    """What a fit leaves behind besides the weights.

    Attributes:
        val_mse: of the weights that were kept; NaN where they have not been scored, as of an
            ensemble's member that is not trained by gradient.
        val_mae: likewise.
        seconds: the fit alone, validation included; with those of earlier processes.
        epochs: every epoch trained; empty where nothing is trained.
        best_epoch: whose weights were kept; 0 where nothing is trained.
        energy_j: joules of the fit, see `benchmark.training.energy`; None where not counted, or not
            from the fit's beginning.
        members: of an ensemble, the report of each member's own fit.
        gone_on: whether an earlier process trained a part of it.
    """

    seconds: float
    val_mse: float = math.nan
    val_mae: float = math.nan
    epochs: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    energy_j: float | None = None
    members: tuple[FitReport, ...] = ()
    gone_on: bool = False


@dataclass(frozen=True)
class FitOptions:
    """How a fit is run and shown; none of it changes the result but in its last digits.

    Attributes:
        on_epoch: called after each epoch, while the forecaster has the weights that were scored.
        verbose: let Lightning print its notes and warnings.
        tensorboard: folder for TensorBoard's event files; None writes none.
        parallel: on how many devices.
        unfinished: where the state of a training is kept, and gone on with where it is found; None
            keeps none.
    """

    on_epoch: Callable[[Epoch], None] | None = None
    verbose: bool = False
    tensorboard: Path | None = None
    parallel: Parallel = ONE
    unfinished: Unfinished | None = None

    def part(self, name: str) -> FitOptions:
        """Options of one of several fits."""
        return replace(
            self,
            tensorboard=self.tensorboard and self.tensorboard / name,
            unfinished=self.unfinished and self.unfinished.part(name),
        )
