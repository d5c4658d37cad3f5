"""One fit on several devices of this machine, each in a process of its own.

    fit_on_devices ──job.pt──▶ rank 0, rank 1, ...  (rank.py: `fit_by_gradient` on a share)
                   ◀─epochs── rank 0 ──result.pt──▶ weights and report

Lightning would start such processes by running the user's script, or the command, once more for
each; a suite, a notebook and a worker process have none that could be run again. So they are
started here, with all that a fit needs in a file, and Lightning finds itself in one of them.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster
from benchmark.training.parallel import Parallel
from benchmark.training.report import EarlierEpoch, Epoch, FitOptions, FitReport
from benchmark.training.spec import TrainingSpec
from benchmark.words import counted

RANK = "benchmark.training.rank"
JOB, RESULT, ERROR, NOTES = "job.pt", "result.pt", "error{}.pickle", "notes{}.txt"
MOST_NOTES = 300
"""Characters of what a process printed before it was lost that are told."""


@dataclass(frozen=True)
class Job:
    """What each of the processes is to do; rank and folder are told it by its command.

    Attributes:
        forecaster: as it is before the first step, the same for all.
        train: the windows trained on, all of them.
        validation: likewise.
        spec: how it is trained.
        seed: order of the batches, the same for all; with the rank, of dropout.
        options: how the fit is shown, by rank 0 alone.
        epoch: whose weights are kept; None for the one that validation prefers.
        threads: CPU threads of each process.
    """

    forecaster: Forecaster
    train: Windows
    validation: Windows
    spec: TrainingSpec
    seed: int
    options: FitOptions
    epoch: int | None
    threads: int


def check_devices(parallel: Parallel, forecaster: Forecaster, device: torch.device) -> None:
    """Find out before training whether a forecaster can be fitted on so many devices.

    Args:
        parallel: how many.
        forecaster: what is to be fitted.
        device: the first of them.

    Raises:
        UserError: there are not as many GPUs, or threads for processes on a CPU; or the forecaster
            cannot be fitted so.
    """
    where, devices = "parallel.devices", parallel.devices
    if devices == 1:
        return
    if device.type == "cuda" and devices > torch.cuda.device_count():
        seen = counted(torch.cuda.device_count(), "GPU")
        raise UserError(where, f"{devices} are asked for, torch sees {seen}", "ask for fewer")
    if device.type == "cpu" and devices > (threads := torch.get_num_threads()):
        what = f"{devices} are asked for, this run has {counted(threads, 'CPU thread')} to share"
        raise UserError(where, what, "ask for fewer, for more --threads, or for fewer --jobs")
    if device.type not in ("cpu", "cuda"):
        raise UserError(where, f"are several, of the kind {device.type!r}", "--device cpu")
    cls = type(forecaster)
    if cls.__module__ == "__main__":
        what = f"other processes cannot import {cls.__name__} from __main__"
        raise UserError(where, what, "put the class into a module of its own")
    normalises = any(
        isinstance(part, nn.modules.batchnorm._BatchNorm) for part in forecaster.modules()
    )
    if device.type == "cpu" and normalises:
        what = (
            f"{cls.__name__} normalises over batches, which on a CPU no share of one can stand for"
        )
        raise UserError(where, what, "use 1, or GPUs")


def fit_on_devices(
    forecaster: Forecaster,
    train: Windows,
    validation: Windows,
    spec: TrainingSpec,
    seed: int,
    options: FitOptions,
    epoch: int | None = None,
) -> FitReport:
    """Train `forecaster` in place as `fit_by_gradient` does, in as many processes as devices.

    Returns:
        The report of rank 0, whose seconds begin when all processes are ready.

    Raises:
        UserError: as `check_devices`.
        FloatingPointError: the validation score is not finite; names the epoch.
        RuntimeError: a process was lost.
    """
    parallel = options.parallel
    check_devices(parallel, forecaster, train.device)
    threads = max(1, torch.get_num_threads() // parallel.devices)
    shown = replace(options, on_epoch=None)
    job = Job(forecaster, train, validation, spec, seed, shown, epoch, threads)
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        try:
            torch.save(job, folder / JOB)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            what = f"{type(forecaster).__name__} cannot be sent to other processes ({error})"
            raise UserError("parallel.devices", what, "keep no function or handle in it") from error
        kind, verbose = train.device.type, options.verbose
        with closing(_Ranks(folder, kind, parallel.devices, threads, verbose)) as ranks:
            for finished in ranks.epochs():
                if options.on_epoch:
                    options.on_epoch(finished)
            ranks.check()
            ranks.warn()
        weights, report = torch.load(
            folder / RESULT, map_location=train.device, weights_only=False
        )  # written a moment ago, where nobody else can write
    forecaster.load_state_dict(weights)
    assert isinstance(report, FitReport)
    return report


class _Ranks:
    """The processes of a fit. When one fails, the others wait for it in vain and are ended."""

    def __init__(self, folder: Path, kind: str, devices: int, threads: int, verbose: bool) -> None:
        self._folder = folder
        self._ended: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        for rank in range(devices):
            told = {"LOCAL_RANK": str(rank), "OMP_NUM_THREADS": str(threads), "PYTHONPATH": paths}
            with (folder / NOTES.format(rank)).open("wb") as notes:
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", RANK, str(folder), kind],
                        env=os.environ | told,
                        stdin=subprocess.PIPE,  # its end tells a rank that this process is gone
                        stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL,
                        stderr=None if verbose and rank == 0 else notes,
                        start_new_session=True,  # Ctrl-C is for this process to judge
                    )
                )
        self._watchers = [
            threading.Thread(target=self._watch, args=(rank,), daemon=True)
            for rank in range(devices)
        ]
        for watcher in self._watchers:
            watcher.start()

    def epochs(self) -> Iterator[Epoch]:
        """Yield epochs as they end, until there are no more, for whatever reason."""
        stream = self._processes[0].stdout
        assert stream is not None
        for line in stream:
            earlier, epoch = json.loads(line)
            yield (EarlierEpoch if earlier else Epoch)(**epoch)

    def check(self) -> None:
        """Raise what the first process raised that failed."""
        for watcher in self._watchers:
            watcher.join()
        if not any(process.returncode for process in self._processes):
            return
        errors = [
            path for rank in self._ended if (path := self._folder / ERROR.format(rank)).exists()
        ]
        lost = self._ended[0]
        if errors and self._processes[lost].returncode > 0:
            first = min(errors, key=lambda path: path.stat().st_mtime_ns)
            error = pickle.loads(first.read_bytes())
            assert isinstance(error, Exception)
            raise error
        notes = (self._folder / NOTES.format(lost)).read_text(errors="replace").strip()
        status = self._processes[lost].returncode
        how = f"was killed (signal {-status})" if status < 0 else f"ended with exit status {status}"
        said = f": {notes[-MOST_NOTES:]}" if notes else ""
        count = len(self._processes)
        raise RuntimeError(f"the process of device {lost + 1} of {count} {how}{said}")

    def warn(self) -> None:
        """Pass on what the first process warned of; the others say the same."""
        for line in (self._folder / NOTES.format(0)).read_text(errors="replace").splitlines(True):
            if line.startswith("warning: "):
                sys.stderr.write(line)

    def close(self) -> None:
        """End what still runs."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def _watch(self, rank: int) -> None:
        if self._processes[rank].wait():
            self._ended.append(rank)
            for process in self._processes:
                process.kill()
