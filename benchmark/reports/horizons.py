"""One data set at several horizons: each model's errors side by side and their mean.

The mean over horizons is what papers print as their last line. It is a mean of means: every horizon
counts alike, however many windows it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.reports.ranking import Group, Leaderboard
from benchmark.reports.tables import Cell, Column, Table, marks, number

if TYPE_CHECKING:
    from pandas import DataFrame

_MEANING = (
    "MSE at each horizon, mean over seeds; then mean MSE and MAE over the horizons, each counting "
    "alike. Best in bold, second underlined.",
)


def horizon_tables(board: Leaderboard) -> Iterator[Table]:
    """Lay out every data set that has two horizons or more, best mean first.

    A model is shown where it is done at all of them; of its lookbacks and configurations the one
    counts that validation chooses, at each horizon by itself.
    """
    alone = [group for group in board.groups if group.protocols == 1 and len(group.rows)]
    for dataset in dict.fromkeys(group.dataset for group in alone):
        groups = [group for group in alone if group.dataset == dataset]
        if len(groups) > 1:
            table = _table(dataset, groups)
            if table is not None:
                yield table


def _table(dataset: str, groups: list[Group]) -> Table | None:
    import pandas as pd

    picked = {group.horizon: group.chosen.set_index("model") for group in groups}
    errors = pd.DataFrame({horizon: rows["mse"] for horizon, rows in picked.items()})
    absolute = pd.DataFrame({horizon: rows["mae"] for horizon, rows in picked.items()})
    whole = errors.dropna().assign(mean=lambda rows: rows.mean(axis=1))
    if not len(whole):
        return None
    whole["mae"] = absolute.loc[whole.index].mean(axis=1)
    whole = whole.sort_values("mean", kind="stable")
    titles: dict[int | str, str] = {horizon: f"at {horizon}" for horizon in picked}
    titles |= {"mean": "mean MSE", "mae": "mean MAE"}
    cells = [_marked(whole, column) for column in titles]
    left_out = sorted(set(errors.index) - set(whole.index))
    notes = [f"Left out, not done at every horizon: {', '.join(left_out)}."] if left_out else []
    several = sorted(
        {name for group in groups for name in group.rows["model"][group.rows["model"].duplicated()]}
        & set(whole.index)
    )
    if several:
        notes.append(
            "Run at several lookbacks or configurations; the one of least validation MSE counts, "
            f"at each horizon by itself: {', '.join(several)}."
        )
    return Table(
        title=f"{dataset}, over {len(groups)} horizons",
        columns=(Column("model", number=False), *(Column(title) for title in titles.values())),
        rows=tuple(zip([Cell(name) for name in whole.index], *cells, strict=True)),
        intro=_MEANING,
        notes=tuple(notes),
    )


def _marked(rows: DataFrame, column: int | str) -> list[Cell]:
    values = rows[column].tolist()
    return [Cell(number(value), mark) for value, mark in zip(values, marks(values), strict=True)]
