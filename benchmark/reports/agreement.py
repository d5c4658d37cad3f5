"""Whether our rows agree with what was published of the same models: the summary of many tables.

A pair is one setting of a model and one task of which somebody published a figure at the same
lookback. Two groups that published the same pair often differ by more than ours from either, so a
pair is told by its nearest and by its farthest figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.reports.published import FEWER
from benchmark.reports.tables import Cell, Column, Table, percent

if TYPE_CHECKING:
    from pandas import DataFrame, Series

WITHIN = 0.03
"""Relative difference in MSE up to which a figure counts as reproduced."""

_PAIR = ["name", "lookback", "dataset", "horizon", "fingerprint"]
_LINE = ["name", "lookback", "dataset"]


def agreement(matches: DataFrame) -> DataFrame:
    """Say of every pair how far the nearest and the farthest published MSE are from ours.

    Args:
        matches: of a `benchmark.reports.published.PublishedComparison`.

    Returns:
        A row a pair: name, lookback, dataset, horizon, fingerprint; nearest and farthest, ours
        less theirs relative to theirs, over their windows; figures, how many there are; within,
        whether one more seed of ours might be as far from our mean as the nearest (95%).
    """
    known = matches[matches["mse_difference"].notna()]
    known = known.assign(away=known["mse_difference"].abs()).sort_values("away", kind="stable")
    pairs = known.groupby(_PAIR, sort=True, as_index=False)
    return pairs.agg(
        nearest=("mse_difference", "first"),
        farthest=("mse_difference", "last"),
        figures=("mse_difference", "size"),
        within=("mse_within", "first"),
    )


def agreement_table(matches: DataFrame) -> Table | None:
    """Lay `agreement` out with a column a horizon; None where no pair can be compared."""
    pairs = agreement(matches)
    if not len(pairs):
        return None
    horizons = sorted(pairs["horizon"].unique())
    rows = []
    for key, own in pairs.groupby(_LINE):
        cells = {horizon: _cell(here) for horizon, here in own.groupby("horizon")}
        blank = Cell("")
        line = (Cell(str(part)) for part in key)
        rows.append((*line, *(cells.get(horizon, blank) for horizon in horizons)))
    return Table(
        title="Ours and published: the summary",
        columns=(
            Column("model", number=False),
            Column("lookback"),
            Column("data set", number=False),
            *(Column(f"at {horizon}", spare=1) for horizon in horizons),
        ),
        rows=tuple(rows),
        intro=(_sentence(pairs, _unscored(matches)), _MEANING),
    )


_MEANING = (
    "How far our MSE is from the nearest and, where several were published, the farthest figure "
    "at the same lookback, over the windows that it was scored on and relative to it. ≈: one more "
    "seed of ours might be as far from the mean of ours as the nearest figure (95%)."
)


def _sentence(pairs: DataFrame, unscored: int) -> str:
    far = pairs["nearest"].abs() > WITHIN
    told = (
        f"Within {WITHIN:.0%} of a published figure: {(~far).sum()} of {len(pairs)} pairs of a "
        "model's setting and a task."
    )
    several = pairs[pairs["figures"] > 1]
    if len(several):
        every = (several["farthest"].abs() <= WITHIN).sum()
        told += f" Of every figure, where there are several: {every} of {len(several)}."
    close = (far & pairs["within"]).sum()
    told += f" One more seed of ours might be as far off in {close} more." if close else ""
    told += (
        f" Figures left out: {unscored}, of shortened test sets, over whose windows ours cannot be "
        "scored without the folders of all runs."
        if unscored
        else ""
    )
    return told


def _unscored(matches: DataFrame) -> int:
    """Count the figures at our lookback on known windows over which ours have no score."""
    same = matches["published_lookback"] == matches["lookback"].astype("str")
    return int((same & (matches["windows"] != FEWER) & matches["own_mse"].isna()).sum())


def _cell(pairs: DataFrame) -> Cell:
    """The differences of one horizon, several where the protocol differs; the worst is marked."""
    far = bool((pairs["nearest"].abs() > WITHIN).any())
    return Cell("; ".join(pairs.apply(_text, axis=1)), "bad" if far else "")


def _text(pair: Series) -> str:
    nearest = percent(pair["nearest"]) + (" ≈" if pair["within"] else "")
    return nearest if pair["figures"] == 1 else f"{nearest} ({percent(pair['farthest'])})"
