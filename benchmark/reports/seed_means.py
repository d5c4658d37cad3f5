"""Verdicts in a comparison of two results files, and means over seeds, each judged as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.reports.changes import LONG_MEMORY, VERDICTS
from benchmark.reports.tables import (
    MISSING,
    Cell,
    Column,
    Table,
    by_column,
    decimals_for,
    number,
    percent,
)

if TYPE_CHECKING:
    from pandas import DataFrame

_INTRO = (
    "The seeds of a model taken together: less is chance in their mean than in any one of them, so "
    "a change is found sooner. Verdicts are as above."
)


_VERDICT_NOTE = (
    "verdict on the MSE: significant if the difference is larger than what the luck of the test "
    "windows (paired Diebold-Mariano test) and of the seed (spread over seeds) together make in 95 "
    "of 100 cases; else within noise. beyond seeds: larger than the luck of the seed; without the "
    "runs' folders nothing is known of the test windows. beyond windows: larger than their luck; "
    f"without two seeds of a trained model nothing is known of the seed's. {LONG_MEMORY}"
)


def judged(rows: DataFrame) -> bool:
    """Whether any row has a verdict."""
    return "verdict" in rows and bool(rows["verdict"].isin(VERDICTS).any())


def verdict_note(rows: DataFrame) -> list[str]:
    """Explain the verdicts, where there are any."""
    return [_VERDICT_NOTE] if judged(rows) else []


def told_verdicts(rows: DataFrame) -> list[str]:
    """Say each row's verdict on the MSE, and that on the MAE where it is another."""
    maes = rows["verdict_mae"] if "verdict_mae" in rows else [""] * len(rows)
    return [
        (mse or MISSING) + (f"; MAE {mae}" if mae and mae != mse else "")
        for mse, mae in zip(rows["verdict"], maes, strict=True)
    ]


def means_tables(means: DataFrame | None, worse: bool | None = None) -> list[Table]:
    """Lay the means out: one table, or none where no model has several seeds.

    Args:
        means: as `benchmark.reports.changes.Comparison` holds them.
        worse: take those alone that regressed, or those alone that did not; None takes all.
    """
    if means is None:
        return []
    if worse is not None:
        means = means[means["worse"].map(bool) == worse]
    if means.empty:
        return []
    regressed = means["worse"].map(bool)
    places = decimals_for(means[["mse_old", "mse_new"]].to_numpy().ravel())
    texts: dict[Column, Iterable[str]] = {
        Column("dataset", number=False, spare=6): means["dataset"],
        Column("H", spare=6): means["horizon"].astype(str),
        Column("model", number=False): means["name"],
        Column("L", spare=6): means["lookback"].astype(str),
        Column("seeds", spare=4): means["seeds"].astype(str),
        Column("MSE old", spare=1): [number(each, places) for each in means["mse_old"]],
        Column("MSE new"): [number(each, places) for each in means["mse_new"]],
        Column("MSE change", spare=2): means["mse_change"].map(percent),
    }
    if "mae_change" in means:
        texts[Column("MAE change", spare=3)] = means["mae_change"].map(percent)
    texts[Column("verdict", number=False)] = told_verdicts(means)
    if "file" in means:
        texts = {Column("file", number=False): means["file"], **texts}
    columns = {column: [Cell(text) for text in own] for column, own in texts.items()}
    if regressed.any():
        outcome = [Cell("regressed", "bad") if one else Cell("") for one in regressed]
        columns = {Column("outcome", number=False): outcome, **columns}
    return [by_column("Means over seeds", columns, intro=(_INTRO,))]
