"""The only LightningModule: any forecaster, its loss, its optimiser and its validation score.

Optimisation is manual, and one step of Lightning is a block of steps of the optimiser: what
Lightning does around a step takes a fifth of a millisecond, which is a tenth of a linear model's
own. Precision, device and strategy stay Lightning's: where several devices share a batch, the
strategy takes the mean of their gradients in `manual_backward`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from benchmark.data.windows import Windows, forward_filled
from benchmark.errors import UserError, no_stop
from benchmark.forecasters.contract import (
    LEVELS,
    Forecaster,
    ForecastError,
    QuantileForecaster,
    check_shape,
    going_back,
)
from benchmark.training.average import WeightAverage
from benchmark.training.heads import quantile_loss
from benchmark.training.score import ErrorSums, only_known
from benchmark.training.share import ALONE, Share
from benchmark.training.spec import TrainingSpec

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
    "arctan": F.l1_loss,  # of what `step_weights` weigh
    "quantile": quantile_loss,
}
OPTIMISERS: dict[str, type[Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}

BLOCK_STEPS = 16
"""Steps of the optimiser in one training step of Lightning."""


class TrainingModule(LightningModule):
    """Trains one forecaster.

    Args:
        forecaster: what is trained, in place.
        spec: loss, optimiser, schedule.
        train: the windows trained on; Lightning hands over blocks of their numbers.
        share: what this device computes of each batch.

    Attributes:
        train_loss: mean loss of the last training epoch.
        scores: validation mse and mae of the last epoch.
    """

    _step_weights: Tensor | None

    def __init__(
        self, forecaster: Forecaster, spec: TrainingSpec, train: Windows, share: Share = ALONE
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.forecaster = forecaster
        self.spec = spec
        self.windows = train
        self.share = share
        self.steps_per_epoch = math.ceil(spec.windows_per_epoch(len(train)) / spec.batch_size)
        self.loss = LOSSES[spec.loss]
        self._heads = (len(LEVELS),) if spec.loss == "quantile" else ()
        weights = step_weights(forecaster.shape.horizon) if spec.loss == "arctan" else None
        self.register_buffer("_step_weights", weights, persistent=False)
        forecast = _training_forecast(forecaster, spec)
        # Each size of a batch is compiled by itself. Once two were seen torch would compile for any
        # size, and a process that goes on with a training would not: its last digits would differ.
        self._forecast = torch.compile(forecast, dynamic=False) if spec.compile else forecast
        self.train_loss = float("nan")
        self.scores: dict[str, float] = {}

    def configure_optimizers(self) -> None:
        """Build optimiser and schedule; they are stepped in `training_step`."""
        self._weights = [p for p in self.forecaster.parameters() if p.requires_grad]
        self._optimiser = OPTIMISERS[self.spec.optimiser](
            self._weights,
            lr=self.spec.learning_rate,
            weight_decay=self.spec.weight_decay,
            fused=self._weights[0].device.type in ("cpu", "cuda")
            and all(weight.is_floating_point() for weight in self._weights),  # none is complex
        )  # type: ignore[call-arg]
        self._schedule = _schedule(self._optimiser, self.spec, self.steps_per_epoch)
        self.average = (
            WeightAverage(self._weights, self.spec.ema_decay) if self.spec.ema_decay else None
        )

    def state(self) -> dict[str, Any]:
        """Everything that the next steps follow from, but for random numbers."""
        return {
            "weights": self.forecaster.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule and self._schedule.state_dict(),
            "average": self.average and self.average.state(),
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Put a state in the place of its own, once the optimiser is there."""
        self.forecaster.load_state_dict(state["weights"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self._schedule is not None:
            self._schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.go_on(state["average"])

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Windows are gathered on the device; there is nothing to move."""
        return batch

    def on_train_epoch_start(self) -> None:
        """Reset the running loss."""
        self._loss_sum = torch.zeros((), device=self.device)
        self._steps = 0

    def training_step(self, block: Tensor, batch_idx: int) -> None:
        """Steps on the windows of a block, whose numbers are ``(up to BLOCK_STEPS * B,)``."""
        with no_stop():  # Lightning would take it for the end of the epoch
            for index in torch.split(block, self.spec.batch_size):
                self.optimise(*self.windows.gather(self.share.of(index)))

    def optimise(self, x: Tensor, y: Tensor) -> None:
        """One step of the optimiser on lookbacks ``(B, L, C)`` and horizons ``(B, H, C)``.

        Where devices share a batch, these are one device's, and the step is that of the batch.
        Missing values of a horizon (NaN) are in no loss; whoever looks at it sees them filled.
        """
        forecast = self._forecast(x, _filled(x, y) if self.windows.masked else y)
        check_shape(forecast, (len(y), *self._heads, *y.shape[1:]))
        if self._step_weights is not None:
            forecast, y = forecast * self._step_weights, y * self._step_weights
        if self.windows.masked:
            forecast, y = only_known(forecast, y)
        loss = self._batch_loss(forecast, y)
        if loss is None:
            return
        if not loss.requires_grad:
            what = "a forecast must follow from the weights, but no gradient comes to them"
            raise ForecastError(f"{what} (a detach(), no_grad() or numpy in forward?)")
        self._optimiser.zero_grad()
        with going_back():
            self.manual_backward(loss)
        if self.spec.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self._weights, self.spec.gradient_clip)
        self._optimiser.step()
        if self._schedule is not None:
            self._schedule.step()
        if self.average is not None:
            self.average.update()
        self._loss_sum.add_(loss.detach())
        self._steps += 1

    def _batch_loss(self, forecast: Tensor, y: Tensor) -> Tensor | None:
        """Weigh this device's loss so that the devices' mean is the batch's; None without a value.

        Every device goes backward in every step, one without a value from a loss of zero.
        """
        if self.share.devices == 1:
            return self.loss(forecast, y) if len(y) else None
        weight = self.share.weight(torch.tensor(float(len(y)), device=self.device))
        if self.windows.masked and weight.isnan():  # 0 / 0: no device has a value
            return None
        return weight * (self.loss(forecast, y) if len(y) else forecast.sum())

    def on_validation_epoch_start(self) -> None:
        """Keep the epoch's mean loss; score the averaged weights, where they are averaged."""
        loss_sum = self.share.total(self._loss_sum) / self.share.devices
        self.train_loss = float(loss_sum) / self._steps if self._steps else math.nan
        self._sums = ErrorSums(self.device, self.windows.masked)
        if self.average is not None:
            self.average.swap()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add the errors of a batch, or of this device's share of it, which may be empty."""
        x, y = batch
        if len(x):
            with no_stop():  # or the scores would be those of some windows
                self._sums.add(self.forecaster(x), y)

    def on_validation_epoch_end(self) -> None:
        """Keep the epoch's validation scores."""
        self.scores = self._sums.means(self.share)


def _filled(x: Tensor, y: Tensor) -> Tensor:
    """Fill the missing values of horizons ``(B, H, C)`` with the last ones before."""
    both = torch.cat([x[:, -1:], y], dim=1).transpose(1, 2)
    return forward_filled(both).transpose(1, 2)[:, 1:]


def step_weights(horizon: int) -> Tensor:
    """``(H, 1)``: what an error of each step counts; atan(1) is pi / 4, so the first counts 1."""
    return 1 + math.pi / 4 - torch.arange(1.0, horizon + 1).atan()[:, None]


def _training_forecast(
    forecaster: Forecaster, spec: TrainingSpec
) -> Callable[[Tensor, Tensor], Tensor]:
    if spec.loss != "quantile":
        return forecaster.training_forecast
    if not isinstance(forecaster, QuantileForecaster):
        what = "'quantile' trains quantiles, and this forecaster has none"
        raise UserError("training.loss", what, "give it heads: build_for_training")
    return lambda x, y: forecaster.quantiles(x)


def _schedule(optimiser: Optimizer, spec: TrainingSpec, steps_per_epoch: int) -> LRScheduler | None:
    """Turn a schedule in epochs into one that is stepped after every batch."""
    schedule = spec.schedule
    total_steps = spec.epochs * steps_per_epoch
    if schedule.kind == "constant" and not schedule.warmup:
        return None
    if schedule.kind == "one_cycle":
        return OneCycleLR(optimiser, max_lr=spec.learning_rate, total_steps=total_steps + 1)
    warmup_steps = schedule.warmup * steps_per_epoch

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        if schedule.kind == "exponential":
            epoch = (step - warmup_steps) // steps_per_epoch
            return float(schedule.factor ** max(0, epoch - schedule.hold + 1))
        if schedule.kind == "cosine":
            share = (step - warmup_steps) / max(1, total_steps - warmup_steps)
            return float(0.5 * (1 + torch.cos(torch.tensor(min(share, 1.0) * torch.pi))))
        return 1.0

    return LambdaLR(optimiser, factor)
