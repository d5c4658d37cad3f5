"""Which rows of a leaderboard are tied with the best, and how much seeds alone differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from benchmark.records.record import SEEDED
from benchmark.reports.tables import MISSING, Cell, Mark, decimals_for, marks, number
from benchmark.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from benchmark.records.losses import Losses
    from benchmark.statistics.noise import NoiseFloor


TIED = "≈"
ALPHA = 0.10
"""1 - level of the Model Confidence Set."""

MARKED = (
    "Bold is best, underlined second; neither is marked where seeds could change which is best."
)
"""What `noise_marks` marks, in a sentence."""

MOST_COMPARED = 100
"""Rows of a task that are compared, the best ones: what that takes grows by their square and more.
"""

FEW_BLOCKS = 5
"""From so many independent stretches of test windows on an interval holds what it promises."""

TIES = ("vs_best", "vs_best_low", "vs_best_high", "p_value")
"""Columns of a group's rows, all missing where the windows' losses are not there."""


def with_ties(rows: DataFrame, runs: DataFrame, losses: Losses, horizon: int) -> DataFrame:
    """Compare every row with the best one, window by window, losses averaged over its seeds.

    Args:
        rows: the ranked rows of one group, best first.
        runs: the done runs of that group.
        losses: squared error of every test window by run id ``(W,)``.
        horizon: steps forecast.

    Returns:
        The rows with `TIES`: difference in MSE to the best row, its 95% interval and the p-value
        in the Model Confidence Set. They are missing where a run of the row, or of the best row,
        has no losses, beyond the best `MOST_COMPARED`, and everywhere where there are too few
        windows to tell.
    """
    rows = rows.assign(**dict.fromkeys(TIES, math.nan))
    if not losses:
        return rows
    by_row: dict[tuple[str, int, str], dict[int, list[str]]] = {}
    columns = (runs[name].tolist() for name in ("model", "lookback", "config", "seed", "run_id"))
    for *key, seed, run_id in zip(*columns, strict=True):
        by_row.setdefault(tuple(key), {}).setdefault(seed, []).append(run_id)
    keys = zip(rows["model"], rows["lookback"], rows["config"], strict=True)
    compared = (
        (index, list(by_row[key].values()))
        for index, key in zip(rows.index, keys, strict=True)
        if all(run_id in losses for run_ids in by_row[key].values() for run_id in run_ids)
    )
    known = dict(islice(compared, MOST_COMPARED))
    if len(known) < 2 or rows.index[0] not in known:
        return rows

    import numpy as np

    from benchmark.statistics.bootstrap import can_resample, difference_intervals, resample
    from benchmark.statistics.confidence_set import confidence_set

    def mean(of_seed: Sequence[str]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.mean([losses[run_id] for run_id in of_seed], axis=0)
        return found

    series = np.stack(
        [np.mean(list(map(mean, own)), axis=0) for own in known.values()]
    )  # (rows, W)
    if can_resample(series.shape[1], horizon):
        resampled = resample(series, horizon)
        found = (*difference_intervals(resampled, reference=0), confidence_set(resampled))
        rows.loc[list(known), list(TIES)] = np.stack(found, axis=1)
    return rows


def tie_columns(rows: DataFrame, apart: bool) -> dict[str, list[Cell]]:
    """Write the difference to the best row, its interval, and the mark of ties, by column.

    The interval has a column of its own where `apart`: a narrow terminal can go without it.

    A tie is by the interval that is shown. The Model Confidence Set allows for the number of rows,
    and with few independent windows keeps what differs plainly: it is told in the note and the CSV.
    """
    differences, intervals = [], []
    places = decimals_for(rows["mse"])
    values = (rows[name].tolist() for name in ("rank", *TIES))
    for rank, difference, low, high, p_value in zip(*values, strict=True):
        if math.isnan(p_value):
            differences.append(Cell(MISSING))
            intervals.append(Cell(MISSING))
            continue
        text = "best" if rank == 1 else f"{difference:+.{places}f}"
        interval = f"[{low:+.{places}f}, {high:+.{places}f}]" if rank > 1 else ""
        text += f" {interval}" if interval and not apart else ""
        if rank > 1 and low <= 0:
            text += f" {TIED}"
        differences.append(Cell(text))
        intervals.append(Cell(interval))
    columns = {"vs best": differences}
    return columns | {"95% interval": intervals} if apart else columns


def tie_notes(rows: DataFrame) -> Iterable[str]:
    """Explain the column, or why there is none, in a line."""
    if rows["p_value"].isna().all():
        if len(rows) > 1:
            yield (
                "Which rows are tied with the best cannot be told: it takes the errors of every "
                "test window, in the runs' folders beside the CSV, and enough windows."
            )
        return
    tied, compared = rows[rows["p_value"] >= ALPHA], int(rows["p_value"].notna().sum())
    worst = number(tied["mse"].max(), decimals_for(rows["mse"]))
    only = f" Only the best {compared} are compared." if compared == MOST_COMPARED else ""
    yield (
        "vs best: difference in MSE to the best row over the same test windows, with its 95% "
        f"block-bootstrap interval, each row for itself; {TIED}: the interval includes 0, so the "
        "row may be as good as the best; of twenty equal rows three or four miss the mark by "
        "chance. Judged all at once, "
        f"{len(tied)} of {compared} rows, up to an MSE of {worst}, cannot be "
        "excluded (90% Model Confidence Set: it may keep clearly worse rows whose errors vary a "
        "lot). Both judge the chance of the test windows, not "
        "that of the seeds." + only
    )


def few_blocks_note(rows: DataFrame, windows: int, horizon: int) -> Iterable[str]:
    """Say of short test sets, where rows are compared, that their intervals hold the truth less.

    Simulated with sums of independent errors, and with errors of autocorrelation 0.98 a step, on
    146 to 170 windows of horizon 24 to 48 and 2,161 of 720.
    """
    from benchmark.statistics.long_run import memory

    blocks = windows / memory(windows, horizon)
    if blocks < FEW_BLOCKS and rows["p_value"].notna().any():
        yield (
            f"The test windows are {blocks:.1f} times as long as their errors are correlated. "
            f"Below {FEW_BLOCKS} times, a 95% interval holds the truth in only 83 to 93 of 100 "
            "cases."
        )


def seed_noise(
    runs: DataFrame, metrics: Sequence[str] = ("mse",), apart: Sequence[str] = ()
) -> dict[tuple[Any, ...], dict[str, NoiseFloor]]:
    """Pool the spread of metrics over the seeds of each configuration trained by gradient.

    What is not trained so hardly depends on its seed, and would make the noise look small.

    Args:
        runs: done runs.
        metrics: columns of the runs; what has no value is left out.
        apart: columns by which configurations are not pooled.

    Returns:
        For each data set, horizon and protocol (and value of `apart`) the noise floor by metric,
        where any configuration has two seeds.
    """
    from benchmark.statistics.noise import noise_floors

    trained = runs[runs["fitted"].isin(SEEDED)]
    task = ["dataset", "horizon", "fingerprint", *apart]
    row = list(dict.fromkeys((*task, "model", "lookback", "config")))
    seeds = trained.groupby([*row, "seed"], as_index=False)[list(metrics)].mean()
    groups = seeds.groupby(task)
    keys = list(groups.groups)
    configuration, group = seeds.groupby(row).ngroup().to_numpy(), groups.ngroup().to_numpy()
    found: dict[tuple[Any, ...], dict[str, NoiseFloor]] = {}
    for metric in metrics:
        known = seeds[metric].notna().to_numpy()
        scores = seeds[metric].to_numpy()[known]
        for place, floor in noise_floors(scores, configuration[known], group[known]).items():
            found.setdefault(cast("tuple[Any, ...]", keys[place]), {})[metric] = floor
    return found


def noise_marks(metric: str, rows: DataFrame, noise: NoiseFloor | None) -> list[Mark]:
    """Mark the best and the second best, unless seeds alone may have decided which is the best.

    Args:
        metric: a column of the rows, lower is better; at least one value is known.
        rows: with that column, its spread over seeds (``<metric>_std``), `fitted` and `seeds`; what
            is not trained by gradient has no noise of its own.
        noise: of that metric; None where it is not known.

    Returns:
        A mark for each row; none at all where another row is within seed noise of the best one.
    """
    values = rows[metric].tolist()
    unsure = noise_rival(metric, rows, noise) is not None
    return [""] * len(values) if unsure else marks(values, decimals_for(values))


def noise_rival(metric: str, rows: DataFrame, noise: NoiseFloor | None) -> int | None:
    """Return the place of the first row that may be better than the best but for its seeds.

    Args:
        metric: as `noise_marks` takes it, with the rest.
        rows: likewise.
        noise: likewise.
    """
    if noise is None:
        return None
    from benchmark.statistics.noise import SeedMean

    values = rows[metric].tolist()
    trained = rows["fitted"].isin(SEEDED)
    seeds = rows["seeds"].astype("float64").where(trained, math.inf)
    freedom = rows.get(f"{metric}_freedom", seeds - 1)  # of a mean over tasks it is more
    means = list(map(SeedMean, seeds, rows[f"{metric}_std"], freedom))
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    best, *others = sorted(known, key=lambda place: values[place])
    for place in others:
        if values[place] - values[best] < noise.smallest_difference(means[best], means[place]):
            return place
    return None


def noise_cells(metric: str, rows: DataFrame, noise: NoiseFloor | None) -> list[Cell]:
    """Write a metric of the rows, marked as by `noise_marks`; all missing where none is known."""
    values = rows[metric].tolist()
    if rows[metric].isna().all():
        return [Cell(MISSING)] * len(values)
    found, places = noise_marks(metric, rows, noise), decimals_for(values)
    return [Cell(number(value, places), mark) for value, mark in zip(values, found, strict=True)]


def unmarked(
    metrics: Mapping[str, str], rows: DataFrame, noise: Mapping[str, NoiseFloor]
) -> dict[str, str]:
    """Name the columns that `noise_marks` leaves without a mark, and the row because of which.

    Args:
        metrics: the column of the rows that each title stands for.
        rows: as `noise_marks` takes them.
        noise: by metric.
    """
    known = {title: metric for title, metric in metrics.items() if rows[metric].notna().any()}
    rivals = {title: noise_rival(each, rows, noise.get(each)) for title, each in known.items()}
    return {title: rows["name"].iloc[rival] for title, rival in rivals.items() if rival is not None}


def unmarked_note(rivals: Mapping[str, str]) -> Iterable[str]:
    """Say which columns `noise_marks` left without a mark, if any, and because of which row."""
    for rival in dict.fromkeys(rivals.values()):
        *others, last = (title for title, name in rivals.items() if name == rival)
        titles = f"{', '.join(others)} and {last} have" if others else f"{last} has"
        yield f"{titles} no bold: the best row and {rival} differ by less than seed noise."


def beyond(noise: NoiseFloor) -> float:
    """From which difference on two single seeds differ by more than noise."""
    from benchmark.statistics.noise import SeedMean

    return noise.smallest_difference(SeedMean(1), SeedMean(1))


def noise_note(rows: DataFrame, noise: NoiseFloor) -> str:
    """Say the noise floor in one line, and by which spread rows are judged."""
    from benchmark.statistics.noise import LEAST_SEEDS

    places = decimals_for(rows["mse"])
    few = rows["seeds"][rows["fitted"].isin(SEEDED)] < LEAST_SEEDS
    pooled = counted(noise.configurations, "configuration")
    freedom = f"{counted(round(noise.freedom), 'degree')} of freedom"
    judged = (
        f"Rows of one seed that differ by less than {number(beyond(noise), places)} may differ by "
        "their seeds alone; a row of three seeds or more is judged by its own spread."
        if few.any()
        else "Every row that depends on its seed has three or more and is judged by its own spread."
    )
    return (
        f"Seed noise: over its seeds the MSE of one configuration has a standard deviation of "
        f"{number(noise.std, places)} (pooled over {pooled}, {freedom}). {judged}"
    )
