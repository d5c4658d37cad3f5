"""How far back to look: the models of a group that were run at several lookbacks, side by side.

A lookback is a choice, and a fair one is made on validation. Its windows' horizons are the same for
every lookback, as those on test are, so the errors compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.reports.choice import chosen, complete
from benchmark.reports.ranking import Group
from benchmark.reports.seed_noise import MARKED, noise_cells
from benchmark.reports.tables import MISSING, Cell, Column, Table, by_column, decimals_for, number

if TYPE_CHECKING:
    from pandas import DataFrame

_MEANING = (
    "at N: test MSE at that lookback, mean over seeds. Read down such a column to compare models "
    "that see equally much.",
    "chosen: the lookback with the least validation MSE; MSE: its test MSE, by which rows are "
    "sorted. Read down that one to compare models that each look as far back as validation says.",
    "regret: that MSE less the lowest of the row; only test shows it, so nothing is chosen by it. "
    + MARKED,
)


def lookback_table(group: Group) -> Table | None:
    """Lay out what every lookback gives and what validation chooses.

    Returns:
        The table; None where no model is done at two lookbacks or more.
    """
    lookbacks = group.rows.groupby("model")["lookback"].transform("nunique")
    rows = group.rows[lookbacks > 1]
    twice = rows.loc[rows.duplicated(["model", "lookback"], keep=False), "model"]
    rows = rows[~rows["model"].isin(twice)]
    whole = complete(rows)
    whole = whole[whole.duplicated("model", keep=False)]
    if not len(whole):
        return None
    choice = chosen(whole).set_index("model").reindex(sorted(set(whole["model"])))
    choice = choice.sort_values("mse", kind="stable")  # what has no choice comes last
    noise = group.noise.get("mse")
    regret = choice["mse"] - whole.groupby("model")["mse"].min()[choice.index]
    places = decimals_for(choice["mse"])
    columns = {
        Column("model", number=False): [Cell(name) for name in choice.index],
        **{
            Column(f"at {lookback}"): noise_cells(
                "mse", at.set_index("model").reindex(choice.index), noise
            )
            for lookback, at in whole.groupby("lookback")
        },
        Column("chosen"): [Cell(number(value, 0)) for value in choice["lookback"]],
        Column("MSE"): noise_cells("mse", choice, noise),
        Column("regret"): [Cell(number(value, places)) for value in regret],
    }
    notes = _notes(twice, rows.drop(complete(rows).index))
    return by_column(f"{group.title}: several lookbacks", columns, _MEANING, notes)


def _notes(twice: Iterable[str], partial: DataFrame) -> Iterable[str]:
    names = ", ".join(sorted(set(twice)))
    if names:
        yield f"Left out, with several configurations at one lookback: {names}."
    if len(partial):
        pairs = zip(partial["model"], partial["lookback"], strict=True)
        cells = ", ".join(f"{model} ({lookback})" for model, lookback in sorted(pairs))
        yield f"Shown as {MISSING} and not chosen, for not every seed is done: {cells}."
