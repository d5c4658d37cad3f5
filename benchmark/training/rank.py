"""One of the processes that share a fit: ``python -m benchmark.training.rank FOLDER cpu|cuda``.

Its number is in ``$LOCAL_RANK``, where Lightning looks for it. Started by `fit_on_devices`.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor

from benchmark.errors import no_exit
from benchmark.forecasters.contract import Forecaster
from benchmark.training.devices import ERROR, JOB, RESULT, Job
from benchmark.training.fit import seed_all
from benchmark.training.gradient import fit_by_gradient
from benchmark.training.report import EarlierEpoch, Epoch
from benchmark.training.share import Share


def main(folder: Path, kind: str, rank: int, epochs: TextIO) -> int:
    """Fit on one device; leave the result, or the error, in the folder.

    Args:
        folder: holds the job.
        kind: of the devices, ``cpu`` or ``cuda``.
        rank: this process's number, from 0.
        epochs: where rank 0 writes each epoch, a line of JSON.

    Returns:
        The process's exit status.
    """
    try:
        _fit(folder, kind, rank, epochs)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        try:
            told = pickle.dumps(error)
        except Exception:  # an exception may hold anything
            told = pickle.dumps(RuntimeError(text))
        unfinished = folder / f"{ERROR.format(rank)}.part"
        unfinished.write_bytes(told)
        unfinished.rename(folder / ERROR.format(rank))
        return 1
    return 0


@no_exit()
def _fit(folder: Path, kind: str, rank: int, epochs: TextIO) -> None:
    where = f"cuda:{rank}" if kind == "cuda" else "cpu"
    job: Job = torch.load(folder / JOB, map_location=where, weights_only=False)  # our own
    torch.set_num_threads(job.threads)
    devices = job.options.parallel.devices
    torch.distributed.init_process_group(
        "nccl" if kind == "cuda" else "gloo",
        init_method=f"file://{folder / 'meeting'}",  # no port that another could take first
        rank=rank,
        world_size=devices,
    )
    seed_all((job.seed + rank) % 2**32)

    def tell(epoch: Epoch) -> None:
        earlier = isinstance(epoch, EarlierEpoch)
        epochs.write(json.dumps([earlier, asdict(epoch)]) + "\n")
        epochs.flush()

    told = (
        replace(job.options, on_epoch=tell) if rank == 0 else replace(job.options, tensorboard=None)
    )
    parts = job.forecaster, job.train, job.validation, job.spec, job.seed
    report = fit_by_gradient(*parts, told, job.epoch, Share(rank, devices))
    sent = _check_alike(job.forecaster, rank)
    if rank == 0:
        torch.save((job.forecaster.state_dict(), report), folder / RESULT)
    # What was sent last is held until the group is gone. Else Gloo's thread may be the one to free
    # it, for which it waits for Python's lock, while `destroy_process_group` (torch 2.4 and 2.6)
    # holds that and waits for the thread.
    torch.distributed.destroy_process_group()
    del sent


def _check_alike(forecaster: Forecaster, rank: int) -> Tensor:
    """Compare the sums of all ranks' trained weights, which have seen the same gradients.

    Returns:
        Those of rank 0, as they were sent.

    Raises:
        RuntimeError: the ranks went apart.
    """
    weights = [weight.detach() for weight in forecaster.parameters()]
    own = torch.stack([_digest(weight) for weight in weights])
    first = own.clone()
    torch.distributed.broadcast(first, 0)
    if not torch.equal(own, first):
        raise RuntimeError(
            f"device {rank + 1} has other weights than the first: the forecaster changes them "
            "outside of the optimiser; set parallel.devices to 1"
        )
    return first


def _digest(weight: Tensor) -> Tensor:
    flat = torch.view_as_real(weight) if weight.is_complex() else weight
    return flat.double().sum()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone and cannot end it any more."""
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written: this returns at the end
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints, in whatever language, is no epoch
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(os.environ["LOCAL_RANK"]), pipe))
