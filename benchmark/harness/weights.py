"""A model's state as a file of numbers: what cannot be read back without running code is refused.

PyTorch's ``get_extra_state`` may put anything beside the tensors of a `state_dict`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from benchmark.data.windows import Windows
from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster
from benchmark.forecasters.sameness import FEW, unreadable, unsaved
from benchmark.harness.plan import Plan
from benchmark.training.heads import build_for_training


def check_state(forecaster: Forecaster, where: str) -> None:
    """Find out whether what is no tensor in a model's state can be kept.

    Args:
        forecaster: the model.
        where: the file it came from, for errors.

    Raises:
        UserError: it cannot be written, or reading it would take more than `torch.load` does with
            data alone.
    """
    what, cure = unreadable(forecaster.state_dict())
    if what:
        raise UserError(f"{where}: model", what, cure)


def write_weights(path: Path, forecaster: Forecaster, where: str) -> None:
    """Write a model's state.

    Raises:
        UserError: as `check_state`.
    """
    check_state(forecaster, where)
    torch.save(forecaster.state_dict(), path)


def check_kept(path: Path, planned: Plan, forecaster: Forecaster, validation: Windows) -> None:
    """Forecast a few validation windows with a model made anew: not all of one need be saved.

    Args:
        path: its weights, as they were kept.
        planned: what it was built by.
        forecaster: the model, fitted.
        validation: windows on its device.

    Raises:
        UserError: it forecasts otherwise, or cannot be made.
    """
    spec, device = planned.spec, validation.device
    fresh = build_for_training(spec.model, forecaster.shape, spec.training, planned.where)
    weights = torch.load(path, map_location=device, weights_only=True)
    x, _ = next(validation.in_order(FEW))
    what, cure = unsaved(forecaster, fresh.to(device), weights, x)
    if what:
        raise UserError(f"{planned.where}: model", what, cure)
