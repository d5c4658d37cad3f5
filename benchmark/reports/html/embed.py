"""How results go into a page: as JSON that no name in it can break out of, numbers packed."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 32_000
MISSING = -32_768
DIGITS = 4


def script_json(value: Any) -> str:
    r"""Write a value as JSON to stand inside a script element.

    ``<``, ``>`` and ``&`` stand only inside JSON's texts; as escapes they cannot end the element
    nor open a comment, whatever a model is called.

    >>> script_json("</script><!--")
    '"\\u003c/script\\u003e\\u003c!--"'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def policy_hash(script: str) -> str:
    """Name a script in a Content-Security-Policy, so that no other one runs."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def pack(values: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """Pack numbers for drawing: whole numbers of 16 bits between the least and the largest.

    Args:
        values: of any shape; what is not finite is unpacked as missing.

    Returns:
        ``{"low", "step", "data"}`` with value = low + step x number, numbers little-endian in
        base64, the last axis fastest.
    """
    finite = np.isfinite(values)
    low, high = (f(values[finite]) if finite.any() else 0.0 for f in (np.min, np.max))
    step = (float(high) - float(low)) / LARGEST or 1.0
    numbers = np.full(values.shape, MISSING, dtype="<i2")
    numbers[finite] = np.round((values[finite].astype(np.float64) - float(low)) / step)
    return {
        "low": float(low),
        "step": step,
        "data": base64.b64encode(numbers.tobytes()).decode("ascii"),
    }


def rounded(values: NDArray[np.floating[Any]]) -> list[float | None]:
    """Write numbers with four significant digits; what is not finite is missing."""
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values]
