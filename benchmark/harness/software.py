"""With what a run was made: versions, revision, and all else that its last digits depend on."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from benchmark import __version__
from benchmark.harness.identity import code_digest
from benchmark.harness.machine import device_name, processor
from benchmark.harness.revision import git_revision

if TYPE_CHECKING:
    import torch


def software() -> dict[str, Any]:
    """Columns that say with what a row was made."""
    import torch

    return {
        "benchmark_version": __version__,
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "lightning_version": version("lightning"),
        "git_revision": git_revision(),
    }


def made_by(device: torch.device, devices: int) -> dict[str, str]:
    """Return all that the last digits of a fit depend on beside its configuration.

    Args:
        device: what it computes on, the first where there are several.
        devices: how many share it.
    """
    import torch

    columns = software() | {
        "device": device_name(device, devices),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "code": code_digest(),  # a revision says nothing of a working copy that is being changed
    }
    return {name: str(value) for name, value in columns.items() if name != "git_revision"}
