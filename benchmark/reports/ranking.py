"""The ranking behind the leaderboard: a pure function of the results.

Rows are ranked inside a group of one data set, one horizon and one protocol fingerprint, never
across. A group has a row for each model, lookback and configuration: mean and standard deviation
over its seeds.
A failed run has no score, gets none here, and is listed with its error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from benchmark.records.record import SCORES, TRAIN_AND_VAL
from benchmark.reports.choice import chosen
from benchmark.reports.conditions import CONDITIONS, condition_notes
from benchmark.reports.cost_columns import SHOWN_COSTS
from benchmark.reports.row_notes import row_notes
from benchmark.reports.seed_noise import noise_note, seed_noise
from benchmark.reports.tables import MISSING, short_fingerprints
from benchmark.reports.ties import tie_notes, with_ties

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from pandas.api.typing import DataFrameGroupBy

    from benchmark.records.losses import Losses
    from benchmark.statistics.noise import NoiseFloor

BASELINE = "seasonal_naive"
METRICS = SCORES[: SCORES.index("val_mse")]
COSTS = tuple(cost.key for cost in SHOWN_COSTS)
GROUP = ["dataset", "horizon", "fingerprint"]
NOISY = ("mse", "mae", "rmse", "mase", "crps")
"""Metrics whose best row is marked, and so whose noise over seeds is asked for."""
ROW = [*GROUP, "model", "lookback", "config"]
_USED = (
    *ROW, "run_id", "status", "seed", "error", "fitted", "fit_rows", "tuned", "device", "val_mse",
    "test_windows", "channels", *METRICS, *COSTS, *CONDITIONS,
)  # fmt: skip
MOST_ROWS = 1500
"""Rows that a page shows of all tasks together; each task has its best."""


@dataclass(frozen=True)
class Group:
    """The ranked rows of one data set, horizon and protocol, and what failed there.

    Attributes:
        dataset: its name.
        horizon: steps forecast.
        fingerprint: of the protocol, in full.
        label: `fingerprint`, shortened.
        protocols: how many fingerprints this data set and horizon have.
        test_windows: number of test windows scored, as text.
        channels: number of channels, as text.
        rows: a row a model, lookback and configuration, best first: rank, name (the model, and
            the start of its configuration's hash where several share a name), lookback, fitted,
            device, tuned (trials), runs (done), seeds (done), failed_seeds, a mean and
            ``<metric>_std`` of each metric, val_mse, skill, the mean of each cost, and how the
            row compares with the best one (`benchmark.reports.ties.TIES`).
        failed: a row for each distinct failure: name (as in `rows`), model, lookback, error, seeds
            (as text).
        noise: how far the seeds of one configuration differ, by metric; only what is known.
        notes: what must be known to read the rows.
    """

    dataset: str
    horizon: int
    fingerprint: str
    label: str
    protocols: int
    test_windows: str
    channels: str
    rows: DataFrame
    failed: DataFrame
    noise: Mapping[str, NoiseFloor]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """What tells it from the other groups; the protocol only where there are several."""
        protocol = f", protocol {self.label}" if self.protocols > 1 else ""
        return f"{self.dataset}, horizon {self.horizon}{protocol}"

    @property
    def refitted(self) -> bool:
        """Whether its models were fitted once more on train and validation rows."""
        return bool((self.rows["fit_rows"] == TRAIN_AND_VAL).any())

    @cached_property
    def chosen(self) -> DataFrame:
        """The row of each model that validation chooses: `benchmark.reports.choice.chosen`."""
        return chosen(self.rows)


@dataclass(frozen=True)
class Leaderboard:
    """Every group, in the order of data set, horizon and fingerprint."""

    groups: tuple[Group, ...]


def rows_a_task(tasks: int, most: int | None = None) -> int:
    """How many rows each of some tasks may show: `most`, or `MOST_ROWS`, of all together."""
    return max(1, (most or MOST_ROWS) // max(1, tasks))


def best_runs(results: DataFrame) -> DataFrame:
    """Return the done runs of the rows that are shown of each task: a store may hold far more.

    Of their columns those of `ROW`, run_id, status, mse and mae.
    """
    done = results.loc[results["status"] == "done", [*ROW, "run_id", "status", "mse", "mae"]]
    scores = done.groupby(ROW)["mse"].mean().reset_index()
    most = rows_a_task(results.groupby(GROUP).ngroups)
    best = scores.sort_values("mse", kind="stable").groupby(GROUP).head(most)
    return done.merge(best[ROW], on=ROW)


def leaderboard(results: DataFrame, losses: Losses | None = None) -> Leaderboard:
    """Rank models by mean MSE (then MAE, name, lookback) within each data set, horizon, protocol.

    Args:
        results: a row a run, as `benchmark.records.table.read_results` gives.
        losses: squared error of every test window by run id ``(W,)``, as far as it is known; rows
            without it have no comparison with the best one.
    """
    results = results[list(_USED)]
    texts = [name for name in _USED if results[name].dtype == "str"]
    results = results.astype(dict.fromkeys(texts, "object"))  # one block, of which taking is fast
    done = results[results["status"] == "done"]
    failed = results[results["status"] == "failed"]
    names = _names(results)
    rows = _ranked(done, failed).merge(names, on=ROW)
    failures = _failures(failed).merge(names, on=ROW)
    labels = short_fingerprints(results["fingerprint"])
    protocols = results.groupby(["dataset", "horizon"])["fingerprint"].nunique().to_dict()
    ranked = dict(tuple(rows.groupby(GROUP)))
    failing = dict(tuple(failures.groupby(GROUP)))
    floors, unlike = seed_noise(done, NOISY), condition_notes(done, GROUP)
    groups = []
    for key, runs in results.groupby(GROUP):
        dataset, horizon, fingerprint = cast("tuple[str, int, str]", key)
        finished = runs[runs["status"] == "done"]
        own = ranked.get(key, rows.iloc[:0]).reset_index(drop=True)
        own = with_ties(own, finished, losses or {}, int(horizon))
        noise = floors.get((dataset, horizon, fingerprint), {})
        groups.append(
            Group(
                dataset=dataset,
                horizon=int(horizon),
                fingerprint=fingerprint,
                label=labels[fingerprint],
                protocols=protocols[dataset, horizon],
                test_windows=_sizes(runs["test_windows"]),
                channels=_sizes(runs["channels"]),
                rows=own,
                failed=failing.get(key, failures.iloc[:0]).reset_index(drop=True),
                noise=noise,
                notes=(
                    *row_notes(own, protocols[dataset, horizon]),
                    *unlike.get(key, ()),
                    *_chance(own, noise, runs["test_windows"].dropna(), int(horizon)),
                ),
            )
        )
    return Leaderboard(tuple(groups))


def _chance(
    rows: DataFrame, noise: Mapping[str, NoiseFloor], windows: Series, horizon: int
) -> Iterable[str]:
    yield from tie_notes(rows, int(windows.max()) if len(windows) else None, horizon)
    if "mse" in noise:
        yield noise_note(rows, noise["mse"])


def _ranked(done: DataFrame, failed: DataFrame) -> DataFrame:
    values = done[[*ROW, "seed", *METRICS, "val_mse", *COSTS]]
    values = values.astype(dict.fromkeys(COSTS, "float64"))
    by_row = done.groupby(ROW)
    # A mean over some of the seeds would not be comparable: none of it then.
    known = values.groupby(ROW)[[*METRICS, "val_mse"]].count().eq(by_row.size(), axis=0)
    of_seeds = _means(values.groupby([*ROW, "seed"])).groupby(ROW)  # a seed run twice is one
    scores = of_seeds[[*METRICS, "val_mse"]]
    rows = _means(scores).where(known).join(of_seeds[list(COSTS)].mean())
    rows = rows.join(scores.std(ddof=1).where(known)[list(METRICS)].add_suffix("_std"))
    rows["runs"], rows["seeds"] = by_row.size(), by_row["seed"].nunique()
    rows["fitted"] = by_row["fitted"].first()
    rows["fit_rows"] = by_row["fit_rows"].first()
    rows["tuned"] = by_row["tuned"].max()
    devices = done[[*ROW, "device"]].drop_duplicates().sort_values("device")
    several = devices[devices.duplicated(ROW, keep=False)].groupby(ROW)["device"].agg("/".join)
    rows["device"] = several.reindex(rows.index).fillna(by_row["device"].first())
    finished = done[[*ROW, "seed"]].drop_duplicates()
    lost = failed[[*ROW, "seed"]].drop_duplicates().merge(finished, how="left", indicator=True)
    lost = lost[lost["_merge"] == "left_only"]
    rows["failed_seeds"] = lost.groupby(ROW).size().reindex(rows.index, fill_value=0)
    rows = rows.reset_index()
    rows["skill"] = 1 - rows["mse"] / _baseline(rows)
    rows = rows.sort_values([*GROUP, "mse", "mae", "model", "lookback"], ignore_index=True)
    rows.insert(0, "rank", rows.groupby(GROUP).cumcount() + 1)
    return rows


def _names(results: DataFrame) -> DataFrame:
    """Name each row of `ROW`, of what is done and what failed: see `Group`."""
    rows = results[ROW].drop_duplicates(ignore_index=True)
    alone = ~rows.duplicated([*GROUP, "model", "lookback"], keep=False)
    distinct = rows["model"] + " [" + rows["config"].str[:6] + "]"
    rows["name"] = rows["model"].where(alone, distinct)
    return rows


def _means(groups: DataFrameGroupBy[Any, Any]) -> DataFrame:
    """Mean of each group; of equal scores that score, so that they tie with the same of one seed.

    Their sum's last digit may be rounded, and is lost to their mean.
    """
    means, least = groups.mean(), groups.min()
    return means.where(least != groups.max(), least)


def _baseline(rows: DataFrame) -> Series:
    """The baseline's MSE for every row: at its own lookback, else the best there is in the group.

    The best, too, where it has several settings at one lookback. Missing where the group has no
    baseline, or one without any error to compare with.
    """
    naive = rows.loc[(rows["model"] == BASELINE) & (rows["mse"] > 0), [*GROUP, "lookback", "mse"]]
    same, lowest = (
        rows[keys].merge(
            naive.groupby(keys, as_index=False)["mse"].min(),
            how="left",
            on=keys,
            validate="many_to_one",
        )["mse"]
        for keys in ([*GROUP, "lookback"], GROUP)
    )
    return same.fillna(lowest)


def _failures(failed: DataFrame) -> DataFrame:
    texts = failed[[*ROW, "error", "seed"]].drop_duplicates().sort_values([*ROW, "error", "seed"])
    texts["seed"] = texts["seed"].astype("str")
    joined = texts.groupby([*ROW, "error"])["seed"].agg(", ".join)
    return joined.rename("seeds").reset_index()


def _sizes(values: Series) -> str:
    return "/".join(str(int(value)) for value in sorted(values.dropna().unique())) or MISSING
