"""The effects of all mistakes as one table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.pitfalls.study import OverSeeds
from benchmark.reports.tables import Cell, Column, Table, mean_and_std
from benchmark.statistics.noise import over_seeds

COLUMNS = (
    Column("mistake", number=False),
    Column("model", number=False),
    Column("honest MSE"),
    Column("with the mistake"),
    Column("difference"),
    Column("seeds"),
    Column("what it is", number=False),
)


def pitfalls_table(effects: Sequence[OverSeeds], dataset: str, horizon: int, command: str) -> Table:
    """Lay the effects out, a row each.

    Args:
        effects: in the order of the rows.
        dataset: the data set's name.
        horizon: steps forecast.
        command: what makes the table again.
    """
    return Table(
        title=f"What known mistakes are worth: {dataset}, horizon {horizon}",
        columns=COLUMNS,
        rows=tuple(_row(effect) for effect in effects),
        intro=(
            "The test error (MSE, scaled series) of the same model by the protocol and with one "
            "mistake, each switched on alone; mean ± standard deviation over seeds, of the "
            "difference seed by seed. Below 0% the mistake flatters.",
        ),
        notes=(
            "least_squares has nothing to train or to choose: what moves its number is the "
            "protocol alone. All other settings are those of the models' own YAMLs.",
            f"Made by: {command}",
        ),
    )


def _row(found: OverSeeds) -> tuple[Cell, ...]:
    effects = found.effects
    honest, mistaken = ([getattr(e, name) for e in effects] for name in ("honest", "mistaken"))
    mean, std = over_seeds([100 * effect.change for effect in effects])
    change = f"{mean:+.2f}%" + ("" if math.isnan(std) else f"±{std:.2f}")
    numbers = mean_and_std(*over_seeds(honest)), mean_and_std(*over_seeds(mistaken)), change
    texts = (effects[0].mistake, effects[0].model, *numbers, str(len(effects)), found.meaning)
    return tuple(map(Cell, texts))
