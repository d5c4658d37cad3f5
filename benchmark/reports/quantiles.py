"""How sure the models are: a second table of a leaderboard's group, by CRPS."""

from __future__ import annotations

from benchmark.reports.ranking import Group
from benchmark.reports.seed_noise import noise_cells, unmarked, unmarked_note
from benchmark.reports.tables import Cell, Column, Table, by_column, number, share

_MEANING = (
    "Quantiles from residuals on validation (split conformal), scored on test: CRPS, twice the "
    "mean quantile loss of nine deciles, scaled series, lower is better; the share of test values "
    "in the central 80% and 95% intervals, and the mean width of the first."
)


def quantile_table(group: Group) -> Table | None:
    """Lay out a group's quantile scores; None where no row has any."""
    rows = group.rows[group.rows["crps"].notna()].sort_values(["crps", "rank"])
    if not len(rows):
        return None
    columns = {
        Column("#"): [Cell(str(place)) for place in range(1, len(rows) + 1)],
        Column("model", number=False): [Cell(name) for name in rows["name"]],
        Column("lookback"): [Cell(str(lookback)) for lookback in rows["lookback"]],
        Column("CRPS"): noise_cells("crps", rows, group.noise.get("crps"), with_std=True),
        Column("in 80%"): [Cell(share(value)) for value in rows["coverage_80"]],
        Column("width 80%"): [Cell(number(value, 3)) for value in rows["width_80"]],
        Column("in 95%"): [Cell(share(value)) for value in rows["coverage_95"]],
    }
    notes = unmarked_note(unmarked({"CRPS": "crps"}, rows, group.noise))
    return by_column(f"{group.title}: quantiles", columns, (_MEANING,), notes)
