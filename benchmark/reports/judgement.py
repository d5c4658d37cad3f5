"""Is a difference between two results files more than chance? A verdict for each row compared.

There are two kinds of chance:

- the test windows': a paired Diebold-Mariano test, where both runs' losses are known;
- the seed's: the spread over the model's seeds in either file, if there are three of a
  configuration, or else that over all models' seeds on the same data set, horizon and protocol;
  where a model is trained by gradient.

Each tells how far equal runs differ by it in 95 of 100 cases. Both act at once and independently,
so a difference is `significant` where it is beyond the root of the sum of their squares: asked one
after the other, each against the whole difference, they would call equal runs different up to twice
as often as they say. Where neither can be asked, there is no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from benchmark.reports.changes import JUDGED, KEY, VERDICTS, Comparison, without_noise
from benchmark.reports.ties import seed_noise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from benchmark.statistics.noise import NoiseFloor

    Losses = Mapping[str, NDArray[np.float64]]
    Sides = tuple["Side", "Side"]
    Metric = Literal["mse", "mae"]

_JUDGED_BY = ("runs_old", "runs_new", "trained_old", "trained_new")


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
        for *key, config, run_id in zip(*columns, strict=True):
            for name in {config, ""}:
                runs.setdefault((*key, name), []).append(run_id)
        return runs

    def losses(self, pair: _Pair, config: str, metric: Metric) -> NDArray[np.float64] | None:
        """Return a loss a run and window; None unless those of all runs behind a row are known.

        Args:
            pair: the row.
            config: its configuration on this side; "" where the files are compared without.
            metric: whose losses.
        """
        losses = self._losses.get(metric, {})
        if not losses:
            return None
        runs = self._by_key[(*pair[: len(KEY) + 1], config)]
        if not all(run in losses for run in runs):
            return None

        import numpy as np

        return np.stack([losses[run] for run in runs])


def judge(comparison: Comparison, old: Side, new: Side) -> Comparison:
    """Add the column `verdict` to a comparison's rows, on their MSE.

    It says `significant`, `within noise`, `not comparable` (two protocols), or nothing where there
    is not what it takes. Where the gate asks for significant changes only, the MAE has a verdict of
    its own in `verdict_mae`, and what is within noise is no change.
    """
    verdicts = {"verdict": _verdicts(comparison.rows, old, new, "mse")}
    if comparison.gate.significant_only:
        verdicts["verdict_mae"] = _verdicts(comparison.rows, old, new, "mae")
    judged = replace(comparison, rows=comparison.rows.assign(**verdicts))
    return without_noise(judged) if comparison.gate.significant_only else judged


def _verdicts(rows: DataFrame, old: Side, new: Side, metric: Metric) -> list[str]:
    noise = _noise(old, new, metric)
    names = (*KEY, "fingerprint_old", "config_old", "config_new", "category")
    scores = (f"{metric}_old", f"{metric}_new")
    columns = (rows[name].tolist() for name in (*names, *scores, *_JUDGED_BY))
    pairs = (_Pair(*row) for row in zip(*columns, strict=True))
    return [_verdict(pair, (old, new), noise, metric) for pair in pairs]


def _noise(old: Side, new: Side, metric: Metric) -> dict[tuple[Any, ...], NoiseFloor]:
    """Of each task, and of each model and lookback on it that has seeds enough."""
    import pandas as pd

    from benchmark.statistics.noise import LEAST_SEEDS

    # One configuration may have changed its scores between the files, by its code: what seeds do
    # is seen inside each. A run that is in both is one seed, not two.
    apart = new.done.assign(config="new " + new.done["config"])
    runs = pd.concat([old.done, apart]).drop_duplicates(["run_id", metric])
    own = {
        row: floors[metric]
        for row, floors in seed_noise(runs, apart=("model", "lookback")).items()
        if floors[metric].freedom >= LEAST_SEEDS - 1
    }
    return own | {task: floors[metric] for task, floors in seed_noise(runs).items()}


def _verdict(
    pair: _Pair, sides: Sides, noise: Mapping[tuple[Any, ...], NoiseFloor], metric: Metric
) -> str:
    if pair.category == "not comparable":
        return "not comparable"
    if pair.category not in JUDGED:
        return ""
    reaches = []
    configs = pair.config_old, pair.config_new
    losses = [
        side.losses(pair, config, metric) for side, config in zip(sides, configs, strict=True)
    ]
    if losses[0] is not None and losses[1] is not None and losses[0].shape[1] == losses[1].shape[1]:
        from benchmark.statistics.diebold_mariano import diebold_mariano

        reaches.append(diebold_mariano(losses[1], losses[0], pair.horizon).reach)
    task = (pair.dataset, pair.horizon, pair.fingerprint)
    floor = noise.get((*task, pair.model, pair.lookback), noise.get(task))
    if floor is not None and (pair.trained_old or pair.trained_new):
        from benchmark.statistics.noise import SeedMean

        old, new = (
            SeedMean(runs if trained else math.inf)  # what is solved hangs on no seed
            for runs, trained in (
                (pair.runs_old, pair.trained_old),
                (pair.runs_new, pair.trained_new),
            )
        )
        reaches.append(floor.smallest_difference(old, new))
    if not reaches:
        return ""
    return VERDICTS[abs(pair.score_new - pair.score_old) <= math.hypot(*reaches)]
