"""The suite from Python: fit a model on a task, score it, rank what was scored.

    from benchmark import Task, evaluate, fit, leaderboard, load_dataset

    task = Task(load_dataset("ETTh1"), lookback=336, horizon=336)
    gru = fit("gru", task, epochs=5)
    result = evaluate(gru, task)
    print(result.mse, leaderboard([result, evaluate(fit("ridge", task), task)]))

The steps are those of `benchmark.harness.run.run`, so the scores are those of ``benchmark run``
with the same configuration and seed, to the last bit. Of results, nothing is written but by
`Fitted.save`, and what was saved is used by `load`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from benchmark.api.fitted import Fitted
from benchmark.api.result import Result
from benchmark.data.card import load_card
from benchmark.data.load import Series
from benchmark.data.load import load as load_series
from benchmark.data.task import Task
from benchmark.errors import UserError, check_type
from benchmark.evaluation.metrics import definitions
from benchmark.forecasters.contract import Forecaster
from benchmark.harness.configured import configured
from benchmark.harness.fitted import fit_plan, score
from benchmark.harness.plan import plan
from benchmark.harness.saved import SavedRun, load_saved
from benchmark.harness.spec import Execution, with_task
from benchmark.places import RESULTS, RESULTS_VARIABLE
from benchmark.records.losses import read_losses, window_losses
from benchmark.records.record import RunRecord
from benchmark.records.table import csv_text, parse_results, read_results
from benchmark.reports.board import Board
from benchmark.reports.ranking import leaderboard as rank
from benchmark.training.report import Epoch, FitOptions

__all__ = [
    "Board", "Fitted", "Result", "Task", "evaluate", "fit", "leaderboard", "load", "load_dataset",
]  # fmt: skip


def load_dataset(name: str | Path) -> Series:
    """Return a checked data set; its file is fetched the first time.

    Args:
        name: a card's name, e.g. ``ETTh1``, or its path.

    Raises:
        UserError: there is no such card, its file cannot be had or is not what the card says.
    """
    cure = "write your data to a file, and add that: benchmark datasets add FILE"
    check_type("load_dataset", name, (str, Path), cure)
    return load_series(load_card(name))


def fit(
    model: str | Path | type[Forecaster],
    task: Task,
    *,
    name: str | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    on_epoch: Callable[[Epoch], None] | None = None,
    **options: Any,
) -> Fitted:
    """Fit a model on a task's train windows, choosing by its validation windows.

    Args:
        model: the name of a YAML of ours, the path of one, or a forecaster's class.
        task: what is forecast; a YAML's own lookback, horizon and data set do not matter here.
        name: what tables call it; None takes the YAML's, or the class's.
        seed: of all random numbers; None takes the YAML's, or 1. Python's, NumPy's and torch's
            own generators are seeded with it, and go on from where the fit leaves them.
        device: ``auto`` takes an NVIDIA GPU where there is one.
        on_epoch: called after each epoch; ``print`` shows them.
        options: of the model (e.g. ``hidden_size=64``) or of its training (``epochs=5``).

    Raises:
        UserError: an unknown model or option, options that do not go together, or no task.
        FloatingPointError: training diverged.
    """
    check_type("fit", task, Task, "give it Task(load_dataset(name), lookback, horizon)")
    check_type("fit", model, (str, Path, type), "name a model, its YAML or a forecaster's class")
    if on_epoch is not None and not callable(on_epoch):
        raise UserError("on_epoch", f"cannot be called, got {on_epoch!r:.60}", "e.g. print")
    where, spec = configured(model, {"name": name, "seed": seed}, options)
    spec = with_task(
        spec,
        dataset=task.series.name,
        horizon=task.horizon,
        lookback=task.lookback,
        seed=spec.seed,
    )
    planned = plan(spec, where, task.series)
    execution = Execution(results=Path(), device=device)
    fitted = fit_plan(
        planned, task, execution, FitOptions(on_epoch=on_epoch, parallel=spec.parallel)
    )
    return Fitted(**vars(fitted))


def load(
    run: str | Path, *, results: str | Path | None = None, level: Literal[80, 95] = 80
) -> SavedRun:
    """Load what `Fitted.save` or ``benchmark run --checkpoint`` kept; its data set is not read.

    ``load("ridge-ETTh1").forecast("new.csv").frame()`` holds the steps after the file's last row.

    Args:
        run: its folder, or its id or how only it begins.
        results: the folder in which runs are looked for by id; None takes that of the commands,
            the environment's ``BENCHMARK_RESULTS`` where it is set.
        level: of the intervals, in percent.

    Raises:
        UserError: there is no such run, it has no weights, or one of its files is damaged.
    """
    check_type("load", run, (str, os.PathLike), "give a run's folder, or how its id begins")
    folder = results or os.environ.get(RESULTS_VARIABLE) or RESULTS
    return load_saved(str(run), Path(folder), level)


def evaluate(fitted: Fitted, task: Task) -> Result:
    """Score a fitted model on every test window of its task.

    Raises:
        UserError: it was fitted on another task, or not at all.
        FloatingPointError: a forecast is not finite.
    """
    check_type("evaluate", fitted, Fitted, "give it fit(model, task)")
    check_type("evaluate", task, Task, "give it the task that the model was fitted on")
    if _told(task) != _told(fitted.task):
        what = f"the model was fitted on {_told(fitted.task)}, not on {_told(task)}"
        raise UserError("evaluate", what, "fit it on this task")
    evaluation, columns = score(fitted)
    return Result(RunRecord(**columns), evaluation, task.series.channels)


def leaderboard(results: Iterable[Result] | Result | str | Path) -> Board:
    """Rank results as ``benchmark leaderboard`` does: within a data set, horizon and protocol.

    Args:
        results: of `evaluate`, one or several; or the path of a results CSV.

    Raises:
        UserError: there are none, or something else, or the file is no results CSV; or two
            results are of one run and differ, as those of a class before and after an edit may.
    """
    if isinstance(results, str | Path):
        path = Path(results)
        rows = read_results(path)
        return Board(rank(rows, read_losses(path, rows)))
    by_run: dict[str, Result] = {}
    for result in results if isinstance(results, Iterable) else [results]:
        check_type("leaderboard", result, Result, "give it evaluate(fitted, task)")
        name = result.record.run_id
        before = by_run.get(name, result).mse
        if not math.isclose(before, result.mse, rel_tol=1e-6):  # of a class that was not reloaded
            what = f"two results of it differ: MSE {before:.7g} and {result.mse:.7g}"
            raise UserError(f"run {name}", what, "fit one under another name: fit(..., name=...)")
        by_run[name] = result
    if not by_run:
        raise UserError("leaderboard", "is given no result", "evaluate a model first")
    rows = parse_results(csv_text(r.record for r in by_run.values()), "leaderboard")
    errors = {run_id: result.evaluation.errors for run_id, result in by_run.items()}
    losses = {run_id: window_losses(each.squared, each.known) for run_id, each in errors.items()}
    return Board(rank(rows, losses))


def _told(task: Task) -> str:
    """Name a task, so that two of one name are one."""
    protocol = task.fingerprint(definitions())
    name = task.series.name
    return f"{name}, lookback {task.lookback}, horizon {task.horizon}, protocol {protocol}"
