"""How much seeds alone differ, and what of a ranking they may have decided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from benchmark.records.record import SEEDED
from benchmark.reports.tables import (
    MISSING,
    Cell,
    Mark,
    decimals_for,
    marks,
    mean_and_std,
    number,
)
from benchmark.words import counted

if TYPE_CHECKING:
    from pandas import DataFrame

    from benchmark.statistics.noise import NoiseFloor, SeedMean


MARKED = (
    "Bold is best, underlined second; neither is marked where seeds could change which is best."
)
"""What `noise_marks` marks, in a sentence."""


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
    values, means = rows[metric].tolist(), seed_means(metric, rows)
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    best, *others = sorted(known, key=lambda place: values[place])
    for place in others:
        if values[place] - values[best] < noise.smallest_difference(means[best], means[place]):
            return place
    return None


def seed_means(metric: str, rows: DataFrame) -> list[SeedMean]:
    """How each row's mean of a metric came about; what is not trained has no noise of seeds."""
    from benchmark.statistics.noise import SeedMean

    trained = rows["fitted"].isin(SEEDED)
    seeds = rows["seeds"].astype("float64").where(trained, math.inf)
    freedom = rows.get(f"{metric}_freedom", seeds - 1)  # of a mean over tasks it is more
    return list(map(SeedMean, seeds, rows[f"{metric}_std"], freedom))


def noise_cells(
    metric: str, rows: DataFrame, noise: NoiseFloor | None, with_std: bool = False
) -> list[Cell]:
    """Write a metric of the rows, marked as by `noise_marks`; all missing where none is known.

    Args:
        metric: as `noise_marks` takes it, with the rest.
        rows: likewise.
        noise: likewise.
        with_std: also write the standard deviation over seeds, where there are several.
    """
    values = rows[metric].tolist()
    if rows[metric].isna().all():
        return [Cell(MISSING)] * len(values)
    stds = rows[f"{metric}_std"].tolist() if with_std else [math.nan] * len(values)
    found, places = noise_marks(metric, rows, noise), decimals_for(values)
    return [
        Cell(mean_and_std(value, std, places), mark)
        for value, std, mark in zip(values, stds, found, strict=True)
    ]


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
