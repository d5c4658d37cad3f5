"""What a training run is told: everything here changes the weights, so all of it is hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from benchmark.config import Positive, Probability, Strict

if TYPE_CHECKING:
    from benchmark.training.report import Epoch, FitReport

PositiveFloat = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


def _text_of_32(value: object) -> object:
    """YAML reads 32 as a number."""
    return "32" if type(value) is int and value == 32 else value


class Schedule(Strict):
    """How the learning rate changes from epoch to epoch.

    Attributes:
        kind: ``constant``; ``exponential`` (times `factor` after each epoch once `hold` epochs are
            over); ``cosine`` (to zero at the last epoch); ``one_cycle`` (up over the first 30% of
            all steps, down over the rest, and the optimiser's first beta from 0.95 to 0.85 and
            back, as PyTorch's OneCycleLR has it).
        factor: for ``exponential``.
        hold: epochs at the full rate after any warm-up, for ``exponential``.
        warmup: epochs of linear warm-up from near zero, before ``constant``, ``exponential`` or
            ``cosine``.
    """

    kind: Literal["constant", "exponential", "cosine", "one_cycle"] = "constant"
    factor: PositiveFloat = 0.5
    hold: Positive = 1
    warmup: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_warm_up(self) -> Schedule:
        if self.kind == "one_cycle" and self.warmup:
            raise ValueError("one_cycle has a warm-up of its own; set warmup to 0")
        return self


class TrainingSpec(Strict):
    """How a forecaster with ``fitted = gradient`` is trained.

    Attributes:
        epochs: at most; fewer when `patience` runs out.
        epoch_steps: most steps in an epoch, on windows drawn anew each time; 0 takes every window.
        patience: epochs without a better validation score before training stops.
        monitor: the validation score that decides which epoch's weights are kept.
        batch_size: windows in a step; the last, smaller batch of an epoch is trained on too.
        optimiser: ``adam`` or ``adamw``.
        learning_rate: the highest rate of the schedule.
        weight_decay: the optimiser's.
        loss: ``mse``, ``mae``, ``huber`` (delta 1), ``arctan`` (absolute errors, the h-th step's
            times 1 + pi/4 - atan(h), so that the first counts five times a far one: xPatch,
            arXiv:2412.17323, Section 3.4) or ``quantile`` (of quantile heads, whose median is the
            point forecast), on the scaled series.
        schedule: of the learning rate.
        gradient_clip: largest norm of the whole gradient; 0 does not clip.
        ema_decay: 0 keeps the weights as trained; above it, validation and test see an
            exponential moving average of the weights with this decay a step, but
            min(ema_decay, (1 + t) / (10 + t)) at step t: the first weights are soon forgotten.
        precision: of training and validation, ``32`` or ``bf16`` (automatic mixed precision);
            calibration and test always have 32 bits.
        compile: pass the forecaster through ``torch.compile``.
    """

    epochs: Positive = 10
    epoch_steps: Annotated[int, Field(ge=0)] = 0
    patience: Positive = 3
    monitor: Literal["mse", "mae"] = "mse"
    batch_size: Positive = 32
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegative = 0.0
    loss: Literal["mse", "mae", "huber", "arctan", "quantile"] = "mse"
    schedule: Schedule = Schedule()
    gradient_clip: NonNegative = 0.0
    ema_decay: Probability = 0.0
    precision: Annotated[Literal["32", "bf16"], BeforeValidator(_text_of_32)] = "32"
    compile: bool = False

    @field_validator("schedule", mode="before")
    @classmethod
    def _a_mapping(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(f"is a mapping; write {{kind: {value}}}")
        return value

    @property
    def remark(self) -> str:
        """What of the schedule can hardly be meant; empty where all can."""
        given, plain = self.schedule, Schedule()
        if given.warmup > self.epochs:
            over = f"warms up over {given.warmup} epochs (no steps), of {self.epochs} in all"
            share = f"{self.epochs / given.warmup:.0%} of learning_rate"
            return f"{over}: the rate never rises above {share}"
        unread = [key for key in ("factor", "hold") if getattr(given, key) != getattr(plain, key)]
        if unread and given.kind != "exponential":
            return f"is {given.kind}, which reads no {' and no '.join(unread)}: exponential does"
        return ""

    def windows_per_epoch(self, available: int) -> int:
        """How many of the available train windows an epoch takes."""
        return min(available, self.epoch_steps * self.batch_size or available)

    def monitored(self, found: Epoch | FitReport) -> float:
        """The validation score that decides."""
        return found.val_mse if self.monitor == "mse" else found.val_mae
