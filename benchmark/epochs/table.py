"""What each way to choose an epoch is worth, as two tables: by data set, and model by model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from benchmark.epochs.study import Worth
from benchmark.epochs.ways import WAYS
from benchmark.reports.tables import Cell, Column, Table, marks, mean_and_std
from benchmark.statistics.noise import over_seeds
from benchmark.statistics.ranks import average_ranks, critical_difference, friedman
from benchmark.words import counted

FIRST = WAYS[0].name
OF_SEEDS, BEST = "mean of seeds", "best on test"
MEANINGS = {way.name: way.meaning for way in WAYS} | {
    OF_SEEDS: "the mean forecast of all seeds, each with the epoch of its run: nothing is chosen; "
    "its MSE is never above the mean of theirs, and this is how far below",
    BEST: "the least test MSE of all epochs: what no way may know",
}


def epochs_tables(
    found: Sequence[Worth], horizon: int, seeds: int, blocks: int, command: str
) -> list[Table]:
    """Lay out what was found: the ways' mean change of the error, then every model's errors.

    Args:
        found: of every model on every data set.
        horizon: steps forecast.
        seeds: of each model.
        blocks: held out for one of the ways.
        command: what makes the tables again.
    """
    return [_worth(found, horizon, seeds, blocks, command), _errors(found, horizon)]


def _worth(found: Sequence[Worth], horizon: int, seeds: int, blocks: int, command: str) -> Table:
    change = [_changes(worth) for worth in found]
    datasets = list(dict.fromkeys(worth.dataset for worth in found))
    names = [way.name for way in WAYS]
    scores = np.array([[one[way] for way in names] for one in change])
    ranks = dict(zip(names, average_ranks(scores), strict=True))
    rows = []
    for way, meaning in MEANINGS.items():
        own = [one[way] for one in change]
        by_dataset = [
            fmean(one for one, worth in zip(own, found, strict=True) if worth.dataset == dataset)
            for dataset in datasets
        ]
        lower = "-" if way in (FIRST, OF_SEEDS) else f"{sum(one < 0 for one in own)} of {len(own)}"
        shown = [*map(_percent, by_dataset), _percent(fmean(own)), _percent(max(own))]
        rank = f"{ranks[way]:.2f}" if way in ranks else "-"
        rows.append([way, *shown, lower, rank, meaning])
    columns = (
        Column("epoch", number=False),
        *(Column(dataset) for dataset in datasets),
        Column("all"),
        Column("worst"),
        Column("lower in"),
        Column("rank"),
        Column("what is taken", number=False),
    )
    return Table(
        title=f"What a way to choose an epoch is worth: horizon {horizon}",
        columns=columns,
        rows=tuple(tuple(map(Cell, row)) for row in rows),
        intro=(
            "The change of the test MSE against the epoch that a run keeps, mean over models and "
            f"{counted(seeds, 'seed')}. Below 0% a way is better than that.",
        ),
        notes=(
            f"Every model is trained to the last epoch of its YAML; on {blocks} blocks with the "
            f"first seed alone. Only '{BEST}', which is no way to choose, sees test windows.",
            _verdict(scores),
            f"Made by: {command}",
        ),
    )


def _verdict(scores: np.ndarray) -> str:
    """Whether the ways' ranks differ by more than chance, as far as so few can tell."""
    pairs, count = scores.shape
    told = (
        f"rank: of the ways to choose, mean over {counted(pairs, 'pair')} of a model and a data "
        "set, 1 is best. Ranks that differ by less than "
        f"{critical_difference(count, pairs):.2f} do not differ significantly (Nemenyi, 5%)"
    )
    if pairs > 1:
        told += f"; that all {count} are equally good has p = {friedman(scores)[1]:.2g} (Friedman)"
    return told + ". Pairs of one data set are not independent: both tests find too much."


def _errors(found: Sequence[Worth], horizon: int) -> Table:
    names = [way.name for way in WAYS]
    rows = []
    for worth in found:
        means = _means(worth)
        spread = {way: over_seeds(values)[1] for way, values in worth.mse.items()}
        spread[BEST] = over_seeds(worth.best)[1]
        marked = dict(zip(names, marks([means[way] for way in names]), strict=True))
        cells = [
            Cell(mean_and_std(means[way], spread.get(way, math.nan)), marked.get(way, ""))
            for way in MEANINGS
        ]
        rows.append((Cell(worth.dataset), Cell(worth.model), *cells))
    first = (Column("data set", number=False), Column("model", number=False))
    return Table(
        title=f"Test MSE by the epoch that is taken: horizon {horizon}",
        columns=(*first, *map(Column, MEANINGS)),
        rows=tuple(rows),
        intro=(
            "Scaled series, mean ± standard deviation over seeds; of the ways to choose an epoch "
            "the best in bold, the second underlined.",
        ),
    )


def _means(worth: Worth) -> Mapping[str, float]:
    means = {way: fmean(values) for way, values in worth.mse.items()}
    return means | {OF_SEEDS: worth.of_seeds, BEST: fmean(worth.best)}


def _changes(worth: Worth) -> dict[str, float]:
    means = _means(worth)
    return {way: mean / means[FIRST] - 1 for way, mean in means.items()}


def _percent(change: float) -> str:
    return f"{100 * change:+.2f}%"
