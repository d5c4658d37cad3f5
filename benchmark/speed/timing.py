"""Seconds of a call, measured so that two can be compared.

Timings on shared machines drift; ratios taken side by side do not. Every figure is the median of
interleaved repeats.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

Call = Callable[[], object]


def side_by_side(one: Call, other: Call, device: torch.device, repeats: int) -> tuple[float, float]:
    """Seconds of two calls, measured in turn."""
    pairs = [(seconds(one, device, 1), seconds(other, device, 1)) for _ in range(repeats)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def seconds(call: Call, device: torch.device, repeats: int) -> float:
    """Seconds of one call: the median over repeats that each last at least 50 ms."""

    def now() -> float:
        if device.type == "cuda":  # which may still be at what was asked for before
            torch.cuda.synchronize(device)
        return time.perf_counter()

    call()
    took = []
    for _ in range(repeats):
        calls, started = 0, now()
        while time.perf_counter() - started < 0.05:
            call()
            calls += 1
        took.append((now() - started) / calls)
    return statistics.median(took)
