"""A parsed data file: times, values and channel names, and the digest that identifies them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Table:
    """What a data file says, whatever its line ends, compression or place.

    Attributes:
        timestamps: ``(T,)``, datetime64[s].
        values: ``(T, C)``, in each channel's own unit.
        channels: C names.
    """

    timestamps: NDArray[np.datetime64]
    values: NDArray[np.float64]
    channels: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of names, times and values, in hexadecimal."""
        head = {"channels": self.channels, "rows": len(self.timestamps)}
        sha256 = hashlib.sha256(json.dumps(head).encode())
        sha256.update(np.ascontiguousarray(self.timestamps.astype("<M8[s]").view("<i8")).data)
        sha256.update(np.ascontiguousarray(self.values, dtype="<f8").data.cast("B"))
        return sha256.hexdigest()


def constant_channels(channels: Sequence[str], train: NDArray[np.float64]) -> str:
    """Say which channels never change over the train rows, at which value; '' where none does.

    Args:
        channels: C names.
        train: ``(T, C)``; NaN where a value is missing, but each channel has one.
    """
    low, high = np.nanmin(train, axis=0), np.nanmax(train, axis=0)
    found = [f"{channels[i]} ({low[i]:.10g})" for i in map(int, np.flatnonzero(low == high))]
    note = "in all of train: easy, and counts in every mean"
    return f"{', '.join(found)} {note}" if found else ""
