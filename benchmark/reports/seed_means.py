"""Means over seeds in a comparison of two results files, each judged as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.reports.tables import MISSING, Cell, Column, Table, number, percent

if TYPE_CHECKING:
    from pandas import DataFrame

_INTRO = (
    "The seeds of a model taken together: less is chance in their mean than in any one of them, so "
    "a change is found sooner. Verdicts are as above."
)


def means_tables(means: DataFrame | None) -> list[Table]:
    """Lay the means out: one table, or none where no model has several seeds.

    Args:
        means: as `benchmark.reports.changes.Comparison` holds them.
    """
    if means is None or means.empty:
        return []
    columns = {
        Column("dataset", number=False, spare=6): means["dataset"],
        Column("H", spare=6): means["horizon"].astype(str),
        Column("model", number=False): means["name"],
        Column("L", spare=6): means["lookback"].astype(str),
        Column("seeds", spare=4): means["seeds"].astype(str),
        Column("MSE old", spare=1): means["mse_old"].map(number),
        Column("MSE new"): means["mse_new"].map(number),
        Column("MSE change", spare=2): means["mse_change"].map(percent),
        Column("verdict", number=False): means["verdict"].replace("", MISSING),
    }
    if "file" in means:
        columns = {Column("file", number=False): means["file"], **columns}
    cells = [[Cell(str(text)) for text in texts] for texts in columns.values()]
    return [
        Table(
            title="Means over seeds",
            columns=tuple(columns),
            rows=tuple(zip(*cells, strict=True)),
            intro=(_INTRO,),
        )
    ]
