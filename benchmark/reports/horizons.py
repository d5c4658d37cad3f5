"""One data set at several horizons: each model's errors side by side and their mean.

The mean over horizons is what papers print as their last line. It is a mean of means: every horizon
counts alike, however many windows it has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmark.records.record import HEADLINE
from benchmark.reports.choice import choice_note
from benchmark.reports.ranking import Group, Leaderboard
from benchmark.reports.seed_noise import MARKED, noise_cells
from benchmark.reports.tables import Cell, Column, Table, by_column

if TYPE_CHECKING:
    from pandas import DataFrame

    from benchmark.statistics.noise import NoiseFloor

_MEANING = (
    "MSE at each horizon, mean over seeds; then mean MSE and MAE over the horizons, each counting "
    f"alike. {MARKED}",
)


def horizon_tables(board: Leaderboard) -> Iterator[Table]:
    """Lay out every data set that has two horizons or more, best mean first.

    What was fitted on train rows alone and what on validation rows too have a table each.
    A model is shown where it is done at all of them; of its lookbacks and configurations the one
    counts that validation chooses, at each horizon by itself.
    """
    parts: dict[tuple[str, bool], list[Group]] = {}
    for group in board.groups:
        if len(group.rows):
            parts.setdefault((group.dataset, group.refitted), []).append(group)
    for (dataset, refitted), own in sorted(parts.items()):
        protocols = Counter(group.horizon for group in own)
        groups = [group for group in own if protocols[group.horizon] == 1]
        several = [horizon for horizon, count in protocols.items() if count > 1]
        if len(groups) > 1:
            title = f"{dataset}, fitted on validation rows too" if refitted else dataset
            table = _table(title, groups, several)
            if table is not None:
                yield table


def _table(title: str, groups: list[Group], several_protocols: list[int]) -> Table | None:
    import pandas as pd

    picked = {group.horizon: group.chosen.set_index("model") for group in groups}
    errors = pd.DataFrame({horizon: rows["mse"] for horizon, rows in picked.items()})
    whole = errors.dropna().mean(axis=1).sort_values(kind="stable")
    if not len(whole):
        return None
    rows = [own.loc[whole.index] for own in picked.values()]
    columns = {Column("model", number=False): [Cell(name) for name in whole.index]}
    for group, own in zip(groups, rows, strict=True):
        cells = noise_cells("mse", own, group.noise.get("mse"))
        columns[Column(f"at {group.horizon}", spare=1)] = cells
    for metric in HEADLINE:
        cells = noise_cells(metric, _mean(metric, rows), _noise(metric, groups))
        columns[Column(f"mean {metric.upper()}", spare=0 if metric == "mse" else 2)] = cells
    left_out = sorted(set(errors.index) - set(whole.index))
    notes = [f"Left out, not done at every horizon: {', '.join(left_out)}."] if left_out else []
    if several_protocols:
        horizons = ", ".join(map(str, several_protocols))
        notes.append(f"Left out, run under more than one protocol: horizon {horizons}.")
    notes += choice_note((group.rows for group in groups), whole.index, "at each horizon")
    return by_column(f"{title}, over {len(groups)} horizons", columns, _MEANING, notes)


def _mean(metric: str, rows: Sequence[DataFrame]) -> DataFrame:
    """Means over horizons, with the spread that independent seeds at each would give them."""
    import pandas as pd

    from benchmark.statistics.noise import freedom_of_sum

    variances = pd.concat([own[f"{metric}_std"] ** 2 for own in rows], axis=1)
    seeds = pd.concat([own["seeds"] for own in rows], axis=1)
    freedom = [
        freedom_of_sum(parts, own) if sum(parts) > 0 else math.nan
        for parts, own in zip(
            variances.to_numpy().tolist(), (seeds - 1).to_numpy().tolist(), strict=True
        )
    ]
    columns = {
        metric: sum(own[metric] for own in rows) / len(rows),
        f"{metric}_std": variances.sum(axis=1, skipna=False) ** 0.5 / len(rows),
        f"{metric}_freedom": freedom,
        "seeds": seeds.min(axis=1),
        "fitted": rows[0]["fitted"],
    }
    return pd.DataFrame(columns, index=rows[0].index)


def _noise(metric: str, groups: Sequence[Group]) -> NoiseFloor | None:
    from benchmark.statistics.noise import floor_of_mean

    known = [group.noise[metric] for group in groups if metric in group.noise]
    return floor_of_mean(known) if len(known) == len(groups) else None
