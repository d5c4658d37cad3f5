"""Every row of a task beside one that is named: is it better or worse by more than chance?

The leaderboard compares with the best row; whoever has a model of their own asks about another one.
Both chances are in the interval, as `benchmark.reports.judgement` puts them together: that of the
test windows, by a paired Diebold-Mariano test, and that of the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from benchmark.config import nearest
from benchmark.errors import UserError
from benchmark.records.record import SEEDED
from benchmark.reports.changes import BEYOND_SEEDS, BEYOND_WINDOWS, LONG_MEMORY, verdict_of
from benchmark.reports.choice import chosen
from benchmark.reports.ranking import GROUP, Group, Leaderboard
from benchmark.reports.seed_noise import seed_means
from benchmark.reports.tables import (
    MISSING,
    Cell,
    Column,
    Table,
    decimals_for,
    number,
    percent,
    signed,
)
from benchmark.reports.ties import window_losses_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from benchmark.records.losses import Losses

_MEANING = (
    "Differences in MSE, below 0 where the row is better. ±: what equal models differ by in 95 of "
    "100 cases, through the luck of the test windows (paired Diebold-Mariano test) and of the "
    f"seeds together. {BEYOND_SEEDS}: without the runs' folders nothing is known of the windows; "
    f"{BEYOND_WINDOWS}: without two seeds of a trained model nothing is known of the seeds; "
    f"{MISSING}: nothing is known of either. Each row is judged by itself: of twenty equal "
    f"ones, one comes out as different by chance. {LONG_MEMORY}."
)


def against_tables(
    board: Leaderboard, results: DataFrame, losses: Losses, name: str
) -> list[Table]:
    """Lay out each task that has a row of that name, its rows in their order.

    Args:
        board: of `results`.
        results: as `benchmark.records.table.read_results` gives.
        losses: squared error of every test window by run id ``(W,)``, as far as it is known.
        name: of a model, where it has several rows the one that validation chooses; or of a row.

    Raises:
        UserError: no row has that name, or several and nothing chooses among them.
    """
    done = dict(tuple(results[results["status"] == "done"].groupby(GROUP)))
    tables: list[Table] = []
    for group in board.groups:
        place = _place(group, name)
        if place is not None:
            key = group.dataset, group.horizon, group.fingerprint
            seeds = window_losses_of(group.rows, done[key], losses)
            intro = () if tables else (_MEANING,)  # once, above the first
            tables.append(_table(group, place, seeds, intro))
    if not tables:
        failed = [group.failed[["name", "model"]] for group in board.groups]
        if any((own == name).any(axis=None) for own in failed):
            raise UserError("--against", f"'{name}' has no row: all its runs failed")
        names = {name for group in board.groups for name in group.rows["name"]}
        raise UserError("--against", f"no row is called '{name}'", nearest(name, names))
    return tables


def _place(group: Group, name: str) -> int | None:
    """The row that is meant, among those of a group."""
    rows = group.rows
    found = rows.index[rows["name"] == name]
    if len(found) != 1:
        found = rows.index[rows["model"] == name]
    if len(found) > 1:
        own = chosen(rows.loc[found])
        if not len(own):
            what = (
                f"'{name}' has {len(found)} rows ({group.title}), and no val_mse that chooses one"
            )
            raise UserError("--against", what, "rank a CSV with one of them")
        found = own.index
    return int(found[0]) if len(found) else None


def _table(
    group: Group, place: int, seeds: Mapping[int, NDArray[np.float64]], intro: tuple[str, ...]
) -> Table:
    from benchmark.statistics.bootstrap import can_resample
    from benchmark.statistics.diebold_mariano import diebold_mariano

    rows, floor = group.rows, group.noise.get("mse")
    means, trained = seed_means("mse", rows), rows["fitted"].isin(SEEDED).tolist()
    places = decimals_for(rows["mse"])
    reference = float(rows["mse"].iloc[place])
    cells = []
    for at, (name, lookback, mse) in enumerate(
        zip(rows["name"], rows["lookback"], rows["mse"], strict=True)
    ):
        told = ("", "", "", "")
        if at != place:
            windows = luck = None
            if not (trained[at] or trained[place]):
                luck = 0.0
            elif floor is not None:
                luck = floor.smallest_difference(means[at], means[place])
            if {at, place} <= seeds.keys() and can_resample(seeds[at].shape[1], group.horizon):
                windows = diebold_mariano(seeds[at], seeds[place], group.horizon)
            difference = mse - reference
            share = percent(difference / reference)
            told = (signed(difference, places), share, *_judged(difference, windows, luck, places))
        cells.append(tuple(map(Cell, (name, str(lookback), number(mse, places), *told))))
    return Table(
        title=f"{group.title}: beside {rows['name'].iloc[place]} "
        f"({rows['lookback'].iloc[place]}), MSE {number(reference, places)}",
        columns=(
            Column("model", number=False),
            Column("lookback", spare=2),
            Column("MSE", spare=1),
            Column("differs"),
            Column("by", spare=3),
            Column("±"),
            Column("verdict", number=False),
        ),
        rows=tuple(cells),
        intro=intro,
    )


def _judged(
    difference: float, windows: float | None, seeds: float | None, places: int
) -> tuple[str, str]:
    """How far equal models differ, and what to think of this difference."""
    if windows is None and not seeds:
        return MISSING, MISSING
    reach = math.hypot(windows or 0.0, seeds or 0.0)
    return number(reach, places), verdict_of(difference, windows, seeds)
