"""The noise floor of each data set: how far scores differ by the seed alone, and whose do most."""

from __future__ import annotations

import math

from benchmark.records.record import SEEDED
from benchmark.reports.ranking import Group, Leaderboard
from benchmark.reports.seed_noise import beyond
from benchmark.reports.tables import MISSING, Cell, Column, Table, number

LEAST = 2
"""Of fewer tasks the note below a task's own table says it all."""

_MEANING = (
    "Noise: standard deviation of one seed's test MSE, pooled over the configurations that were "
    "trained with several seeds, and its share of the best row's MSE.",
    "Beyond: two single seeds differ by more than chance (5%) from there on. Steadiest, least "
    "steady: the model whose own seeds differ least and most.",
)


def noise_table(board: Leaderboard) -> Table | None:
    """Lay out the noise floor of every data set and horizon that has one, the lowest share first.

    Returns:
        The table; None where fewer than two tasks have several seeds of anything.
    """
    noisy = [group for group in board.groups if "mse" in group.noise]
    if len(noisy) < LEAST:
        return None
    noisy.sort(key=_share)
    return Table(
        title="Noise floors",
        columns=(
            Column("task", number=False),
            Column("noise"),
            Column("of best"),
            Column("beyond", spare=1),
            Column("steadiest", number=False, spare=2),
            Column("least steady", number=False, spare=2),
            Column("configurations", spare=3),
        ),
        rows=tuple(_row(group) for group in noisy),
        intro=_MEANING,
    )


def _share(group: Group) -> float:
    best = float(group.rows["mse"].iloc[0])
    return group.noise["mse"].std / best if best else math.inf


def _row(group: Group) -> tuple[Cell, ...]:
    floor, share = group.noise["mse"], _share(group)
    trained = group.rows[(group.rows["fitted"].isin(SEEDED)) & (group.rows["seeds"] > 1)]
    own = trained.sort_values("mse_std", kind="stable")
    least, most = (
        Cell(f"{own['name'].iloc[place]} {number(own['mse_std'].iloc[place])}") for place in (0, -1)
    )
    return (
        Cell(group.title),
        Cell(number(floor.std)),
        Cell(MISSING if math.isinf(share) else f"{share:.1%}"),
        Cell(number(beyond(floor))),
        least,
        most,
        Cell(str(floor.configurations)),
    )
