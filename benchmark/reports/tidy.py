"""The leaderboard as tidy CSV."""

from __future__ import annotations

from benchmark.reports.ranking import COSTS, METRICS, ROW, Leaderboard
from benchmark.reports.tables import escape_formula, plain
from benchmark.reports.ties import TIES


def to_csv(board: Leaderboard) -> str:
    """Write a leaderboard as tidy CSV, unrounded.

    It has a line for each group, model, lookback, configuration and metric.
    A model all of whose runs failed has lines without rank, mean and std. Where it is known, the
    MSE's line has the difference to the best row, its 95% interval and the p-value in the Model
    Confidence Set: below 0.10, the row is not in the 90% set.
    """
    import pandas as pd

    if not board.groups:
        return ""
    rows = pd.concat([group.rows for group in board.groups])
    keys = ["rank", *ROW, "seeds", "failed_seeds"]
    means = rows.melt(keys, [*METRICS, "skill", *COSTS], "metric", "mean")
    spreads = rows.melt(ROW, [f"{metric}_std" for metric in METRICS], "metric", "std")
    spreads["metric"] = spreads["metric"].str.removesuffix("_std")
    lines = means.merge(spreads, how="left", on=[*ROW, "metric"])
    lost = pd.concat([group.failed for group in board.groups])
    lost = lost.assign(seed=lost["seeds"].str.split(", ")).explode("seed")
    lost = lost.groupby(ROW)["seed"].nunique().rename("failed_seeds").reset_index()
    lost = lost.merge(rows[ROW], how="left", indicator=True)
    lost = lost[lost["_merge"] == "left_only"].drop(columns="_merge")
    lost = lost.merge(pd.DataFrame({"metric": ["mse", "mae"]}), how="cross").assign(seeds=0)
    lines = pd.concat([lines[lines["mean"].notna()], lost], ignore_index=True)
    order = ["dataset", "horizon", "fingerprint", "rank", "model", "lookback", "metric"]
    lines = lines.sort_values(order, kind="stable")
    lines["rank"] = lines["rank"].astype("Int64")
    columns = [*ROW, "rank", "seeds", "failed_seeds", "metric", "mean", "std"]
    if rows["p_value"].notna().any():
        ties = rows[[*ROW, *TIES]].assign(metric="mse")  # what is compared is the MSE
        lines = lines.merge(ties, how="left", on=[*ROW, "metric"])
        columns += TIES
    for name in ("dataset", "model", "fingerprint"):
        written = {text: escape_formula(plain(text)) for text in lines[name].unique()}
        lines[name] = lines[name].map(written)
    return lines[columns].to_csv(index=False, lineterminator="\n")
