"""What is kept as epochs end: the best weights, and all that the next epochs follow from."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from benchmark.data.windows import Windows
from benchmark.forecasters.beside import beside_state
from benchmark.forecasters.contract import Forecaster
from benchmark.training.module import TrainingModule
from benchmark.training.report import EarlierEpoch, Epoch, FitOptions
from benchmark.training.share import Share
from benchmark.training.spec import TrainingSpec
from benchmark.training.unfinished import (
    Unfinished,
    random_state,
    set_random_state,
    states_to_go_on,
)


class KeepBest(Callback):
    """Keeps the weights of the best validation epoch in memory and stops when patience runs out.

    Where the epoch is known beforehand it keeps that one's, and stops there.
    """

    def __init__(
        self, spec: TrainingSpec, options: FitOptions, epoch: int | None, started: float
    ) -> None:
        self.spec = spec
        self.last = epoch
        self.options = options
        self.started = started
        self.epochs: list[Epoch] = []
        self.best: Epoch | None = None
        self.weights: dict[str, Any] = {}

    @property
    def over(self) -> bool:
        """Whether there is no epoch to come."""
        if self.best is None:
            return False
        number = self.epochs[-1].number
        waited = number - self.best.number
        return waited >= self.spec.patience or number in (self.last, self.spec.epochs)

    def state(self) -> dict[str, Any]:
        """The epochs so far and the best weights."""
        assert self.best is not None
        epochs = [asdict(epoch) for epoch in self.epochs]
        return {
            "epochs": epochs,
            "best": self.best.number,
            "best_weights": self.weights,
            "last": self.last,
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Take over what an earlier process has found, and show it."""
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        self.best = self.epochs[state["best"] - 1]
        self.weights = state["best_weights"]
        self.started -= self.epochs[-1].seconds
        if self.options.on_epoch:
            *before, last = state["epochs"]
            for epoch in [Epoch(**each) for each in before] + [EarlierEpoch(**last)]:
                self.options.on_epoch(epoch)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Take in the epoch, and show it.

        Raises:
            FloatingPointError: the validation score is not finite; names the epoch.
        """
        assert isinstance(module, TrainingModule)
        epoch = Epoch(
            number=len(self.epochs) + 1,
            train_loss=module.train_loss,
            val_mse=module.scores["mse"],
            val_mae=module.scores["mae"],
            seconds=time.perf_counter() - self.started,
        )
        if not math.isfinite(epoch.val_mse):
            raise FloatingPointError(
                f"training diverged: validation error is {epoch.val_mse} after epoch "
                f"{epoch.number}; lower training.learning_rate or set training.gradient_clip"
            )
        self.epochs.append(epoch)
        monitored = self.spec.monitored
        if self.last or self.best is None or monitored(epoch) < monitored(self.best):
            self.best = epoch
            self.weights = {
                name: part.clone() if isinstance(part, Tensor) else copy.deepcopy(part)
                for name, part in module.forecaster.state_dict().items()
            }
        if self.over:
            trainer.should_stop = True
        for logger in trainer.loggers:
            logger.log_metrics(
                {
                    "train_loss": epoch.train_loss,
                    "val_mse": epoch.val_mse,
                    "val_mae": epoch.val_mae,
                },
                step=epoch.number,
            )
        if self.options.on_epoch:
            self.options.on_epoch(epoch)
        if module.average is not None:
            module.average.swap()


class KeepState(Callback):
    """Keeps the training's state at the ends of epochs, and puts back one that was kept.

    It is kept at the end of the training as well, as a fit can be one of several; but nothing is
    where all of it takes no longer than the time between two states. Of devices that share a fit,
    each keeps its own, all of them at the end of the same epochs.
    """

    def __init__(
        self, unfinished: Unfinished, keep_best: KeepBest, order: torch.Generator, share: Share
    ) -> None:
        alone = share.devices == 1
        self.unfinished = unfinished if alone else unfinished.part(f"device{share.rank + 1}")
        self.keep_best = keep_best
        self.order = order
        self.share = share
        self.kept: dict[str, Any] | None = None
        self.next = time.perf_counter() + unfinished.pause(0.0)
        self.able = True

    def look(self, forecaster: Forecaster, validation: Windows) -> bool:
        """Look for a state that was kept; where there is one, take over what it knows.

        Args:
            forecaster: as it is before the first step; it stays so until training starts.
            validation: the windows that choose its best epoch.

        Returns:
            Whether there is one.
        """
        spec, last, device = self.keep_best.spec, self.keep_best.last, validation.device
        states = states_to_go_on(self.unfinished, forecaster, validation, spec, last)
        kept = next(states, None)
        while True:  # a stop between two devices' writing leaves one with an epoch more than others
            epoch = len(kept["epochs"]) if kept else 0
            least, greatest = self.share.ends(epoch, device)
            if least == greatest:
                break
            if epoch > least:
                kept = next(states, None)
        if kept is None:
            return False
        self.keep_best.go_on(kept)
        if self.keep_best.over:  # what comes next draws what it would have drawn
            set_random_state(kept["random"], device)
        self.kept = kept
        return True

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Put back what was kept, now that there is an optimiser."""
        assert isinstance(module, TrainingModule)
        self.beside = beside_state(module.forecaster)
        if self.kept is not None:
            module.go_on(self.kept)
            self.order.set_state(self.kept["order"])
            set_random_state(self.kept["random"], module.device)
            self.kept = None

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Find out in time, once the first steps are made, whether what they change can be kept."""
        assert isinstance(module, TrainingModule)
        if trainer.current_epoch == batch_idx == 0:
            self._compare(module)

    def _compare(self, module: TrainingModule) -> None:
        """Keep no state that lacks what training changes: that would begin anew. Says so, once."""
        found = beside_state(module.forecaster)
        names = [name for name in found | self.beside if found.get(name) != self.beside.get(name)]
        if names and self.able and self.share.rank == 0:
            what = f"{', '.join(sorted(names))} of the model changes in training and is in no state"
            then = "a training that is stopped begins anew"
            cure = "register a buffer, or keep it in get_extra_state"
            sys.stderr.write(f"warning: {self.unfinished.folder}: {what}: {then}; {cure}\n")
        self.able = self.able and not names

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep the state, where it is time; `KeepBest` has taken in the epoch before.

        Validation is over, and every part in the mode again in which it is trained.
        """
        assert isinstance(module, TrainingModule)
        began = time.perf_counter()
        long = began - self.keep_best.started >= self.unfinished.every
        due = long if self.keep_best.over else began >= self.next
        if not self.share.first_says(due, module.device) or not self.able:
            return
        self._compare(module)
        self.able = self.able and self.unfinished.write(
            {
                **module.state(),
                **self.keep_best.state(),
                "order": self.order.get_state(),
                "random": random_state(module.device),
            }
        )
        ended = time.perf_counter()
        self.next = ended + self.unfinished.pause(ended - began)
