"""What a comparison lets pass: tolerances by metric, model and data set, as a YAML says them.

tolerance: 0.01                       # of MSE and MAE: 1% worse is no regression
metrics: {train_seconds: 0.5, mae: null}   # hold a cost as well; do not hold the MAE
overrides:                            # the later one wins
  - {model: "gru*", dataset: ETTh1, metrics: {mse: 0.03}}
significant_only: true
allow_missing: false
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from benchmark.config import Strict, nearest, validate
from benchmark.plain_yaml import load_yaml
from benchmark.records.record import HEADLINE
from benchmark.words import counted

HIGHER_IS_BETTER = ("throughput",)
HOLDABLE = (
    "mse", "mae", "rmse", "mase", "smape", "mae_original", "crps", "params", "macs",
    "train_seconds", "energy_j", "latency_ms", "peak_memory_mb", *HIGHER_IS_BETTER,
)  # fmt: skip
"""Columns of results.csv whose relative change says better or worse."""


def _holdable(tolerances: dict[str, float | None]) -> dict[str, float | None]:
    for name in tolerances:
        if name not in HOLDABLE:
            raise ValueError(f"unknown metric {name!r:.60}; {nearest(name, HOLDABLE)}")
    return tolerances


Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A relative change that counts as none, e.g. 0.01 for 1%."""

Tolerances = Annotated[dict[str, Tolerance | None], AfterValidator(_holdable)]
"""A tolerance for each metric that is held; None no longer holds one."""


class Override(Strict):
    """Other tolerances for some rows.

    Attributes:
        model: pattern of models' names, in which ``*`` stands for any text.
        dataset: pattern of data sets' names.
        tolerance: of MSE and MAE; None leaves it.
        metrics: of single metrics.
    """

    model: str = "*"
    dataset: str = "*"
    tolerance: Tolerance | None = None
    metrics: Tolerances = Field(default_factory=dict)

    @property
    def named(self) -> str:
        """Which rows it is for."""
        parts = {"model": self.model, "dataset": self.dataset}
        return " and ".join(f"{key} {name}" for key, name in parts.items() if name != "*")

    def fits(self, model: str, dataset: str) -> bool:
        """Say whether a row is one of those."""
        return fnmatchcase(model, self.model) and fnmatchcase(dataset, self.dataset)


class Gate(Strict):
    """What counts as a regression, and what else may not happen.

    Attributes:
        tolerance: of MSE and MAE, which are always held unless `metrics` says null.
        metrics: further metrics that are held, or another tolerance for one.
        overrides: for some models or data sets; of several that fit, the later wins.
        significant_only: a change of MSE, RMSE or MAE is none where the verdict on it (RMSE's is
            the MSE's) is that it is within noise, and means over seeds are held as well; where
            there is no verdict, and for all other columns, the tolerance alone decides.
        allow_missing: whether a row may vanish, or change its protocol.
        allow_failed: whether a run may fail that was done before.
    """

    tolerance: Tolerance = 0.01
    metrics: Tolerances = Field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    significant_only: bool = False
    allow_missing: bool = True
    allow_failed: bool = False

    def held(self, model: str, dataset: str) -> dict[str, float]:
        """Return the tolerance of every metric that a row is held to."""
        layers = [
            Override(tolerance=self.tolerance, metrics=self.metrics),
            *(override for override in self.overrides if override.fits(model, dataset)),
        ]
        found: dict[str, float | None] = {}
        for layer in layers:
            if layer.tolerance is not None:
                found |= dict.fromkeys(HEADLINE, layer.tolerance)
            found |= layer.metrics
        return {name: tolerance for name, tolerance in found.items() if tolerance is not None}

    def metrics_named(self) -> tuple[str, ...]:
        """Return MSE, MAE and every other metric that some row may be held to."""
        layers = (self.metrics, *(override.metrics for override in self.overrides))
        return tuple(dict.fromkeys([*HEADLINE, *(name for layer in layers for name in layer)]))

    def describe(self, rows: Collection[tuple[str, str]]) -> str:
        """Say the tolerances in a few words, and which overrides fit none of the rows.

        Args:
            rows: model and data set of each that is compared.
        """
        own = [
            f"{name} not held" if tolerance is None else f"{name} {100 * tolerance:g}%"
            for name, tolerance in self.metrics.items()
        ]
        parts = [f"tolerance {100 * self.tolerance:g}%", *own]
        if self.overrides:
            parts.append(counted(len(self.overrides), "override"))
        for each in self.overrides:
            if not any(each.fits(*row) for row in rows):
                parts.append(f"no row fits the override of {each.named}")
        if self.significant_only:
            parts.append("significant changes only")
        return ", ".join(parts)


def load_gate(path: Path) -> Gate:
    """Read a gate's YAML.

    Raises:
        UserError: every fault of the file, with its path in it.
    """
    return validate(Gate, load_yaml(path), str(path))
