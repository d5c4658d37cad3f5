"""How sure the models are: a second table of a leaderboard's group, by CRPS."""

from __future__ import annotations

from benchmark.reports.ranking import Group
from benchmark.reports.seed_noise import noise_marks, unmarked, unmarked_note
from benchmark.reports.tables import (
    Cell,
    Column,
    Table,
    decimals_for,
    mean_and_std,
    number,
    share,
)

_MEANING = (
    "Quantiles from residuals on validation (split conformal), scored on test: CRPS, twice the "
    "mean quantile loss of nine deciles, scaled series, lower is better; the share of test values "
    "in the central 80% and 95% intervals, and the mean width of the first."
)
_COLUMNS = (
    Column("#"),
    Column("model", number=False),
    Column("lookback"),
    Column("CRPS"),
    Column("in 80%"),
    Column("width 80%"),
    Column("in 95%"),
)


def quantile_table(group: Group) -> Table | None:
    """Lay out a group's quantile scores; None where no row has any."""
    rows = group.rows[group.rows["crps"].notna()].sort_values(["crps", "rank"])
    if not len(rows):
        return None
    pairs = zip(rows["crps"], rows["crps_std"], strict=True)
    places = decimals_for(rows["crps"])
    scores = [mean_and_std(mean, std, places) for mean, std in pairs]
    found = noise_marks("crps", rows, group.noise.get("crps"))
    cells = [
        [Cell(str(place + 1)) for place in range(len(rows))],
        [Cell(name) for name in rows["name"]],
        [Cell(str(lookback)) for lookback in rows["lookback"]],
        [Cell(*pair) for pair in zip(scores, found, strict=True)],
        [Cell(share(value)) for value in rows["coverage_80"]],
        [Cell(number(value, 3)) for value in rows["width_80"]],
        [Cell(share(value)) for value in rows["coverage_95"]],
    ]
    return Table(
        title=f"{group.title}: quantiles",
        columns=_COLUMNS,
        rows=tuple(zip(*cells, strict=True)),
        intro=(_MEANING,),
        notes=tuple(unmarked_note(unmarked({"CRPS": "crps"}, rows, group.noise))),
    )
