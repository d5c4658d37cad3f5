"""Fitting by gradient, under Lightning."""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, Generic, TypeVar

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster
from benchmark.training.keep import KeepBest, KeepState
from benchmark.training.module import BLOCK_STEPS, TrainingModule
from benchmark.training.report import FitOptions, FitReport
from benchmark.training.score import SCORING_BATCH
from benchmark.training.share import ALONE, Share
from benchmark.training.spec import TrainingSpec

Item = TypeVar("Item")


class _Loader(Generic[Item]):
    """What Lightning calls a dataloader: an iterable of known length."""

    def __init__(self, items: Callable[[], Iterable[Item]], count: int) -> None:
        self._items = items
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items())


class _LeaveSigterm(Callback):
    """Gives SIGTERM back to who had it, as soon as training begins: without a handler, it kills.

    Lightning answers it after a whole block of steps, in which a cluster's patience may end.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.handler is not None and current_thread() is main_thread():
            signal.signal(signal.SIGTERM, self.handler)


def fit_by_gradient(
    forecaster: Forecaster,
    train: Windows,
    validation: Windows,
    spec: TrainingSpec,
    seed: int,
    options: FitOptions,
    epoch: int | None = None,
    share: Share = ALONE,
) -> FitReport:
    """Train `forecaster` in place and leave it with the weights of its best validation epoch.

    Where the epoch is given, its weights are kept whatever validation says of them, and it is the
    last; the schedule is that of `spec` all the same.

    Where devices share each batch, every one of them calls this and comes to the same weights.

    Raises:
        FloatingPointError: the validation score is not finite; names the epoch.
        UserError: TensorBoard is asked for and not installed.
    """
    order = torch.Generator().manual_seed(seed)
    block = BLOCK_STEPS * spec.batch_size
    count = spec.windows_per_epoch(len(train))

    def shuffled_blocks() -> Iterator[Tensor]:
        # lazy: Lightning asks for more iterators than it reads
        yield from torch.split(train.random_order(order)[:count], block)

    train_blocks = _Loader(shuffled_blocks, math.ceil(count / block))

    def val_shares() -> Iterator[tuple[Tensor, Tensor]]:
        for index in torch.split(torch.arange(len(validation), device=train.device), SCORING_BATCH):
            yield validation.gather(index.tensor_split(share.devices)[share.rank])

    val_batches = _Loader(val_shares, math.ceil(len(validation) / SCORING_BATCH))
    keep_best = KeepBest(spec, options, epoch, time.perf_counter())
    callbacks: list[Callback] = [keep_best]
    keep_state = None
    if options.unfinished:
        keep_state = KeepState(options.unfinished, keep_best, order, share)
        callbacks.append(keep_state)
    with _quiet(options.verbose), _interruptible():
        # Before anything is scored, and where nothing is left to train: it sets how a GPU computes.
        trainer = _trainer(train.device, spec, options, callbacks)
        gone_on = keep_state is not None and keep_state.look(forecaster, validation)
        if not keep_best.over:
            module = TrainingModule(forecaster, spec, train, share)
            trainer.fit(module, train_blocks, val_batches)
    assert keep_best.best is not None
    forecaster.load_state_dict(keep_best.weights)
    return FitReport(
        val_mse=keep_best.best.val_mse,
        val_mae=keep_best.best.val_mae,
        seconds=time.perf_counter() - keep_best.started,
        epochs=tuple(keep_best.epochs),
        best_epoch=keep_best.best.number,
        gone_on=gone_on,
    )


def _trainer(
    device: torch.device, spec: TrainingSpec, options: FitOptions, callbacks: Sequence[Callback]
) -> Trainer:
    arguments: dict[str, Any] = {
        "accelerator": device.type,
        "devices": options.parallel.devices,
        "plugins": [LightningEnvironment()],  # Slurm, where this is a task of it, starts no fit
        "max_epochs": spec.epochs,  # of this process; all of them are counted by `KeepBest`
        "precision": {"32": "32-true", "bf16": "bf16-mixed"}[spec.precision],
        "deterministic": "warn" if device.type == "cuda" else False,
        "callbacks": [*callbacks, _LeaveSigterm()],
        "logger": _tensorboard(options.tensorboard) if options.tensorboard else False,
        "num_sanity_val_steps": 0,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": options.verbose,
    }
    if options.parallel.devices > 1:
        arguments |= {
            "strategy": options.parallel.strategy,
            "use_distributed_sampler": False,
            "sync_batchnorm": device.type == "cuda",
        }
    return Trainer(**arguments)


def _tensorboard(folder: Path) -> Any:
    from lightning.pytorch.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(save_dir=folder.parent, name=folder.name, version="")
    except ModuleNotFoundError:
        raise UserError(
            "--tensorboard",
            "TensorBoard is not installed",
            "pip install tensorboard",
        ) from None


@contextmanager
def _quiet(verbose: bool) -> Iterator[None]:
    """Keep Lightning's tips and its warnings about workers and loggers to itself, unless asked."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    with warnings.catch_warnings():
        if not verbose:
            logger.setLevel(logging.ERROR)
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*does not have a deterministic.*")
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C out as the KeyboardInterrupt it is, and a SIGTERM end the program.

    Lightning makes a SystemExit of either, which is a model's own to whoever called, and leaves
    SIGINT ignored, which would make a suite deaf to the next Ctrl-C.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException:  # came before `_LeaveSigterm`
        signal.raise_signal(signal.SIGTERM)
        raise
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise  # the model's own
    finally:
        if signal.getsignal(signal.SIGINT) is not handler:
            signal.signal(signal.SIGINT, handler)
