"""Our rows beside the figures that papers and repositories published.

A published figure stands beside ours only for the same data set, horizon and model; a relative
difference is given only at the same lookback and over the same test windows. Many published figures
were scored on a test set that a data loader had shortened: ours is then scored again on the windows
that were left, from the errors that its run kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.records.record import HEADLINE
from benchmark.records.table import read_table
from benchmark.reports.ranking import ROW, Leaderboard, leaderboard
from benchmark.statistics.noise import LEAST_SEEDS, NoiseFloor, SeedMean

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from benchmark.records.losses import Losses


KINDS: dict[str, type] = {
    "dataset": str,
    "model": str,
    "lookback": str,  # some papers searched it: "best of 96/336/512"; ANY_LOOKBACK
    "horizon": int,
    "mse": float,
    "mae": float,
    "test_batch": int,  # of the loader that dropped its last, incomplete batch
    "protocol": str,
    "source": str,
    "remark": str,  # what running it here has shown
}

SHORTENED = "shortened test set"
FEWER = "fewer"
"""Windows of a shortened test set, where nobody said how many."""

ANY_LOOKBACK = "-"
"""Of a forecast that no lookback changes, as the last value repeated."""

_KEYS = ["dataset_key", "model_key", "horizon"]


@dataclass(frozen=True)
class PublishedComparison:
    """Our rows with the published figures of the same model, and the best figures of any model.

    Attributes:
        matches: a row for each of our rows and each published figure: our dataset, horizon,
            fingerprint, label (short fingerprint), model, name (with the start of its
            configuration's hash where several share it), lookback, mse, mae, seeds; then
            published_lookback, published_mse, published_mae, protocol, source; windows (that the
            figure is over, as text) and own_mse, own_mae (ours over these windows, missing where
            they are not known); mse_difference and mae_difference, of the latter relative to the
            published figure, at the same lookback only; mse_within and mae_within, whether one
            more seed of ours might be as far from the mean of ours (95%). Figures at other
            lookbacks stand here only where there is none at ours. A row of ours that nobody
            published has empty published columns.
        context: the lowest published MSE of each of the best models at any lookback, for every
            data set and horizon of ours: dataset, horizon, model, lookback, mse, mae, protocol,
            source.
    """

    matches: DataFrame
    context: DataFrame


def read_published(path: Path) -> DataFrame:
    """Read a table of published figures, see results/README.md for its columns.

    Raises:
        UserError: the file or a cell is not as it must be; names the line.
    """
    return read_table(path, KINDS, may_be_empty=("mae", "test_batch", "remark"))


def compare_published(
    results: DataFrame,
    published: DataFrame,
    losses: Mapping[str, Losses] | None = None,
    board: Leaderboard | None = None,
    best: int = 3,
) -> PublishedComparison:
    """Put our means over seeds beside the published figures.

    Names match whatever their case, and without ``-``, ``_``, ``/`` and spaces.

    Args:
        results: as `benchmark.records.table.read_results` gives.
        published: as `read_published` gives.
        losses: for ``mse`` and ``mae`` the errors of every test window by run id, as
            `benchmark.records.losses.read_losses` gives.
        board: of the results, where it has been made.
        best: how many models the context lists for a data set and horizon.
    """
    ours = _our_rows(board or leaderboard(results))
    figures = published.rename(
        columns={name: f"published_{name}" for name in ("lookback", "mse", "mae")}
    )
    figures["model_key"] = _key(figures["model"])
    figures["dataset_key"] = _key(figures["dataset"])
    matches = ours.merge(figures.drop(columns=["dataset", "model"]), how="left", on=_KEYS)
    theirs = matches["published_lookback"]
    same = (theirs == matches["lookback"].astype("str")) | (theirs == ANY_LOOKBACK)
    has_same = same.groupby([matches[name] for name in ROW]).transform("max")
    matches = matches[same | ~has_same]
    matches = _on_their_windows(matches, results, losses or {})
    for metric in HEADLINE:
        theirs = matches[f"published_{metric}"]
        away = (matches[f"own_{metric}"] - theirs).where(same)
        reach = _reach(matches[f"{metric}_std"], matches["seeds"])
        matches[f"{metric}_difference"] = away / theirs.where(theirs > 0)
        matches[f"{metric}_within"] = away.abs() <= reach
    order = ["dataset", "horizon", "fingerprint", "mse", "model", "lookback", "published_mse"]
    matches = matches.sort_values(order, kind="stable").reset_index(drop=True)
    context = _lowest(figures, ours[["dataset", "dataset_key", "horizon"]].drop_duplicates(), best)
    return PublishedComparison(
        matches.drop(columns=["dataset_key", "model_key"]),
        context.drop(columns=["dataset_key", "model_key"]),
    )


def _lowest(figures: DataFrame, tasks: DataFrame, best: int) -> DataFrame:
    """Take the lowest published MSE of each of the best models of every task."""
    found = tasks.merge(figures.drop(columns="dataset"), how="inner", on=["dataset_key", "horizon"])
    found = found.sort_values(["dataset", "horizon", "published_mse"], kind="stable")
    found = found.drop_duplicates(["dataset", "horizon", "model_key"])
    found = found.groupby(["dataset", "horizon"]).head(best).reset_index(drop=True)
    found.columns = found.columns.str.removeprefix("published_")
    return found


def _on_their_windows(
    matches: DataFrame, results: DataFrame, losses: Mapping[str, Losses]
) -> DataFrame:
    """Score ours over the windows that a shortened test set left; elsewhere it is our score."""
    import pandas as pd

    protocol = matches["protocol"].fillna("")
    shortened = protocol.str.startswith(SHORTENED)
    windows = protocol.str.startswith("full").map({True: "all", False: "?"})
    matches = matches.assign(windows=windows, own_mse=matches["mse"], own_mae=matches["mae"])
    done = results[results["status"] == "done"]
    done = done.merge(matches.loc[shortened, ROW].drop_duplicates(), on=ROW)
    runs = {key: own.tolist() for key, own in done.groupby(ROW)["run_id"]}
    total = done.groupby(ROW)["test_windows"].max().to_dict()
    for place in matches.index[shortened]:
        key = tuple(matches.loc[place, ROW])
        batch = matches.loc[place, "test_batch"]
        known = not (pd.isna(batch) or pd.isna(total[key]))
        kept = int(total[key] // batch * batch) if known else 0
        matches.loc[place, "windows"] = f"{kept} of {int(total[key])}" if kept else FEWER
        for name in HEADLINE:
            score = _mean_of_first(kept, runs[key], losses.get(name, {})) if kept else math.nan
            matches.loc[place, f"own_{name}"] = score
    return matches


def _mean_of_first(kept: int, runs: Sequence[str], losses: Losses) -> float:
    """Mean over runs of the mean over the first windows; missing where a run's are not known."""
    if not all(run_id in losses for run_id in runs):
        return math.nan
    return sum(float(losses[run_id][:kept].mean()) for run_id in runs) / len(runs)


def _our_rows(board: Leaderboard) -> DataFrame:
    import pandas as pd

    rows = pd.concat([group.rows.assign(label=group.label) for group in board.groups])
    rows = rows[[*ROW, "name", "label", "mse", "mse_std", "mae", "mae_std", "seeds"]]
    return rows.assign(dataset_key=_key(rows["dataset"]), model_key=_key(rows["model"]))


def _reach(std: Series, seeds: Series) -> list[float]:
    """How far one more seed may be from the mean of `seeds` of them; NaN where they are too few."""
    one = SeedMean(1)
    return [
        NoiseFloor(spread, 1, n - 1).smallest_difference(SeedMean(n), one)
        if n >= LEAST_SEEDS
        else math.nan
        for spread, n in zip(std, seeds, strict=True)
    ]


def _key(names: Series) -> Series:
    return names.str.lower().str.replace(r"[-_/\s]", "", regex=True)
