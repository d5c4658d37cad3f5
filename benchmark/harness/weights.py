"""A model's state as a file of numbers: what cannot be read back without running code is refused.

PyTorch's ``get_extra_state`` may put anything beside the tensors of a `state_dict`.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster


def check_state(forecaster: Forecaster, where: str) -> None:
    """Find out whether what is no tensor in a model's state can be kept.

    Args:
        forecaster: the model.
        where: the file it came from, for errors.

    Raises:
        UserError: it cannot be written, or reading it would take more than `torch.load` does with
            data alone.
    """
    state = forecaster.state_dict()
    others = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    stream = io.BytesIO()
    try:
        torch.save(others, stream)
        stream.seek(0)
        torch.load(stream, weights_only=True)
    except Exception as error:  # of pickling, whatever an object makes of it
        refused = re.search(r"GLOBAL (\S+)", str(error))
        name = refused[1] if refused else type(error).__name__
        what = f"get_extra_state gives what cannot be kept as data alone ({name})"
        cure = "give tensors, numbers, texts, and lists or dicts of them"
        raise UserError(f"{where}: model", what, cure) from None


def write_weights(path: Path, forecaster: Forecaster, where: str) -> None:
    """Write a model's state.

    Raises:
        UserError: as `check_state`.
    """
    check_state(forecaster, where)
    torch.save(forecaster.state_dict(), path)
