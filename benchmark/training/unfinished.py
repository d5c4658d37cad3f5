"""A training that was cut short goes on after its last epoch, to the numbers it would have had.

At the end of an epoch all that decides the next ones is kept in a file: the weights, the best ones,
the optimiser's moments, the schedule, the averages, every generator of random numbers. Another
process that is to train the same reads it and goes on, and comes to the same weights, to the last
bit, as one that was never stopped. What is kept is data alone: reading it runs no code.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch

from benchmark.data.windows import Windows
from benchmark.errors import error_text
from benchmark.files import remove, sweep, writing
from benchmark.forecasters.contract import Forecaster
from benchmark.training.score import score
from benchmark.training.spec import TrainingSpec

STATE = "epoch{}-{}.pt"
"""By epoch, and by what made it: machines of two kinds that train the same keep each its own."""
KEPT = 2
"""States of a training: the one before the last is there for whoever cannot go on with the last."""

EVERY_SECONDS = 10.0
"""Between two times that a state is kept: a stop costs so much and the epoch that it comes in."""

WRITING_SHARE = 0.05
"""Of a training's time at most: the state of a large model is kept less often."""


@dataclass(frozen=True)
class Unfinished:
    """Where the state of a training is kept until what it is for is done.

    Attributes:
        folder: of this training's state alone; made when something is kept.
        made_by: software and hardware that the last digits depend on; what others kept is not
            gone on with.
        every: seconds between two times, at least; 0 keeps every epoch's.
    """

    folder: Path
    made_by: Mapping[str, str]
    every: float = EVERY_SECONDS

    def part(self, name: str) -> Unfinished:
        """Where one of several trainings keeps its own."""
        return replace(self, folder=self.folder / name)

    def pause(self, took: float) -> float:
        """Seconds to wait before the next state is kept, by how long the last one took."""
        return max(self.every, took / WRITING_SHARE) if self.every else 0.0

    def read(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Read the states that were kept here, the latest first.

        What is damaged is left out and told; so is, where no more are left, what was made by other
        software or on another machine.
        """
        own, found = self._own(), self.folder.glob("epoch*.pt")
        for path in sorted(found, key=lambda path: (path in own, _by_epoch(path)), reverse=True):
            try:
                with ZipFile(path) as file:
                    if file.testzip():  # torch writes checksums and reads over them
                        raise BadZipFile
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                made_by = dict(state["made_by"])
            except Exception as error:  # of a torn file, whatever unpickling makes of it
                _leave_out(path, f"cannot be read ({type(error).__name__})")
                continue
            others = [name for name, value in self.made_by.items() if made_by.get(name) != value]
            if others:
                told = (f"{name} {made_by.get(name)}, now {self.made_by[name]}" for name in others)
                _leave_out(path, f"was kept with {'; '.join(told)}")
                return  # the states before it were kept with the same
            yield path, state

    def write(self, state: Mapping[str, Any]) -> bool:
        """Keep a state beside the one before; say whether that could be done.

        A training does not end because its state cannot be kept: that is told.
        """
        path = self.folder / STATE.format(len(state["epochs"]), self._kind)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            sweep(self.folder)
            with writing(path, durable=False) as stream:
                torch.save({**state, "made_by": dict(self.made_by)}, stream)
            # By time, not by epoch: later epochs may be those that were left out at the start, or
            # those of another process that trains the same.
            for needless in sorted(self._own(), key=_by_time)[:-KEPT]:
                remove(needless)
        except FileNotFoundError:  # another process has finished the same and removed its folder
            pass
        except Exception as error:  # of the disk, or of pickling what a model makes its state
            what = f"the training's state cannot be kept here ({error_text(error)})"
            then = "if stopped, it goes on from the one before, or begins anew"
            sys.stderr.write(f"warning: {self.folder}: {what}; {then}\n")
            return False
        return True

    @property
    def _kind(self) -> str:
        """Hash of the software and hardware."""
        text = json.dumps(dict(self.made_by), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def _own(self) -> list[Path]:
        """The files of states that software and hardware like these made."""
        return list(self.folder.glob(STATE.format("*", self._kind)))

    def remove(self) -> None:
        """Remove all that was kept, of every part."""
        remove(self.folder)


def _leave_out(path: Path, why: str) -> None:
    """Say why a state is not gone on with."""
    sys.stderr.write(f"warning: {path}: {why}; it is left out\n")


def _by_epoch(path: Path) -> tuple[int, str]:
    return len(path.name), path.name


def _by_time(path: Path) -> tuple[int, tuple[int, str]]:
    return path.lstat().st_mtime_ns, _by_epoch(path)


def states_to_go_on(
    unfinished: Unfinished,
    forecaster: Forecaster,
    validation: Windows,
    spec: TrainingSpec,
    last: int | None,
) -> Iterator[dict[str, Any]]:
    """Read the states that a training can go on with, the latest first.

    One whose best weights do not score what they scored when they were kept is left out: the
    model's forecasts depend on more than its `state_dict`, or the machine computes otherwise.

    Args:
        unfinished: where they were kept.
        forecaster: as it is before the first step, and is again afterwards.
        validation: the windows that chose its best epoch.
        spec: how it is trained.
        last: the last epoch, where it is known beforehand.
    """
    for path, state in unfinished.read():
        if state["last"] != last:
            _leave_out(path, f"was to end with epoch {state['last']}, now with {last}")
        elif problem := _problem(state, forecaster, validation, spec):
            _leave_out(path, problem)
        else:
            yield state


def _problem(
    state: Mapping[str, Any], forecaster: Forecaster, validation: Windows, spec: TrainingSpec
) -> str:
    """Say in what a state's best weights score otherwise than they did; empty where they do not."""
    device, first = validation.device, copy.deepcopy(forecaster.state_dict())
    drawn, modes = random_state(device), {part: part.training for part in forecaster.modules()}
    best = state["epochs"][state["best"] - 1]
    try:
        forecaster.load_state_dict(state["best_weights"])
        with torch.autocast(device.type, torch.bfloat16, enabled=spec.precision == "bf16"):
            found = score(forecaster, validation)
    except Exception as error:  # of a model's own way to put a state back, whatever it makes of it
        return f"cannot be put back ({error_text(error)})"
    finally:
        forecaster.load_state_dict(first)
        for part, training in modes.items():
            part.training = training
        set_random_state(drawn, device)
    differ = [
        f"{metric.upper()} {value:.7g}, now {found[metric]:.7g}"
        for metric in found
        if not math.isclose(value := best[f"val_{metric}"], found[metric], rel_tol=1e-6)
    ]
    return f"its best weights had validation {' and '.join(differ)}" if differ else ""


def random_state(device: torch.device) -> dict[str, Any]:
    """Everything that the next random numbers follow from."""
    drawn = np.random.get_state(legacy=False)
    words = torch.from_numpy(drawn["state"]["key"].astype(np.int64))
    state = {
        "python": random.getstate(),
        "numpy": drawn | {"state": drawn["state"] | {"key": words}},
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Draw from now on what would have been drawn after `random_state`."""
    random.setstate(state["python"])
    drawn = state["numpy"]["state"]
    words = drawn["key"].numpy().astype(np.uint32)
    np.random.set_state(state["numpy"] | {"state": drawn | {"key": words}})
    torch.set_rng_state(state["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
