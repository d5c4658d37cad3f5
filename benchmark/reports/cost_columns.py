"""What a model costs, as tables show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.reports.tables import amount, count


@dataclass(frozen=True)
class Shown:
    """A column of numbers: its field in a group's rows, title, meaning and how it is written."""

    key: str
    title: str
    meaning: str
    write: Callable[[float], str]


SHOWN_COSTS = (
    Shown("params", "params", "fitted parameters", count),
    Shown("macs", "MACs", "multiply-accumulates of one forecast", count),
    Shown("train_seconds", "train s", "seconds of fitting", amount),
    Shown("energy_j", "train J", "joules of fitting", amount),
    Shown("peak_memory_mb", "MiB", "most memory held, of the GPU or else of the process", amount),
    Shown("latency_ms", "ms", "milliseconds of one forecast by itself", amount),
    Shown("throughput", "windows/s", "windows forecast a second, 256 at a time", amount),
)
