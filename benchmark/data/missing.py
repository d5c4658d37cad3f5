"""Missing values: an empty cell, or a row whose time is absent. A card's `missing` says what then.

    error        the file is refused, with the line to look at
    interpolate  at most `interpolate_limit` missing in a row are filled, linearly between the
                 values around them, and count like measured ones. A split is filled from its own
                 rows: where it ends before a value returns, the last one before is held, and where
                 it begins without one, that of the split before. Within a split, a filled value
                 looks up to that many steps ahead, so a lookback that holds one is not quite blind
    mask         nothing is made up: forecasters read the last value before (at the very start the
                 train mean), and what is missing counts in no loss, score or statistic

Under both, absent times become rows of missing values, so that rows are one step apart.

Shapes: T rows, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data.card import DatasetCard
from benchmark.data.files import opened_text
from benchmark.data.splits import SplitName
from benchmark.data.table import Table
from benchmark.data.times import FIRST_LINE, Times, check_first, read_times, step_fault
from benchmark.errors import UserError, raise_faults
from benchmark.words import counted, time_text

Array = NDArray[np.float64]

MOST_ROWS = 2
"""Rows that a series may have for each time of its file; with more, most would hold nothing."""


def add_absent_rows(
    card: DatasetCard, path: Path, times: Times, values: Array
) -> tuple[Times, Array]:
    """Put rows ``(T, C)`` on the regular grid; what has no time gets a row of missing values.

    Raises:
        UserError: a time stands twice, out of order or between the grid's, or most are absent.
    """
    check_first(card, path, times)
    steps = card.step.between(times)
    if (steps <= 0).any():
        raise step_fault(card, path, times, steps <= 0)
    row = np.concatenate([[0], steps.cumsum()])
    rows = int(row[-1]) + 1
    if rows == len(times):
        return times, values
    if rows > MOST_ROWS * len(times):
        what = f"holds {len(times):,} of the {rows:,} times from its first to its last"
        raise UserError(str(path), what, f"correct the frequency ({card.frequency}), or a time")
    grid = card.step.after(times[0], np.arange(rows))
    filled = np.full((rows, values.shape[1]), np.nan)
    filled[row] = values
    return grid, filled


def settle(
    card: DatasetCard, path: Path, table: Table, borders: dict[SplitName, range]
) -> tuple[Array, str]:
    """Apply a card's policy to a table read under it.

    Args:
        card: says which policy.
        path: the file, for errors.
        table: on a regular grid, with NaN where a value is missing.
        borders: the rows of each split.

    Returns:
        the values ``(T, C)``, with NaN where they are masked, and a digest of data and policy.

    Raises:
        UserError: more values are missing than the policy can do without.
    """
    if card.missing == "error":
        return table.values, table.digest
    policy = f"{table.digest} {card.missing} {card.interpolate_limit}"
    digest = hashlib.sha256(policy.encode()).hexdigest()
    if card.missing == "mask":
        check_every_split(str(path), table.channels, table.values, borders)
        return table.values, digest
    _check_gaps(card, path, table)
    stops = [rows.stop for rows in borders.values()]
    values = interpolate(table.values, [*stops, len(table.values)])
    values.flags.writeable = False
    return values, digest


def interpolate(values: Array, stops: list[int]) -> Array:
    """Fill ``(T, C)`` linearly, each stretch of rows from itself and from what stands before it.

    Args:
        values: NaN where missing, but never from row 0 on.
        stops: where each stretch ends; the first begins at row 0.

    Example:
        >>> gaps = np.array([[1.0], [np.nan], [3.0], [np.nan], [np.nan], [9.0]])
        >>> interpolate(gaps, [4, 6]).ravel().tolist()
        [1.0, 2.0, 3.0, 3.0, 3.0, 9.0]
    """
    filled = values.copy()
    for channel in np.flatnonzero(np.isnan(values).any(axis=0)):
        column = filled[:, channel]
        for start, stop in zip([0, *stops], stops, strict=False):
            known = start + np.flatnonzero(~np.isnan(column[start:stop]))
            if start:  # the row before is filled by now
                known = np.append(start - 1, known)
                before = np.arange(start, known[1] if len(known) > 1 else stop)
                column[before] = column[start - 1]
            gaps = start + np.flatnonzero(np.isnan(column[start:stop]))
            column[gaps] = np.interp(gaps, known, column[known])
    return filled


def unseen(
    channels: Sequence[str], values: Array, lookback: int, times: Times | None = None
) -> list[str]:
    """Say of each channel that a lookback has no value of what a forecaster reads instead.

    Args:
        channels: C names.
        values: ``(T, C)``, T of lookback or more; NaN where a value is missing.
        lookback: rows that are read, the last ones.
        times: of the rows, where they are known.
    """
    notes = []
    for channel in map(int, np.flatnonzero(np.isnan(values[-lookback:]).all(axis=0))):
        known = np.flatnonzero(~np.isnan(values[:, channel]))
        held = "the mean of its train rows is read instead"
        if known.size:
            last = int(known[-1])
            back = f"{counted(len(values) - 1 - last, 'row')} back"
            where = back if times is None else f"of {time_text(times[last])}"
            held = f"its last one, {where}, is held"
        notes.append(f"{channels[channel]} has no value in the last {lookback:,} rows; {held}")
    return notes


def longest_gap(missing: NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the longest stretch of True in ``(T,)`` starts, and its length.

    >>> longest_gap(np.array([True, False, True, True]))
    (2, 2)
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(np.int8), [0]])))
    if not edges.size:
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    longest = int(lengths.argmax())
    return int(edges[::2][longest]), int(lengths[longest])


def check_every_split(
    where: str, channels: Sequence[str], values: Array, borders: Mapping[SplitName, range]
) -> None:
    """Refuse a channel of which a split has no value at all.

    Args:
        where: what to call the data in an error.
        channels: C names.
        values: ``(T, C)``, with NaN where a value is missing.
        borders: the rows of each split.

    Raises:
        UserError: names the channels.
    """
    raise_faults(
        UserError(
            f"{where}: column '{channels[channel]}'",
            f"holds no value in the {split} split "
            f"(rows {borders[split].start} to {borders[split].stop})",
            "move the channel to left_out in the card",
        )
        for split, channel in without_values(values, borders)
    )


def without_values(
    values: Array, borders: Mapping[SplitName, range]
) -> Iterator[tuple[SplitName, int]]:
    """Yield each split with each channel of ``(T, C)`` of which it has no value at all."""
    for split, rows in borders.items():
        empty = np.isnan(values[rows.start : rows.stop]).all(axis=0)
        yield from ((split, channel) for channel in map(int, np.flatnonzero(empty)))


def _check_gaps(card: DatasetCard, path: Path, table: Table) -> None:
    limit = card.interpolate_limit
    assert limit is not None
    missing = np.isnan(table.values)
    for channel in map(int, np.flatnonzero(missing.any(axis=0))):
        start, length = longest_gap(missing[:, channel])
        if missing[0, channel]:
            what = "the first value is missing, and none stands before it"
            cure = "delete the rows before the first value, or set missing: mask in the card"
            raise UserError(_place(card, path, table, channel, 0), what, cure)
        if length > limit:
            time = time_text(table.timestamps[start])
            what = f"{length} values in a row are missing from {time} on"
            cure = f"raise interpolate_limit ({limit}) in the card, or set missing: mask"
            raise UserError(_place(card, path, table, channel, start), what, cure)


def _place(card: DatasetCard, path: Path, table: Table, channel: int, row: int) -> str:
    """Name a cell by its line, or by that of the next row where its own row is absent."""
    if card.time_column is None:
        line = row + (FIRST_LINE if card.header else FIRST_LINE - 1)
    else:
        import pandas as pd

        with opened_text(path) as stream:
            names = [card.time_column]
            texts = pd.read_csv(stream, usecols=names, dtype=str, encoding=card.codec)
        times = read_times(path, texts[card.time_column])
        line = int(np.searchsorted(times, table.timestamps[row])) + FIRST_LINE
    return f"{path}: line {line}, column '{table.channels[channel]}'"
