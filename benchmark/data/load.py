"""From a card to a series: fetched if need be, read once, checked, kept for the next start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.data import cache
from benchmark.data.card import DatasetCard
from benchmark.data.checksum import verify
from benchmark.data.fetch import fetch
from benchmark.data.missing import settle
from benchmark.data.parse import parse
from benchmark.data.remarks import remarks
from benchmark.data.seasons import customary_season, season_fault
from benchmark.errors import UserError
from benchmark.words import time_text


@dataclass(frozen=True, eq=False)
class Series:
    """A checked multivariate series, evenly spaced and without gaps but for what its card states.

    Attributes:
        card: the data set's card.
        name: the data set's name.
        values: ``(T, C)``, in each channel's own unit, read-only; finite, or NaN where the card
            masks missing values.
        timestamps: ``(T,)``, datetime64[s], in time order; read-only.
        channels: C names.
        digest: SHA-256 of timestamps, channel names and values; the same for every copy of the
            data, whatever its line ends, compression and place. Where values may be missing, what
            is made of them counts as well.
    """

    card: DatasetCard
    name: str
    values: NDArray[np.float64]
    timestamps: NDArray[np.datetime64]
    channels: tuple[str, ...]
    digest: str

    @property
    def identity(self) -> dict[str, str | int]:
        """What of it decides a run's numbers, beside its splits.

        The content, and the card's season (the seasonal naive's, MASE's) where that is not the one
        that the time step implies.
        """
        implied = self.card.season == customary_season(self.card.step)
        return {"data": self.digest} | ({} if implied else {"season": self.card.season})


def load(card: DatasetCard, progress: bool = True) -> Series:
    """Return the series of a card.

    The first time, its file is fetched (if it is not on this machine), verified, parsed and
    checked; later the values are memory-mapped from the cache.

    Args:
        card: the data set.
        progress: whether to draw a progress bar on standard error while fetching.

    Raises:
        DatasetUnavailable: the file is not here and cannot be fetched.
        UserError: the file is not what its card says; names line, column and value.
    """
    return _read(card, fetch(card, progress))


def describe(card: DatasetCard, progress: bool = True) -> dict[str, str]:
    """Load a data set and say what it holds, for the user's eye: label -> text.

    Raises:
        DatasetUnavailable: the file is not here and cannot be fetched.
        UserError: the file is not what its card says, or too short for its season.
    """
    path = fetch(card, progress)
    series = _read(card, path)
    first, last = (time_text(series.timestamps[i]) for i in (0, -1))
    borders = card.splits.borders(len(series.values))
    if fault := season_fault(card.name, card.season, len(borders["train"])):
        raise fault
    facts = {
        "dataset": card.name,
        "file": str(path),
        "checksum": verify(card, path),
        "rows": f"{len(series.values):,}",
        "channels": f"{len(series.channels)}",
        "first": first,
        "last": last,
        "frequency": card.frequency,
        "splits": ", ".join(f"{name} {rows.start}-{rows.stop}" for name, rows in borders.items()),
        "digest": series.digest,
    }
    if card.missing == "mask":
        missing = np.isnan(series.values)
        facts["masked"] = f"{missing.sum():,} of {missing.size:,} values ({missing.mean():.2%})"
    found = remarks(series.channels, series.values, borders["train"])
    if "constant" in found:
        found["constant"] += "; move it to left_out in the card to leave it out"
    return facts | found


def _read(card: DatasetCard, path: Path) -> Series:
    key = cache.file_key(path, card.reading())
    table = cache.recall_table(path, key)
    if table is None:
        parsed = parse(card, path)
        cache.keep_table(path, key, parsed)
        table = cache.recall_table(path, key) or parsed
    try:
        borders = card.splits.borders(len(table.values))
    except ValueError as error:
        cure = "correct the splits in the card, or delete the file and fetch it again"
        raise UserError(str(path), f"is too short: {error}", cure) from None
    values, digest = settle(card, path, table, borders)
    return Series(card, card.name, values, table.timestamps, table.channels, digest)
