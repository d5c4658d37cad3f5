"""A run's forecaster before its fit, as every run has it."""

from __future__ import annotations

from benchmark.data.task import Task
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.harness.spec import RunSpec
from benchmark.training.fit import seed_all
from benchmark.training.heads import build_for_training


def unfitted(spec: RunSpec, task: Task, where: str) -> Forecaster:
    """Build a forecaster for the windows of a task, with the first weights that its seed gives.

    Args:
        spec: the model, its training and its seed.
        task: the data; its lookback and horizon count, and not the spec's.
        where: the file the spec came from, for errors.

    Raises:
        UserError: the forecaster cannot be built for such windows.
    """
    seed_all(spec.seed)
    shape = SeriesShape(task.lookback, task.horizon, task.channels, task.season)
    return build_for_training(spec.model, shape, spec.training, where)
