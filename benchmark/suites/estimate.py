"""How long runs will take, guessed before they begin: what the ETA starts from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from benchmark.harness.plan import Plan
from benchmark.places import REFERENCE
from benchmark.records.record import RunRecord
from benchmark.records.table import read_results

SECONDS_BY_GRADIENT = 30.0
SECONDS_OTHERWISE = 1.0
SECONDS_OVERHEAD = 0.5  # scoring and writing a run's folder


def expected_seconds(pending: Sequence[Plan], done: Iterable[RunRecord]) -> dict[str, float]:
    """Guess each run's seconds, by its id.

    It takes as long as the same model took before on the same data set and horizon; where there is
    no such run, as its model took in the reference results.

    Args:
        pending: what is to be run.
        done: rows of earlier runs.
    """
    earlier: dict[tuple[str, str, int], list[float]] = {}
    for row in done:
        if row.train_seconds is not None:
            earlier.setdefault((row.model, row.dataset, row.horizon), []).append(row.train_seconds)
    reference: dict[Any, float] = {}
    if REFERENCE.exists():
        rows = read_results(REFERENCE)
        reference = rows.groupby("model")["train_seconds"].mean().dropna().astype(float).to_dict()

    def seconds(planned: Plan) -> float:
        spec = planned.spec
        before = earlier.get((spec.name, planned.series.name, spec.horizon))
        unknown = SECONDS_BY_GRADIENT if planned.fitted == "gradient" else SECONDS_OTHERWISE
        return fmean(before) if before else reference.get(spec.name, unknown)

    return {planned.run_id: SECONDS_OVERHEAD + seconds(planned) for planned in pending}
