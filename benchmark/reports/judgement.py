"""Is a difference between two results files more than chance? A verdict for each row compared.

There are two kinds of chance, and a difference is `significant` only if neither explains it:

- the test windows': a paired Diebold-Mariano test at 5%, where both runs' losses are known;
- the seed's: the noise floor over all seeds of either file, where the model is trained by gradient
  and any configuration of the same data set, horizon and protocol has two seeds or more.

Where neither can be asked, there is no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
TASK = ["dataset", "horizon", "fingerprint"]


class Side:
    """One results file: its done runs, and the test windows' losses of those still there.

    Args:
        results: as `benchmark.records.table.read_results` gives.
        losses: squared error of every test window by run id ``(W,)``.
    """

    def __init__(self, results: DataFrame, losses: Losses) -> None:
        self.done = results[results["status"] == "done"]
        self._losses = losses
        self._by_key = dict(tuple(self.done.groupby([*KEY, "fingerprint"])))

    def runs(self, row: Mapping[str, Any]) -> DataFrame:
        """Return the done runs behind a row of a comparison whose protocols are one."""
        key = (*(row[name] for name in KEY), row["fingerprint_old"])
        return self._by_key[key]

    def losses(self, runs: DataFrame) -> NDArray[np.float64] | None:
        """Return a loss a run and window; None unless all of them are known."""
        import numpy as np

        if not all(run_id in self._losses for run_id in runs["run_id"]):
            return None
        return np.stack([self._losses[run_id] for run_id in runs["run_id"]])


def judge(comparison: Comparison, old: Side, new: Side) -> Comparison:
    """Add the column `verdict` to a comparison's rows.

    It says `significant`, `within noise`, `not comparable` (two protocols), or nothing where there
    is not what it takes. Where the gate asks for significant changes only, what is within noise is
    no change.
    """
    noise = _noise_by_task(old, new)
    verdicts = [_verdict(row, (old, new), noise) for row in comparison.rows.to_dict("records")]
    judged = replace(comparison, rows=comparison.rows.assign(verdict=verdicts))
    return without_noise(judged) if comparison.gate.significant_only else judged


def _noise_by_task(old: Side, new: Side) -> dict[Any, NoiseFloor | None]:
    import pandas as pd

    # One configuration may have changed its scores between the files, by its code: what seeds do
    # is seen inside each. A run that is in both is one seed, not two.
    apart = new.done.assign(config="new " + new.done["config"])
    runs = pd.concat([old.done, apart]).drop_duplicates(["run_id", "mse"])
    return {task: seed_noise(own) for task, own in runs.groupby(TASK)}


def _verdict(row: Mapping[Any, Any], sides: Sides, noise: Mapping[Any, NoiseFloor | None]) -> str:
    if row["category"] == "not comparable":
        return "not comparable"
    if row["category"] not in JUDGED:
        return ""
    runs = [side.runs(row) for side in sides]
    judged = []
    losses = [side.losses(own) for side, own in zip(sides, runs, strict=True)]
    if losses[0] is not None and losses[1] is not None and losses[0].shape[1] == losses[1].shape[1]:
        from benchmark.statistics.diebold_mariano import diebold_mariano

        verdict = diebold_mariano(losses[1], losses[0], int(row["horizon"]))
        judged.append(verdict.p_value < ALPHA)
    floor = noise.get((row["dataset"], row["horizon"], row["fingerprint_old"]))
    if floor is not None and all((own["fitted"] == "gradient").all() for own in runs):
        reach = floor.smallest_difference(len(runs[0]), len(runs[1]))
        judged.append(abs(row["mse_new"] - row["mse_old"]) > reach)
    if not judged:
        return ""
    return VERDICTS[0] if all(judged) else VERDICTS[1]
