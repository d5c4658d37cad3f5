"""Values that are no error and yet worth a word, before a model is judged by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmark.data.totals import moments, never_changes
from benchmark.words import counted

Array = NDArray[np.float64]

MOST_ALIKE = 0.05
"""Share of a channel's values up to which equal ones far off look like a code, not a state."""

FEW = 24
"""Different whole numbers up to which a channel may be of the calendar: hours of a day."""

A_LOOK = 500
"""Values that tell of most channels that theirs are more."""


def remarks(channels: Sequence[str], values: Array, train: range) -> dict[str, str]:
    """Say of a data set what may surprise, a label and a text each; empty where nothing does.

    Args:
        channels: C names.
        values: all rows ``(T, C)``; NaN where one is missing, but each channel has one in train.
        train: the rows that models are fitted on.
    """
    found = {
        "at the end": _at_the_end(values),
        "constant": _constant(channels, values, train),
        "few values": ", ".join(filter(None, map(_few_values, channels, values.T))),
        "far off": ", ".join(filter(None, map(_far_off, channels, values.T))),
    }
    cures = {
        "few values": "such channels are forecast and scored like any other: list them under "
        "left_out in the card if they are known beforehand, as holidays are",
        "far off": "empty these cells in the file if they mean that nothing was measured",
    }
    return {
        label: "; ".join(filter(None, (text, cures.get(label))))
        for label, text in found.items()
        if text
    }


def _at_the_end(values: Array) -> str:
    """Rows after the last value, such as a file has for times to come."""
    there = np.flatnonzero(~np.isnan(values).all(axis=1))
    count = len(values) - 1 - int(there[-1])
    rows = f"last {count:,} rows" if count > 1 else "last row"
    return f"no value in the {rows}: test rows unless taken out of the file" if count else ""


def _constant(channels: Sequence[str], values: Array, train: range) -> str:
    """Channels that never change over the train rows, and whether they do so later."""
    count, mean, variance = moments(values[: train.stop])
    still = np.flatnonzero(never_changes(count, mean, variance))
    level = np.nanmin(values[: train.stop, still], axis=0, initial=np.inf)
    rounding = (count * np.abs(mean))[still] * np.finfo(np.float64).eps
    away = np.abs(values[train.stop :, still] - level) > rounding
    moves = away.any(axis=0)
    parts = []
    for indices, note in (
        (still[~moves], "always: easy, and counts in every mean"),
        (still[moves], "in train, not after: unscaled, may outweigh all"),
    ):
        names = [f"{channels[i]} ({mean[i]:.10g})" for i in indices]
        parts += [f"{', '.join(names)} {note}"] if names else []
    return "; ".join(parts)


def _few_values(name: str, column: Array) -> str:
    """A channel of a few whole numbers, such as the day of the week, and how many they are."""
    known = column[~np.isnan(column)]
    if len(np.unique(known[:A_LOOK])) > FEW or len(known) < A_LOOK:
        return ""
    different = np.unique(known)
    is_few = 1 < len(different) <= FEW and not np.any(different % 1)
    return f"{name} ({len(different)})" if is_few else ""


def _far_off(name: str, column: Array) -> str:
    """A channel's lowest or highest value, if no other is as near as these are to each other.

    So stands what loggers write where nothing was measured: -999 among temperatures.
    """
    known = column[~np.isnan(column)]
    for value in (known.min(), known.max()):
        others = known[known != value]
        count = len(known) - len(others)
        if not len(others) or count > MOST_ALIKE * len(known):
            continue
        low, high = others.min(), others.max()
        if (
            not np.isclose(low, high, rtol=1e-12, atol=0)
            and max(low - value, value - high) > high - low
        ):
            cells = counted(count, "cell")
            return f"{name}: {value:.10g} in {cells}, the others lie from {low:.10g} to {high:.10g}"
    return ""
