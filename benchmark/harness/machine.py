"""The machine that a run ran on, in one line: what the last digits of its numbers depend on."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.words import counted

if TYPE_CHECKING:
    import torch

CPU_FACTS = Path("/proc/cpuinfo")
_GIB = 1 << 30


def hardware(device: torch.device, devices: int = 1) -> str:
    """Describe the CPU, and the GPUs where a run uses them.

    Args:
        device: what the run computes on, the first where there are several.
        devices: how many of the kind.

    Returns:
        Model, vector instructions that torch takes, cores that this process may use and memory,
        e.g. ``AMD EPYC 7B13, AVX2, 2 cores, 24 GB``; then the GPU and its memory.
    """
    import torch

    if device.type != "cuda":
        return _cpu()
    gpu = torch.cuda.get_device_properties(device)
    return f"{_cpu()}, {several(devices, gpu.name)}, {gpu.total_memory / _GIB:.0f} GB"


def device_name(device: torch.device, devices: int) -> str:
    """Name of the device as a reader knows it, e.g. ``cpu``, ``NVIDIA H100`` or ``2 x cpu``."""
    import torch

    one = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return several(devices, one)


def several(count: int, name: str) -> str:
    """Write how many of a device there are, where there is more than one."""
    return name if count == 1 else f"{count} x {name}"


def is_cpu(name: str) -> bool:
    """Say whether a device that a record names is the CPU, be it one or several."""
    return name.rpartition(" x ")[2] == "cpu"


@cache
def _cpu() -> str:
    parts = [processor()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts.append(counted(cores or 1, "core"))
    if hasattr(os, "sysconf"):  # not on Windows
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        parts.append(f"{memory / _GIB:.0f} GB")
    return ", ".join(parts)


def processor() -> str:
    """Describe what of the CPU decides digits: its model, and the instructions that torch takes."""
    import torch

    return f"{_model()}, {torch.backends.cpu.get_cpu_capability()}"


def _model() -> str:
    """Return the processor's name as Linux knows it, else as Python does."""
    if CPU_FACTS.is_file():
        named = re.search(r"^model name\s*:\s*(.+)$", CPU_FACTS.read_text(), re.MULTILINE)
        if named:
            return " ".join(named[1].split())
    return platform.processor() or platform.machine() or "unknown CPU"
