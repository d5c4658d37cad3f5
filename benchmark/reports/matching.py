"""Which run of one results file is compared with which of the other.

Runs are matched on data set, lookback, horizon, model and seed, and only under one protocol
fingerprint. Where a model has no seed in both files, its means over all of each file's seeds are
compared, in one row whose seed is `ALL_SEEDS`.

One name can stand for several configurations. Each is compared with the very same one where both
files have it. Where a model has but one on either side and they differ, these two are compared and
the row says so; others have nothing to be compared with. Only where a file tells no configurations,
or has several runs of one and of a seed, means are compared and the row is reported as ambiguous;
if any of the runs failed, the row counts as failed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmark.records.record import SEEDED

if TYPE_CHECKING:
    from pandas import DataFrame

KEY = ["dataset", "horizon", "model", "lookback", "seed"]
_MODEL = KEY[:-1]
ALL_SEEDS = -1
"""The seed of a row that holds means over seeds of which none is in both files."""


def matched(old: DataFrame, new: DataFrame, metrics: tuple[str, ...]) -> DataFrame:
    """Put the runs of two files side by side, a row for each that either has.

    Args:
        old: what was, as `benchmark.records.table.read_results` gives.
        new: what is.
        metrics: columns whose means over several runs are taken.

    Returns:
        The columns of `KEY` and name, and for old and new, with ``_old`` and ``_new``: status, the
        metrics, fingerprint, config, runs, error, trained. What one side lacks has an empty status.
    """
    # A side without rows has no configurations to leave untold.
    if any(len(side) and (side["config"] == "").all() for side in (old, new)):
        old, new = old.assign(config=""), new.assign(config="")
    old, new = _seeds_together(old, new)
    return _joined(_one_a_key(old, metrics), _one_a_key(new, metrics))


def _seeds_together(old: DataFrame, new: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Take the seeds of a model for one where both files have it, and no seed of it is in both."""
    models, seeds = (
        [set(side[names].itertuples(index=False, name=None)) for side in (old, new)]
        for names in (_MODEL, [*_MODEL, "seed"])
    )
    apart = set.intersection(*models) - {key[:-1] for key in set.intersection(*seeds)}
    if not apart:
        return old, new
    return _without_seeds(old, apart), _without_seeds(new, apart)


def _without_seeds(side: DataFrame, models: set[tuple[Any, ...]]) -> DataFrame:
    """Give all runs of some models one seed."""
    keys = side[[*_MODEL, "seed"]].itertuples(index=False, name=None)
    return side.assign(seed=[ALL_SEEDS if key[:-1] in models else key[-1] for key in keys])


def _one_a_key(results: DataFrame, metrics: tuple[str, ...]) -> DataFrame:
    """One row a key and configuration: means of the metrics, failed if any of its runs failed."""
    ordered = results.sort_values("error", ascending=False)  # a failure's error comes first
    ordered = ordered.astype(dict.fromkeys(metrics, "float64"))
    ordered = ordered.assign(trained=ordered["fitted"].isin(SEEDED))
    rows = ordered.groupby([*KEY, "fingerprint", "config"], as_index=False).agg(
        **{metric: (metric, "mean") for metric in metrics},
        status=("status", "max"),  # of "done" and "failed"
        error=("error", "first"),
        runs=("run_id", "size"),
        trained=("trained", "all"),
    )
    rows.loc[rows["status"] == "failed", list(metrics)] = math.nan
    rows["alone"] = rows.groupby([*_MODEL, "fingerprint"])["config"].transform("nunique") == 1
    rows["place"] = rows.index
    return rows


def _joined(old: DataFrame, new: DataFrame) -> DataFrame:
    """Match the same settings, then a model's only ones: under one protocol, then under two."""
    import pandas as pd

    several = {
        model
        for side in (old, new)
        for model in side.loc[~side["alone"], _MODEL].itertuples(index=False, name=None)
    }
    parts = []
    for same, only in (
        (["fingerprint", "config"], False),
        (["fingerprint"], True),
        (["config"], False),
        ([], True),
    ):
        left, right = (side[side["alone"]] if only else side for side in (old, new))
        both = left.merge(right, how="inner", on=[*KEY, *same], suffixes=("_old", "_new"))
        for name in same:
            both[f"{name}_old"] = both[f"{name}_new"] = both.pop(name)
        old = old[~old["place"].isin(both["place_old"])]
        new = new[~new["place"].isin(both["place_new"])]
        parts.append(both)
    for side, suffix in ((old, "_old"), (new, "_new")):
        parts.append(side.set_index(KEY).add_suffix(suffix).reset_index())
    rows = pd.concat(parts, ignore_index=True)
    for name in ("status", "fingerprint", "config", "error"):
        for side_name in ("old", "new"):
            rows[f"{name}_{side_name}"] = rows[f"{name}_{side_name}"].fillna("")
    rows["name"] = _names(rows, several)
    return rows.drop(columns=["place_old", "place_new", "alone_old", "alone_new"])


def _names(rows: DataFrame, several: set[tuple[Any, ...]]) -> list[str]:
    """Name each row's model, with its configuration where it is one of several."""
    config = rows["config_old"].mask(rows["config_old"] == "", rows["config_new"])
    models = rows[_MODEL].itertuples(index=False, name=None)
    return [
        f"{model[2]} [{start}]" if model in several else model[2]
        for model, start in zip(models, config.str[:6], strict=True)
    ]
