"""Two results files run by run: what got better, what got worse, what came and went.

A run regressed if a metric that it is held to (MSE and MAE, unless its
`benchmark.reports.gate.Gate` says otherwise) worsened by more than its tolerance; it improved if at
least one improved by more and none worsened. A change of exactly the tolerance is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from benchmark.reports.gate import HIGHER_IS_BETTER, Gate
from benchmark.reports.matching import KEY, matched
from benchmark.words import counted

if TYPE_CHECKING:
    from pandas import DataFrame, Series

CATEGORIES = (
    "failed",
    "regressed",
    "not comparable",
    "vanished",
    "still failed",
    "fixed",
    "improved",
    "appeared",
    "within noise",
    "unchanged",
)
"""Every row is in one of them; listed in this order, the worst first."""

JUDGED = ("regressed", "improved", "unchanged")
"""Both runs are done and under one protocol."""

SIGNIFICANT, BEYOND_WINDOWS, BEYOND_SEEDS, NOISE = VERDICTS = (
    "significant", "beyond windows", "beyond seeds", "within noise",
)  # fmt: skip
"""What the column verdict says where a difference could be judged."""

LONG_MEMORY = (
    "Where errors stay correlated for much longer than the horizon, equal models are called "
    "different more often"
)
"""What a verdict cannot know; see `benchmark.statistics.diebold_mariano`."""

_ONE_SIDED = ("not comparable", "vanished", "appeared")
_SLACK = 1e-12  # a change of exactly the tolerance must survive the rounding of its division


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    Attributes:
        rows: a row a run, worst first: category, file, dataset, horizon, model, lookback, seed;
            name (the model, and the start of its configuration's hash where a file has several);
            for old and new: status, the metrics, fingerprint, config, runs, error, trained (by
            gradient); ``<metric>_change``, relative (0.01 is 1% more); worse and better: the
            metrics that changed by more than their tolerance. `benchmark.reports.judgement.judge`
            adds verdict, and verdict_mae.
        gate: what was let pass.
        means: a row a model of which several seeds are compared: file, dataset, horizon, name,
            lookback, seeds, and as in rows mse_old, mse_new, mse_change, verdict, the same of the
            MAE where that is judged, and worse. `judge` adds it.
    """

    rows: DataFrame
    gate: Gate
    means: DataFrame | None = None

    @property
    def comparable(self) -> bool:
        """Whether any run is there on both sides under one protocol."""
        return not bool(self.rows["category"].isin(_ONE_SIDED).all())

    @property
    def regressed(self) -> bool:
        """Whether any run got worse, or failed or is missing where the gate does not allow it.

        Or a mean over seeds got worse, by more than chance.
        """
        stopping = ["regressed"]
        stopping += [] if self.gate.allow_failed else ["failed"]
        stopping += [] if self.gate.allow_missing else ["vanished", "not comparable"]
        return bool(self.rows["category"].isin(stopping).any()) or self.worse_means > 0

    @property
    def worse_means(self) -> int:
        """How many means over seeds got worse, by more than their tolerance and than chance."""
        return 0 if self.means is None else int((self.means["worse"].map(len) > 0).sum())

    @property
    def counts(self) -> dict[str, int]:
        """Rows in each category, the worst category first; empty ones are left out."""
        found = self.rows["category"].value_counts()
        return {name: int(found[name]) for name in CATEGORIES if name in found.index}

    def summary(self) -> str:
        """Say the outcome in one line."""
        counts = ", ".join(f"{n} {name}" for name, n in self.counts.items())
        if self.worse_means:
            counts = f"{counted(self.worse_means, 'mean')} over seeds regressed, {counts}"
        verdict = "REGRESSED" if self.regressed else "no regression"
        if not self.comparable:
            verdict = "NOT COMPARABLE"
        rows = set(zip(self.rows["model"], self.rows["dataset"], strict=True))
        return f"{verdict}: {counts} ({self.gate.describe(rows)})"


def compare(old: DataFrame, new: DataFrame, gate: Gate | None = None) -> Comparison:
    """Compare two results tables run by run.

    Args:
        old: what was, as `benchmark.records.table.read_results` gives.
        new: what is.
        gate: what counts as a regression; None allows MSE and MAE 1%.
    """
    gate = gate or Gate()
    metrics = gate.metrics_named()
    rows = matched(old, new, metrics)
    one_protocol = rows["fingerprint_old"] == rows["fingerprint_new"]
    for metric in metrics:
        change = relative(rows[f"{metric}_old"], rows[f"{metric}_new"])
        rows[f"{metric}_change"] = change.where(one_protocol)
    changes = rows[[f"{metric}_change" for metric in metrics]].to_dict("records")
    pairs = list(zip(changes, held_to(rows, gate), strict=True))
    rows["worse"] = [beyond(row, held, 1) for row, held in pairs]
    rows["better"] = [beyond(row, held, -1) for row, held in pairs]
    rows["category"] = _categories(rows)
    return Comparison(_worst_first(rows.assign(file="")), gate)


def held_to(rows: DataFrame, gate: Gate) -> list[dict[str, float]]:
    """Return what each row is held to; each model and data set is looked up once."""
    held = cache(gate.held)
    return list(map(held, rows["model"].tolist(), rows["dataset"].tolist()))


def merge(by_file: Mapping[str, Comparison]) -> Comparison:
    """Put comparisons of files under one gate together; of several, each row says its file."""
    import pandas as pd

    first, *others = by_file.values()
    if not others:
        return first
    rows = [one.rows.assign(file=_short(path)) for path, one in by_file.items()]
    told = [(path, one.means) for path, one in by_file.items() if one.means is not None]
    means = [own.assign(file=_short(path)) for path, own in told]
    return Comparison(
        _worst_first(pd.concat(rows, ignore_index=True)),
        first.gate,
        pd.concat(means, ignore_index=True) if means else None,
    )


def _short(path: str) -> str:
    return path.removeprefix("results/").removesuffix("/results.csv")


def without_noise(comparison: Comparison) -> Comparison:
    """Take out changes of the scores whose verdict is that they are within noise.

    That on the MSE speaks for the RMSE too; what neither it nor that on the MAE is about stays.
    """
    rows = comparison.rows
    left: dict[str, list[Any]] = {"category": [], "worse": [], "better": []}
    columns = (rows[name] for name in (*left, "verdict", "verdict_mae"))
    for category, worse, better, of_mse, of_mae in zip(*columns, strict=True):
        verdicts = {"mse": of_mse, "rmse": of_mse, "mae": of_mae}
        still_worse, still_better = (
            tuple(name for name in names if verdicts.get(name) != NOISE)
            for names in (worse, better)
        )
        is_less = (still_worse, still_better) != (worse, better)
        left["category"].append(_outcome(still_worse, still_better, NOISE) if is_less else category)
        left["worse"].append(still_worse)
        left["better"].append(still_better)
    return replace(comparison, rows=_worst_first(rows.assign(**left)))


def verdict_of(
    difference: float, windows: float | None, seeds: float | None, rounding: float = 0.0
) -> str:
    """Judge a difference by how far equal models differ; see `benchmark.reports.judgement`.

    Args:
        difference: of two scores, or means of some.
        windows: how far they do by the test windows; None where that is not known.
        seeds: how far by the seeds, 0 where none is in play; None where that is not known.
        rounding: how far the same score may differ by its last digits.
    """
    if abs(difference) <= max(math.hypot(windows or 0.0, seeds or 0.0), rounding):
        return NOISE
    if windows is None:
        return BEYOND_SEEDS
    return BEYOND_WINDOWS if seeds is None else SIGNIFICANT


def relative(old: Series, new: Series) -> Series:
    """(new - old) / old; no change from 0 to 0, and an infinite one from 0 to anything else."""
    change = (new - old) / old.where(old != 0)
    change = change.mask((old == 0) & (new == 0), 0.0)
    return change.mask((old == 0) & (new > 0), math.inf)


def beyond(row: Mapping[Any, Any], tolerances: Mapping[str, float], sign: int) -> tuple[str, ...]:
    """Return the metrics that worsened (sign 1) or improved (-1) by more than their tolerance."""
    ways = {name: -sign if name in HIGHER_IS_BETTER else sign for name in tolerances}
    return tuple(
        name
        for name, tolerance in tolerances.items()
        if ways[name] * row[f"{name}_change"] > tolerance + _SLACK
    )


def _outcome(worse: tuple[str, ...], better: tuple[str, ...], neither: str) -> str:
    return "regressed" if worse else "improved" if better else neither


def _categories(rows: DataFrame) -> Series:
    import pandas as pd

    old, new = rows["status_old"], rows["status_new"]
    sides = zip(rows["worse"], rows["better"], strict=True)
    names = [_outcome(worse, better, "unchanged") for worse, better in sides]
    category = pd.Series(names, index=rows.index, dtype="object")
    # Later lines overrule earlier ones.
    category[(old == "failed") & (new == "done")] = "fixed"
    category[(old == "done") & (new == "failed")] = "failed"
    category[(old == "failed") & (new == "failed")] = "still failed"
    category[rows["fingerprint_old"] != rows["fingerprint_new"]] = "not comparable"
    category[old == ""] = "appeared"
    category[new == ""] = "vanished"
    return category


def _worst_first(rows: DataFrame) -> DataFrame:
    rows = rows.assign(_severity=rows["category"].map(CATEGORIES.index))
    by = ["_severity", "mse_change", "file", *KEY, "name"]
    rows = rows.sort_values(by, ascending=[name != "mse_change" for name in by])
    return rows.drop(columns="_severity").reset_index(drop=True)
