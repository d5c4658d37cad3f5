"""What a fitted model scores on the test windows of its task."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.evaluation.forecast import Evaluation
from benchmark.evaluation.samples import Samples
from benchmark.records.record import RunRecord
from benchmark.reports.details import mean_of_known


@dataclass(frozen=True, eq=False)
class Result:
    """The scores of a fitted model on the test windows of its task.

    Attributes:
        record: the row that results.csv would hold, with every score, but for the costs of
            forecasting.
        evaluation: what the scores are made of: the errors of every window.
        channels: their names, C.
    """

    record: RunRecord
    evaluation: Evaluation
    channels: tuple[str, ...]

    def __repr__(self) -> str:
        """Name the run and its scores: a notebook shows it, where all errors would fill pages."""
        return f"Result(run_id={self.record.run_id!r}, mse={self.mse:.4f}, mae={self.mae:.4f})"

    @property
    def mse(self) -> float:
        """Mean squared error on test, scaled series."""
        assert self.record.mse is not None
        return self.record.mse

    @property
    def mae(self) -> float:
        """Mean absolute error on test, scaled series."""
        assert self.record.mae is not None
        return self.record.mae

    @property
    def by_step(self) -> pd.DataFrame:
        """MSE and MAE of each step of the horizon, from 1: ``(H, 2)``, scaled series.

        Channels weigh alike, however many of their targets are missing; one without any at a step
        counts in no mean there.
        """
        errors = self.evaluation.errors
        columns = {"mse": errors.squared_by_step, "mae": errors.absolute_by_step}  # each (H, C)
        means = {name: mean_of_known(values, axis=1) for name, values in columns.items()}
        steps = pd.RangeIndex(1, len(errors.squared_by_step) + 1, name="step")
        return pd.DataFrame(means, index=steps)

    @property
    def by_channel(self) -> pd.DataFrame:
        """MSE and MAE of each channel: ``(C, 2)``, scaled series."""
        errors = self.evaluation.errors
        parts = {"mse": errors.squared, "mae": errors.absolute}  # each (W, C)
        means = {name: errors.by_channel(part) for name, part in parts.items()}
        return pd.DataFrame(means, index=pd.Index(self.channels, name="channel"))

    @property
    def forecasts(self) -> Samples:
        """A few test windows in original units, the same for every model: target and forecast."""
        return self.evaluation.samples
