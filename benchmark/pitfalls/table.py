"""The effects of all mistakes as one table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.pitfalls.mistakes import Effect
from benchmark.reports.tables import Cell, Column, Table, number

COLUMNS = (
    Column("mistake", number=False),
    Column("model", number=False),
    Column("honest MSE"),
    Column("with the mistake"),
    Column("difference"),
    Column("what it is", number=False),
)


def pitfalls_table(effects: Sequence[Effect], dataset: str, horizon: int, command: str) -> Table:
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
            "mistake, each switched on alone. Below 0% the mistake flatters.",
        ),
        notes=(
            "least_squares has nothing to train or to choose: what moves its number is the "
            "protocol alone. All other settings are those of the models' own YAMLs.",
            f"Made by: {command}",
        ),
    )


def _row(effect: Effect) -> tuple[Cell, ...]:
    change = f"{100 * effect.change:+.2f}%"
    numbers = number(effect.honest), number(effect.mistaken), change
    return tuple(map(Cell, (effect.mistake, effect.model, *numbers, effect.meaning)))
