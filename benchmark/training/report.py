"""What goes into a fit and comes out of it, besides the forecaster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.training.parallel import ONE, Parallel


@dataclass(frozen=True)
class Epoch:
    """One epoch of training, as it is reported and kept.

    Attributes:
        number: from 1.
        train_loss: mean over the epoch's batches, of the spec's loss.
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
class FitReport:
    """What a fit leaves behind besides the weights.

    Attributes:
        val_mse: of the weights that were kept.
        val_mae: likewise.
        seconds: the fit alone, validation included.
        epochs: every epoch trained; empty where nothing is trained.
        best_epoch: whose weights were kept; 0 where nothing is trained.
        energy_j: joules of the fit, see `benchmark.training.energy`; None where not counted.
        members: of an ensemble, the report of each member's own fit.
    """

    val_mse: float
    val_mae: float
    seconds: float
    epochs: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    energy_j: float | None = None
    members: tuple[FitReport, ...] = ()


@dataclass(frozen=True)
class FitOptions:
    """How a fit is run and shown; none of it changes the result but in its last digits.

    Attributes:
        on_epoch: called after each epoch, while the forecaster has the weights that were scored.
        verbose: let Lightning print its notes and warnings.
        tensorboard: folder for TensorBoard's event files; None writes none.
        parallel: on how many devices.
    """

    on_epoch: Callable[[Epoch], None] | None = None
    verbose: bool = False
    tensorboard: Path | None = None
    parallel: Parallel = ONE
