"""What a forecaster costs: numbers fitted and memory held."""

from __future__ import annotations

import re
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def num_weights(forecaster: nn.Module) -> int:
    """Numbers that fitting sets: parameters, and the saved buffers of a closed-form fit."""
    return sum(tensor.numel() for tensor in forecaster.state_dict().values())


def reset_peak_memory(device: torch.device) -> None:
    """Start counting peak memory anew, so that a suite's runs do not inherit each other's peak.

    Off Linux the operating system has no such reset, and some containers forbid it; there a
    process's peak is that of all it did.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR_REFS.exists():
        with suppress(OSError):  # forbidden: see above
            _CLEAR_REFS.write_text("5")  # proc(5): resets the peak resident set size


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MiB since the reset: of the accelerator on CUDA, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if _STATUS.exists():
        peak_kb = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
        if peak_kb:
            return int(peak_kb[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
