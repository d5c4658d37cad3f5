"""A parsed data file: times, values and channel names, and the digest that identifies them."""

from __future__ import annotations

import hashlib
import json
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
