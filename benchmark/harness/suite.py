"""A suite of runs: expand, skip what is done, isolate what fails, lose nothing.

Every fault of a configuration is found before the first run starts. After that a run that fails
becomes a row with its error, and the suite goes on.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmark.data.card import load_card
from benchmark.data.fetch import DatasetUnavailable, fetch
from benchmark.data.load import load
from benchmark.errors import UserError
from benchmark.forecasters.resolve import resolve_model
from benchmark.harness.progress import RunProgress
from benchmark.harness.run import Plan, plan, record_failure, run
from benchmark.harness.spec import (
    Execution,
    Grid,
    RunSpec,
    SuiteSpec,
    config_names,
    find_config,
    load_run,
    with_task,
)
from benchmark.records.record import RunRecord, error_text
from benchmark.records.store import Store, read_results

TASK_KEYS = ("name", "dataset", "horizon", "seed")
REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "etth1" / "results.csv"
SECONDS_BY_GRADIENT = 30.0
SECONDS_OTHERWISE = 1.0
SECONDS_OVERHEAD = 0.5  # scoring and writing a run's folder


@dataclass(frozen=True)
class Outcome:
    """What became of a suite.

    Attributes:
        run_ids: every run of the suite, done now or before.
        failed: runs of this call that failed.
        num_skipped: runs that were done before.
        notes: what a reader of the table has to know, e.g. that a data set was replaced.
        missing: data sets that could not be had and have no stand-in.
    """

    run_ids: frozenset[str]
    failed: tuple[RunRecord, ...]
    num_skipped: int
    notes: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Model:
    spec: RunSpec
    where: str
    random: bool


def run_suite(
    suite: SuiteSpec,
    where: str,
    execution: Execution,
    console: Console,
    overrides: Sequence[str] = (),
    strict: bool = False,
) -> Outcome:
    """Run what is not done yet.

    Args:
        suite: which runs.
        where: the suite's file, for errors.
        execution: how.
        console: where progress is shown.
        overrides: ``key=value`` texts for every run, after the suite's own.
        strict: a data set that cannot be had is an error, even where one could stand in.

    Raises:
        UserError: a fault in a configuration, or a results folder that cannot be written.
    """
    _check_keys(suite, where, overrides)
    models = [_load_models(grid, suite, where, overrides) for grid in suite.grids]
    grids, notes, missing = _available(suite, strict)
    for note in notes:
        console.print(f"Note: {note}", style="yellow", soft_wrap=True, markup=False)
    plans = _plan_all(grids, suite, models)
    random = {model.spec.name: model.random for own in models for model in own}
    store = Store(execution.results)
    pending = [p for p in plans if execution.force or not store.is_done(p.run_id)]
    skipped = len(plans) - len(pending)
    if skipped:
        console.print(f"{skipped} of {len(plans)} runs are done already and are not run again.")
    failed = _run_all(pending, random, execution, console)
    return Outcome(
        run_ids=frozenset(p.run_id for p in plans),
        failed=tuple(failed),
        num_skipped=skipped,
        notes=tuple(notes),
        missing=tuple(missing),
    )


def _check_keys(suite: SuiteSpec, where: str, overrides: Sequence[str]) -> None:
    """Refuse to override what the grid sets anyway, or the names that tell the models apart."""
    for override in overrides:
        if override.partition("=")[0].strip() in TASK_KEYS:
            raise UserError(
                f"--set {override}", "the suite's YAML decides it", f"edit a copy of {where}"
            )
    keys = {f"set.{key}": key for key in suite.set}
    for number, grid in enumerate(suite.grids):
        keys |= {f"grids.{number}.set.{key}": key for key in grid.set}
    for field, key in keys.items():
        if key in TASK_KEYS:
            what = "is not for all runs of a suite alike"
            raise UserError(f"{where}: {field}", what, "write datasets, horizons, seeds or models")


def _plan_all(
    grids: Sequence[Grid], suite: SuiteSpec, models: Sequence[Sequence[_Model]]
) -> list[Plan]:
    """Plan every run once, also where grids overlap."""
    series = {name: load(load_card(name)) for grid in grids for name in grid.datasets}
    plans = [
        plan(spec, model.where, series[spec.dataset])
        for grid, own in zip(grids, models, strict=True)
        for model, spec in _expand(grid, suite.seeds, own)
    ]
    return list({planned.run_id: planned for planned in plans}.values())


def _run_all(
    pending: Sequence[Plan], random: Mapping[str, bool], execution: Execution, console: Console
) -> list[RunRecord]:
    failed = []
    expected = expected_seconds(pending, random)
    with RunProgress([p.spec for p in pending], expected, console) as progress:
        for planned in pending:
            progress.begin()
            started = datetime.now(UTC)
            try:
                record = run(planned, execution, progress.epoch)
            except Exception as error:  # whatever it is, it is recorded and the suite goes on
                if isinstance(error, UserError) and isinstance(error.__cause__, OSError):
                    raise  # but what the disk refuses now, it would refuse after the next run
                reason = str(error) if isinstance(error, UserError) else error_text(error)
                trace = traceback.format_exc()
                record = record_failure(planned, execution, started, reason, trace)
                failed.append(record)
            progress.end(record)
    return failed


def expected_seconds(pending: Sequence[Plan], random: Mapping[str, bool]) -> list[float]:
    """Guess each run's seconds, for the ETA: as long as its model took in the reference results.

    Args:
        pending: what is to be run.
        random: whether a model, by its name, is trained by gradient.
    """
    known: dict[Any, float] = {}
    if REFERENCE.exists():
        rows = read_results(REFERENCE)
        known = rows.groupby("model")["train_seconds"].mean().dropna().astype(float).to_dict()
    unknown = {True: SECONDS_BY_GRADIENT, False: SECONDS_OTHERWISE}
    return [
        SECONDS_OVERHEAD + known.get(p.spec.name, unknown[random[p.spec.name]]) for p in pending
    ]


def _names_of(grid: Grid, suite: SuiteSpec) -> list[str]:
    """Names or paths of a grid's models: ours by name for ``all``, each once."""
    ours = config_names("models")
    names = [
        each for name in grid.models or suite.models for each in (ours if name == "all" else [name])
    ]
    unknown = set(grid.without) - set(names)
    if unknown:
        raise UserError(
            f"suite {suite.name}: grids.without",
            f"{', '.join(sorted(unknown))} is none of the grid's models",
            "take it out",
        )
    return [name for name in dict.fromkeys(names) if name not in grid.without]


def _load_models(
    grid: Grid, suite: SuiteSpec, where: str, overrides: Sequence[str]
) -> list[_Model]:
    own = [f"{key}={json.dumps(value)}" for key, value in (suite.set | grid.set).items()]
    return [_load_model(name, where, [*own, *overrides]) for name in _names_of(grid, suite)]


def _load_model(name: str, where: str, overrides: Sequence[str]) -> _Model:
    path = find_config("models", _beside(name, where))
    spec = load_run(path, overrides)
    model, _ = resolve_model(spec.model, str(path))
    return _Model(spec=spec, where=str(path), random=model.fitted == "gradient")


def _beside(name: str, where: str) -> str:
    """A model's path in a suite's YAML is relative to that YAML, where it is there."""
    beside = Path(where).parent / name
    return str(beside) if name.endswith((".yaml", ".yml")) and beside.exists() else name


def _available(suite: SuiteSpec, strict: bool) -> tuple[list[Grid], list[str], list[str]]:
    """Fetch every data set; replace or leave out what cannot be had, and say so."""
    notes: list[str] = []
    missing: list[str] = []
    used: dict[str, str | None] = {}
    for name in dict.fromkeys(name for grid in suite.grids for name in grid.datasets):
        try:
            fetch(load_card(name))
            used[name] = name
        except DatasetUnavailable as error:
            if strict:
                raise
            used[name] = suite.fallback
            if suite.fallback is None:
                missing.append(name)
                notes.append(f"{name} is left out: {error.what}.")
            else:
                notes.append(
                    f"{name} could neither be found nor fetched. {suite.fallback} stands in for "
                    f"it: these are not {name} numbers."
                )
    grids = []
    for grid in suite.grids:
        datasets = [other for name in grid.datasets if (other := used[name])]
        grids.append(grid.model_copy(update={"datasets": tuple(dict.fromkeys(datasets))}))
    return grids, notes, missing


def _expand(
    grid: Grid, seeds: Sequence[int], models: Sequence[_Model]
) -> list[tuple[_Model, RunSpec]]:
    return [
        (
            model,
            with_task(model.spec, dataset=dataset, horizon=horizon, lookback=lookback, seed=seed),
        )
        for dataset in grid.datasets
        for horizon in grid.horizons
        for model in models
        for lookback in grid.lookbacks or (model.spec.lookback,)
        for seed in (seeds if model.random else seeds[:1])
    ]
