"""Models over several data sets: average ranks, wins and skill, with what chance explains of them.

The data set is the unit. A model's score on one is the geometric mean over its horizons of the mean
MSE over seeds: horizons of one series are not independent, and are not counted as if they were.

Only models that are done on every task (a data set and horizon) are compared, for a rank among
others says nothing about who was not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.reports.average_ranks import rank_models
from benchmark.reports.choice import choice_note
from benchmark.reports.ranking import BASELINE, Group, Leaderboard
from benchmark.reports.tables import Cell, Column, Table, by_column, number
from benchmark.reports.ties import TIED
from benchmark.statistics.long_run import Array
from benchmark.statistics.ranks import ALPHA, Rate, friedman, skill_score, win_rate

if TYPE_CHECKING:
    from pandas import DataFrame

LEAST = 3
"""Fewer data sets, or models, cannot be compared."""

FEW = 10
"""Friedman's chi-square is rough below about ten data sets (Demsar 2006, p. 10)."""

MANY = 30
"""From so many data sets on a bootstrap interval over them holds nearly what it promises."""

_TASK = ["dataset", "horizon"]
_MEANING = (
    "rank: among these models by test MSE, average over data sets, 1 is best; wins: share of the "
    f"other models beaten; skill: 1 - geometric mean of MSE / MSE of {BASELINE}; in brackets the "
    "95% bootstrap interval over data sets.",
    "The data set is the unit: its score for a model is the geometric mean over its horizons of "
    "the mean MSE over seeds, for horizons of one series are not independent.",
)


@dataclass(frozen=True)
class Standing:
    """The models that can be compared over data sets.

    Attributes:
        scores: error of every model on every data set, lower is better ``(D, k)``.
        horizons: that each data set's scores are over.
        notes: what was left out and why, and what validation chose.
    """

    scores: DataFrame
    horizons: Mapping[str, list[int]]
    notes: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether there are data sets and models enough to compare."""
        return min(self.scores.shape) >= LEAST


def standing(board: Leaderboard) -> Standing:
    """Keep the tasks on which three models are done, then the models done on all of these.

    A model is done where all its seeds are; of its lookbacks and configurations the one counts that
    validation chooses, on each task by itself.
    """
    import pandas as pd

    alone = [group for group in board.groups if group.protocols == 1]
    parts = [part for group in alone for part in (group.rows, group.failed)]
    names = sorted({name for part in parts for name in part["model"]})
    errors = pd.DataFrame(
        [group.chosen.set_index("model")["mse"].reindex(names).to_numpy() for group in alone],
        index=pd.MultiIndex.from_tuples([_task(group) for group in alone], names=_TASK),
        columns=names,
        dtype="float64",
    )
    kept = errors[errors.notna().sum(axis=1) >= LEAST]
    whole = kept.loc[:, kept.notna().all()]
    with np.errstate(divide="ignore"):  # the geometric mean of what holds a 0 is 0
        scores = whole.apply(np.log).groupby(level="dataset").mean().apply(np.exp)
    horizons: dict[str, list[int]] = {name: [] for name in scores.index}
    for dataset, horizon in kept.index:
        horizons[dataset].append(horizon)
    used = (group.rows for group in alone if _task(group) in kept.index)
    protocols = {_task(group) for group in board.groups if group.protocols > 1}
    left_out = _left_out(kept, errors.index.drop(kept.index), protocols)
    return Standing(
        scores, horizons, (*left_out, *choice_note(used, whole.columns, "on each task"))
    )


def _task(group: Group) -> tuple[str, int]:
    return group.dataset, group.horizon


def _left_out(
    kept: DataFrame, sparse: Iterable[tuple[str, int]], protocols: Iterable[tuple[str, int]]
) -> Iterable[str]:
    lacking = kept.isna().sum().sort_values(kind="stable")
    lacking = lacking[lacking > 0]
    reasons = {
        f"without every seed done on all {len(kept)} tasks (a task: a data set and horizon; how "
        "many lack)": [f"{name} ({number})" for name, number in lacking.items()],
        f"done for fewer than {LEAST} models": [f"{name} ({h})" for name, h in sorted(sparse)],
        "run under more than one protocol": [f"{name} ({h})" for name, h in sorted(protocols)],
    }
    for reason, left_out in reasons.items():
        if left_out:
            yield f"Left out, {reason}: {', '.join(left_out)}."


def across_table(board: Leaderboard) -> Table | None:
    """Lay out average ranks, wins and skill over data sets, best first.

    Returns:
        The table; None with fewer than three data sets, or models done on all of them.
    """
    found = standing(board)
    if not found.enough:
        return None
    ranking = rank_models(found.scores)
    names, ranks, reach = list(ranking.models), ranking.ranks, ranking.difference
    scores = found.scores[names].to_numpy()  # (D, k), best average rank first
    tied = ranks <= ranks[0] + reach
    columns = {
        Column("#"): [Cell(str(place + 1)) for place in range(len(names))],
        Column("model", number=False): [Cell(name) for name in names],
        Column("rank"): [
            Cell(f"{rank:.2f} {TIED}" if tie and place else f"{rank:.2f}")
            for place, (rank, tie) in enumerate(zip(ranks, tied, strict=True))
        ],
        Column("wins", spare=2): _rates(win_rate(scores)),
    }
    if BASELINE in names and (scores > 0).all():
        skill = skill_score(scores, names.index(BASELINE))
        columns[Column("skill", spare=1)] = _rates(skill)
    own = (f"{name} ({', '.join(map(str, h))})" for name, h in found.horizons.items())
    return by_column(
        f"Over {len(scores)} data sets",
        columns,
        intro=(f"{len(names)} models on data sets (and horizons): {', '.join(own)}.", *_MEANING),
        notes=(*_chance(scores, reach), *found.notes),
    )


def _rates(rate: Rate) -> list[Cell]:
    columns = (rate.value, rate.low, rate.high)
    return [
        Cell(f"{number(value, 3)} [{number(low, 3)}, {number(high, 3)}]")
        for value, low, high in zip(*columns, strict=True)
    ]


def _chance(scores: Array, reach: float) -> Iterable[str]:
    statistic, p_value = friedman(scores)
    p_text = f"p = {p_value:.3f}" if p_value >= 0.001 else "p < 0.001"
    verdict = "some models differ" if p_value < ALPHA else "no difference between models is shown"
    yield f"Friedman's test of no difference: chi-square {statistic:.2f}, {p_text}; {verdict}."
    yield (
        f"Nemenyi's critical difference at {ALPHA:.0%}: average ranks that differ by more than "
        f"{reach:.2f} differ significantly; {TIED}: does not differ from the first by it."
    )
    if len(scores) < FEW:
        yield (
            f"With fewer than {FEW} data sets the p-value is rough and intervals are too narrow."
        )
    elif len(scores) < MANY:
        yield (
            f"With fewer than {MANY} data sets a 95% interval over them holds the truth in only 80 "
            "to 93 of 100 cases, fewest where a few data sets stand out."
        )
