"""Is a difference between two results files more than chance? A verdict for each row compared.

There are two kinds of chance:

- the test windows': a paired Diebold-Mariano test, where both runs' losses are known;
- the seed's: the spread over the model's seeds in either file, if there are three of a
  configuration, or else that over all models' seeds on the same data set, horizon and protocol;
  where a model is trained by gradient.

Each tells how far equal runs differ by it in 95 of 100 cases. Both act at once and independently,
so a difference is `significant` where it is beyond the root of the sum of their squares: asked one
after the other, each against the whole difference, they would call equal runs different up to twice
as often as they say. Where the losses are not there, what is beyond the seeds' chance is said to be
that and no more; so is what is beyond the windows', of a trained model where no two seeds of any
are there. Where neither can be asked, there is no verdict.

Where several seeds of a model are compared, their means are judged too: less is chance in them than
in any single seed's difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmark.reports.changes import (
    BEYOND_SEEDS,
    BEYOND_WINDOWS,
    JUDGED,
    SIGNIFICANT,
    Comparison,
    beyond,
    relative,
    verdict_of,
    without_noise,
)
from benchmark.reports.matching import ALL_SEEDS, KEY
from benchmark.reports.seed_noise import seed_noise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from benchmark.records.losses import Losses, Metric
    from benchmark.reports.gate import Gate
    from benchmark.statistics.noise import NoiseFloor


VERDICT = {"mse": "verdict", "mae": "verdict_mae"}
"""The column that holds the verdict on a metric."""

ALIKE = 1e-5
"""Relative difference of scores that another machine makes: no change, and no other run."""


class _Pair(NamedTuple):
    """A row of a comparison: its key, and what is judged."""

    dataset: str
    horizon: int
    model: str
    lookback: int
    seed: int
    fingerprint: str
    config_old: str
    config_new: str
    category: str
    score_old: float
    score_new: float
    runs_old: float
    runs_new: float
    trained_old: bool  # by gradient, all of them
    trained_new: bool


class Side:
    """One results file: its done runs, and the test windows' losses of those still there.

    Args:
        results: as `benchmark.records.table.read_results` gives.
        losses: for a metric the error of every test window by run id ``(W,)``.
    """

    def __init__(self, results: DataFrame, losses: Mapping[Metric, Losses]) -> None:
        self.done = results[results["status"] == "done"]
        self._losses = losses

    @cached_property
    def _by_key(self) -> dict[tuple[Any, ...], list[str]]:
        runs: dict[tuple[Any, ...], list[str]] = {}
        columns = (self.done[name].tolist() for name in (*KEY, "fingerprint", "config", "run_id"))
        for *model, own_seed, fingerprint, own_config, run_id in zip(*columns, strict=True):
            for seed, config in product({own_seed, ALL_SEEDS}, {own_config, ""}):
                runs.setdefault((*model, seed, fingerprint, config), []).append(run_id)
        return runs

    def losses(
        self, pairs: Sequence[_Pair], config: str, metric: Metric
    ) -> NDArray[np.float64] | None:
        """Return a loss a run and window; None unless those of all runs behind rows are known.

        Args:
            pairs: the rows.
            config: their configuration on this side; "" where the files are compared without.
            metric: whose losses.
        """
        losses = self._losses.get(metric, {})
        if not losses:
            return None
        runs = [run for pair in pairs for run in self._by_key[(*pair[: len(KEY) + 1], config)]]
        if not all(run in losses for run in runs):
            return None

        import numpy as np

        return np.stack([losses[run] for run in runs])


def judge(comparison: Comparison, old: Side, new: Side) -> Comparison:
    """Add the column `verdict` to a comparison's rows, on their MSE, and the means over seeds.

    It says `significant`, `beyond seeds` (where nothing is known of the test windows' chance),
    `beyond windows` (nothing of the seeds'), `within noise`, `not comparable` (two protocols), or
    nothing where there is not what it takes.
    Where the gate asks for significant changes only, the MAE has a verdict of its own in
    `verdict_mae`, what is within noise is no change, and a mean over seeds that got worse by more
    than its tolerance and than chance is a regression, even if none of its seeds is one.
    """
    rows, strict = comparison.rows, comparison.gate.significant_only
    metrics: tuple[Metric, ...] = ("mse", "mae") if strict else ("mse",)
    judged = {metric: (_Judge((old, new), metric), _pairs(rows, metric)) for metric in metrics}
    verdicts = {
        VERDICT[metric]: [judge.verdict([pair]) for pair in pairs]
        for metric, (judge, pairs) in judged.items()
    }
    means = _means(rows["name"].tolist(), judged, comparison.gate)
    told = replace(comparison, rows=rows.assign(**verdicts), means=means)
    return without_noise(told) if strict else told


def _pairs(rows: DataFrame, metric: Metric) -> list[_Pair]:
    fields = {"fingerprint": "fingerprint_old"}
    fields |= {"score_old": f"{metric}_old", "score_new": f"{metric}_new"}
    columns = (rows[fields.get(name, name)].tolist() for name in _Pair._fields)
    return list(map(_Pair, *columns))


def _means(
    names: Sequence[str], judged: Mapping[Metric, tuple[_Judge, Sequence[_Pair]]], gate: Gate
) -> DataFrame:
    """A row for each model of which two seeds or more are compared, their means judged as one."""
    import pandas as pd

    _, pairs_of_mse = judged["mse"]
    together: dict[tuple[Any, ...], list[int]] = {}
    for i, (name, pair) in enumerate(zip(names, pairs_of_mse, strict=True)):
        if pair.category in JUDGED:
            seedless = pair._replace(seed=0)[: _Pair._fields.index("category")]
            together.setdefault((name, *seedless), []).append(i)
    several = {key: own for key, own in together.items() if len(own) > 1}
    firsts = [pairs_of_mse[own[0]] for own in several.values()]
    means = pd.DataFrame(
        {
            "dataset": [pair.dataset for pair in firsts],
            "horizon": [pair.horizon for pair in firsts],
            "name": [name for name, *_ in several],
            "lookback": [pair.lookback for pair in firsts],
            "seeds": [len(own) for own in several.values()],
        }
    )
    for metric, (judge, pairs) in judged.items():
        groups = [[pairs[i] for i in own] for own in several.values()]
        means[f"{metric}_old"] = [fmean(pair.score_old for pair in own) for own in groups]
        means[f"{metric}_new"] = [fmean(pair.score_new for pair in own) for own in groups]
        means[f"{metric}_change"] = relative(means[f"{metric}_old"], means[f"{metric}_new"])
        means[VERDICT[metric]] = [judge.verdict(own) for own in groups]
    holds = [gate.held(pair.model, pair.dataset) for pair in firsts]
    means["worse"] = [
        tuple(
            metric
            for metric in beyond(row, {m: held[m] for m in judged if m in held}, 1)
            if row[VERDICT[metric]] in (SIGNIFICANT, BEYOND_WINDOWS, BEYOND_SEEDS)
        )
        for row, held in zip(means.to_dict("records"), holds, strict=True)
    ]
    return means


class _Judge:
    """Judges differences in one metric.

    Args:
        sides: old and new.
        metric: which.
    """

    def __init__(self, sides: tuple[Side, Side], metric: Metric) -> None:
        self._sides = sides
        self._metric = metric
        self._noise = _noise(*sides, metric)

    def verdict(self, pairs: Sequence[_Pair]) -> str:
        """Judge a row, or the mean over several that differ by their seed alone."""
        pair = pairs[0]
        if pair.category == "not comparable":
            return "not comparable"
        if pair.category not in JUDGED:
            return ""
        trained = pair.trained_old or pair.trained_new
        windows, seeds = self._windows(pairs), self._seeds(pairs) if trained else 0.0
        if windows is None and not (trained and seeds is not None):
            return ""
        change = fmean(pair.score_new - pair.score_old for pair in pairs)
        rounding = ALIKE * abs(fmean(pair.score_old for pair in pairs))
        return verdict_of(change, windows, seeds, rounding)

    def _windows(self, pairs: Sequence[_Pair]) -> float | None:
        """How far equal runs differ by the test windows; None where they are unknown or few."""
        configs = pairs[0].config_old, pairs[0].config_new
        old, new = (
            side.losses(pairs, config, self._metric)
            for side, config in zip(self._sides, configs, strict=True)
        )
        if old is None or new is None or old.shape[1] != new.shape[1]:
            return None
        from benchmark.statistics.bootstrap import can_resample
        from benchmark.statistics.diebold_mariano import diebold_mariano

        if not can_resample(old.shape[1], pairs[0].horizon):
            return None
        return diebold_mariano(new, old, pairs[0].horizon)

    def _seeds(self, pairs: Sequence[_Pair]) -> float | None:
        """How far equal runs of a trained model differ by their seeds; None where not known."""
        pair = pairs[0]
        task = (pair.dataset, pair.horizon, pair.fingerprint)
        floor = self._noise.get((*task, pair.model, pair.lookback), self._noise.get(task))
        if floor is None:
            return None
        from benchmark.statistics.noise import SeedMean

        old = sum(each.runs_old for each in pairs) if pair.trained_old else math.inf
        new = sum(each.runs_new for each in pairs) if pair.trained_new else math.inf
        return floor.smallest_difference(SeedMean(old), SeedMean(new))


def _noise(old: Side, new: Side, metric: Metric) -> dict[tuple[Any, ...], NoiseFloor]:
    """Of each task, and of each model and lookback on it that has seeds enough."""
    import pandas as pd

    from benchmark.statistics.noise import LEAST_SEEDS

    # One configuration may have changed its scores between the files, by its code: what seeds do
    # is seen inside each. A run that is in both is one seed, not two; on another machine its score
    # has other last digits.
    scores = dict(zip(old.done["run_id"], old.done[metric], strict=True))
    before = new.done["run_id"].map(scores).astype("float64")
    other = ~((new.done[metric] - before).abs() <= ALIKE * before.abs())
    apart = new.done.assign(config="new " + new.done["config"])[other]
    runs = pd.concat([old.done, apart]).drop_duplicates(["run_id", metric])
    own = {
        row: floors[metric]
        for row, floors in seed_noise(runs, (metric,), apart=("model", "lookback")).items()
        if floors[metric].freedom >= LEAST_SEEDS - 1
    }
    return own | {task: floors[metric] for task, floors in seed_noise(runs, (metric,)).items()}
