"""Means over seeds in a comparison of two results files, each judged as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.reports.tables import MISSING, Cell, Column, Table, number, percent

if TYPE_CHECKING:
    from pandas import DataFrame

_INTRO = (
    "The seeds of a model taken together: less is chance in their mean than in any one of them, so "
    "a change is found sooner. Verdicts are as above."
)


def told_verdicts(rows: DataFrame) -> list[str]:
    """Say each row's verdict on the MSE, and that on the MAE where it is another."""
    maes = rows["verdict_mae"] if "verdict_mae" in rows else [""] * len(rows)
    return [
        (mse or MISSING) + (f"; MAE {mae}" if mae and mae != mse else "")
        for mse, mae in zip(rows["verdict"], maes, strict=True)
    ]


def means_tables(means: DataFrame | None) -> list[Table]:
    """Lay the means out: one table, or none where no model has several seeds.

    Args:
        means: as `benchmark.reports.changes.Comparison` holds them.
    """
    if means is None or means.empty:
        return []
    worse = means["worse"].map(len) > 0
    columns: dict[Column, Iterable[str]] = {
        Column("dataset", number=False, spare=6): means["dataset"],
        Column("H", spare=6): means["horizon"].astype(str),
        Column("model", number=False): means["name"],
        Column("L", spare=6): means["lookback"].astype(str),
        Column("seeds", spare=4): means["seeds"].astype(str),
        Column("MSE old", spare=1): means["mse_old"].map(number),
        Column("MSE new"): means["mse_new"].map(number),
        Column("MSE change", spare=2): means["mse_change"].map(percent),
    }
    if "mae_change" in means:
        columns[Column("MAE change", spare=3)] = means["mae_change"].map(percent)
    columns[Column("verdict", number=False)] = told_verdicts(means)
    if "file" in means:
        columns = {Column("file", number=False): means["file"], **columns}
    cells = [[Cell(str(text)) for text in texts] for texts in columns.values()]
    if worse.any():
        columns = {Column("outcome", number=False): [], **columns}
        cells.insert(0, [Cell("regressed", "bad") if one else Cell("") for one in worse])
    return [
        Table(
            title="Means over seeds",
            columns=tuple(columns),
            rows=tuple(zip(*cells, strict=True)),
            intro=(_INTRO,),
        )
    ]
