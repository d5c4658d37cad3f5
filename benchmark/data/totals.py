"""Sums over the rows of a long series, a stretch at a time, to the bit what numpy sums at once.

numpy adds the rows of a ``(T, C)`` array one after the other, so the sum of a stretch may go on
from that of the one before. One channel alone it adds in another order: that is summed in one go.

Shapes: T rows, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AT_ONCE = 1 << 21
"""Values of a stretch: what is computed of it takes a few times 16 MB."""


def stretches(rows: int, channels: int) -> Iterator[slice]:
    """Cut rows into stretches of `AT_ONCE` values; one channel's are not cut."""
    step = max(1, rows if channels == 1 else AT_ONCE // channels)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def total(rows: int, channels: int, part: Callable[[slice], NDArray[Any]]) -> Array:
    """Sum over rows what `part` gives for a stretch of them, ``(stretch, C)`` to ``(C,)``."""
    found = np.zeros((0, channels))
    for stretch in stretches(rows, channels):
        values = np.concatenate([found, part(stretch)], dtype=np.float64)
        found = np.add.reduce(np.ascontiguousarray(values), axis=0, keepdims=True)
    sums: Array = found[0]
    return sums
