"""Is a difference between two results files more than chance? A verdict for each row compared.

There are two kinds of chance, and a difference is `significant` only if neither explains it:

- the test windows': a paired Diebold-Mariano test at 5%, where both runs' losses are known;
- the seed's: the spread over the model's seeds in either file, if there are three of a
  configuration, or else that over all models' seeds on the same data set, horizon and protocol;
  where the model is trained by gradient.

Where neither can be asked, there is no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmark.reports.changes import JUDGED, KEY, VERDICTS, Comparison, without_noise
from benchmark.reports.ties import seed_noise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from benchmark.statistics.noise import NoiseFloor

    Losses = Mapping[str, NDArray[np.float64]]
    Sides = tuple["Side", "Side"]

ALPHA = 0.05
_JUDGED_BY = ("mse_old", "mse_new", "runs_old", "runs_new", "trained_old", "trained_new")


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
    mse_old: float
    mse_new: float
    runs_old: float
    runs_new: float
    trained_old: bool  # by gradient, all of them
    trained_new: bool


class Side:
    """One results file: its done runs, and the test windows' losses of those still there.

    Args:
        results: as `benchmark.records.table.read_results` gives.
        losses: squared error of every test window by run id ``(W,)``.
    """

    def __init__(self, results: DataFrame, losses: Losses) -> None:
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

    def losses(self, pair: _Pair, config: str) -> NDArray[np.float64] | None:
        """Return a loss a run and window; None unless those of all runs behind a row are known.

        Args:
            pair: the row.
            config: its configuration on this side; "" where the files are compared without.
        """
        if not self._losses:
            return None
        runs = self._by_key[(*pair[: len(KEY) + 1], config)]
        if not all(run in self._losses for run in runs):
            return None

        import numpy as np

        return np.stack([self._losses[run] for run in runs])


def judge(comparison: Comparison, old: Side, new: Side) -> Comparison:
    """Add the column `verdict` to a comparison's rows.

    It says `significant`, `within noise`, `not comparable` (two protocols), or nothing where there
    is not what it takes. Where the gate asks for significant changes only, what is within noise is
    no change.
    """
    noise = _noise(old, new)
    names = (*KEY, "fingerprint_old", "config_old", "config_new", "category", *_JUDGED_BY)
    columns = (comparison.rows[name].tolist() for name in names)
    verdicts = [_verdict(_Pair(*row), (old, new), noise) for row in zip(*columns, strict=True)]
    judged = replace(comparison, rows=comparison.rows.assign(verdict=verdicts))
    return without_noise(judged) if comparison.gate.significant_only else judged


def _noise(old: Side, new: Side) -> dict[tuple[Any, ...], NoiseFloor]:
    """Of each task, and of each model and lookback on it that has seeds enough."""
    import pandas as pd

    from benchmark.statistics.noise import LEAST_SEEDS

    # One configuration may have changed its scores between the files, by its code: what seeds do
    # is seen inside each. A run that is in both is one seed, not two.
    apart = new.done.assign(config="new " + new.done["config"])
    runs = pd.concat([old.done, apart]).drop_duplicates(["run_id", "mse"])
    own = {
        row: floors["mse"]
        for row, floors in seed_noise(runs, apart=("model", "lookback")).items()
        if floors["mse"].freedom >= LEAST_SEEDS - 1
    }
    return own | {task: floors["mse"] for task, floors in seed_noise(runs).items()}


def _verdict(pair: _Pair, sides: Sides, noise: Mapping[tuple[Any, ...], NoiseFloor]) -> str:
    if pair.category == "not comparable":
        return "not comparable"
    if pair.category not in JUDGED:
        return ""
    judged = []
    configs = pair.config_old, pair.config_new
    losses = [side.losses(pair, config) for side, config in zip(sides, configs, strict=True)]
    if losses[0] is not None and losses[1] is not None and losses[0].shape[1] == losses[1].shape[1]:
        from benchmark.statistics.diebold_mariano import diebold_mariano

        verdict = diebold_mariano(losses[1], losses[0], pair.horizon)
        judged.append(verdict.p_value < ALPHA)
    task = (pair.dataset, pair.horizon, pair.fingerprint)
    floor = noise.get((*task, pair.model, pair.lookback), noise.get(task))
    if floor is not None and pair.trained_old and pair.trained_new:
        from benchmark.statistics.noise import SeedMean

        reach = floor.smallest_difference(SeedMean(pair.runs_old), SeedMean(pair.runs_new))
        judged.append(abs(pair.mse_new - pair.mse_old) > reach)
    if not judged:
        return ""
    return VERDICTS[0] if all(judged) else VERDICTS[1]
