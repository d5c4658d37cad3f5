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


def moments(values: Array) -> tuple[Array, Array, Array]:
    """Count the values of each channel of ``(T, C)``, and give their mean and variance, ``(C,)``.

    NaN counts in nothing.
    """
    rows, channels = values.shape
    count = total(rows, channels, lambda part: ~np.isnan(values[part]))
    mean = total(rows, channels, lambda part: known_or_zero(values[part])) / count
    squares = total(rows, channels, lambda part: known_or_zero(values[part] - mean) ** 2)
    return count, mean, squares / count


def never_changes(count: Array, mean: Array, variance: Array) -> NDArray[np.bool_]:
    """Whether what varies is rounding alone, by the bound that scikit-learn's StandardScaler has.

    A channel of 0.1 + 0.2 and 0.3 would else be scaled by 1e-17.
    """
    digit = np.finfo(np.float64).eps
    still: NDArray[np.bool_] = variance <= count * digit * variance + (count * digit * mean) ** 2
    return still


def known_or_zero(values: Array) -> Array:
    """Put 0, which adds nothing to a sum, where a value is missing."""
    return np.where(np.isnan(values), 0.0, values)
