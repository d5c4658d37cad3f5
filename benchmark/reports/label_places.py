"""Where names stand beside their points: near, inside the panel, and over nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]

_WAYS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
_DISTANCES = (7, 11, 16, 22, 30)  # pixels, from a point to the edge of its name
_STEPS = np.array([(x * far, y * far) for far, (x, y) in product(_DISTANCES, _WAYS)], dtype=float)


def place_labels(
    points: Boxes, names: Sequence[str], font: float, taken: Boxes, panel: Boxes
) -> Boxes:
    """Find the nearest place around each point where its name covers nothing.

    Points are taken from the most crowded side, the bottom, upwards.

    Args:
        points: ``(N, 2)`` in pixels, from the upper left corner.
        names: of the points.
        font: height of the names.
        taken: what no name may cover beside the others ``(M, 4)``: left, upper, right, lower edge.
        panel: width and height ``(2,)``.

    Returns:
        The way from each point to the edge, or corner, of its name ``(N, 2)``: the name goes on in
        that direction. NaN where there is no room.
    """
    found = np.full(points.shape, np.nan)
    for place in np.argsort(-points[:, 1], kind="stable"):
        half = np.array([text_width(names[place], font), font]) / 2
        boxes = around(points[place] + _STEPS + np.sign(_STEPS) * half, half)
        inside = (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= panel).all(axis=1)
        clear = np.flatnonzero(inside & ~_cover(boxes, taken))
        if len(clear):
            found[place] = _STEPS[clear[0]]
            taken = np.vstack([taken, boxes[clear[0]]])
    return found


def around(points: Boxes, reach: float | Boxes) -> Boxes:
    """Boxes ``(N, 4)`` around points ``(N, 2)``."""
    return np.hstack([points - reach, points + reach])


def text_width(text: str, font: float) -> float:
    """Return the width that a text may take: fonts differ, so rather too much than too little."""
    return font * sum(1.0 if east_asian_width(letter) in "WF" else 0.6 for letter in text)


def _cover(boxes: Boxes, taken: Boxes) -> NDArray[np.bool_]:
    """Which of some boxes ``(N, 4)`` have anything in common with any of others ``(M, 4)``."""
    lower = np.maximum(boxes[:, None, :2], taken[:, :2])
    upper = np.minimum(boxes[:, None, 2:], taken[:, 2:])
    covered: NDArray[np.bool_] = np.any((lower < upper).all(axis=2), axis=1)
    return covered
