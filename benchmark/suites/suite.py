"""A suite of runs: expand, skip what is done, isolate what fails, lose nothing.

Every fault of a configuration is found before the first run starts. After that a run that fails
becomes a row with its error, and the suite goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmark.data.card import load_card
from benchmark.data.fetch import DatasetUnavailable, fetch
from benchmark.data.load import load
from benchmark.errors import UserError
from benchmark.forecasters.resolve import depends_on_seed, resolve_model
from benchmark.harness.plan import Plan, plan
from benchmark.harness.spec import (
    Execution,
    Grid,
    RunSpec,
    SuiteSpec,
    find_config,
    load_run,
    own_models,
    place_of,
    with_task,
)
from benchmark.records.record import RunRecord
from benchmark.records.store import Store
from benchmark.suites.attempt import InProcess
from benchmark.suites.conduct import run_all
from benchmark.suites.done import is_done, newer_source
from benchmark.suites.estimate import expected_seconds
from benchmark.suites.executor import MakeExecutor
from benchmark.suites.part import WHOLE, Part

TASK_KEYS = ("name", "dataset", "horizon", "seed")


@dataclass(frozen=True)
class Outcome:
    """What became of a suite.

    Attributes:
        run_ids: every run of the suite, or of the part of it, done now or before.
        failed: runs of this call that failed.
        notes: what a reader of the table has to know, e.g. that a data set was replaced.
        missing: data sets that could not be had and have no stand-in.
        interrupted: whether the user stopped it; then runs may be left to do.
    """

    run_ids: frozenset[str]
    failed: tuple[RunRecord, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    interrupted: bool


@dataclass(frozen=True)
class Model:
    """A model of a suite.

    Attributes:
        spec: its configuration, of which the grid replaces the task.
        where: where that is from, for errors.
        random: whether a run depends on its seed.
    """

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
    executor: MakeExecutor = InProcess,
    part: Part = WHOLE,
) -> Outcome:
    """Run what is not done yet.

    Args:
        suite: which runs.
        where: the suite's file, for errors.
        execution: how.
        console: where progress is shown.
        overrides: ``key=value`` texts for every run, after the suite's own.
        strict: a data set that cannot be had is an error, even where one could stand in.
        executor: makes what executes the runs; one after the other in this process by default.
        part: which of them to run; all by default.

    Raises:
        UserError: a fault in a configuration, or a results folder that cannot be written.
    """
    _check_keys(suite, where, overrides)
    models = [load_models(grid, suite, where, overrides) for grid in suite.grids]
    tasks = _expand(suite, models, part)
    used, notes, missing = _available([spec.dataset for _, spec in tasks], suite.fallback, strict)
    plans = _plan_all(tasks, used)
    notes += dict.fromkeys(f"{each.remark}." for each in plans if each.remark)
    for note in notes:
        console.print(f"Note: {note}", style="yellow", soft_wrap=True, markup=False)
    records = Store(execution.results).records()
    pending = [planned for planned in plans if not is_done(planned, execution)]
    done = {planned.run_id for planned in plans} - {planned.run_id for planned in pending}
    if done:
        newer = newer_source([record.started for record in records if record.run_id in done])
        told = f"{len(done)} of {len(plans)} runs are done already and are not run again."
        if newer:
            told += f" {newer[0]} is newer than {newer[1]} of them; --force runs all again."
        console.print(told, soft_wrap=True)
    expected = expected_seconds(pending, records)
    failed, interrupted = run_all(pending, expected, executor, execution, console)
    return Outcome(
        run_ids=frozenset(p.run_id for p in plans),
        failed=tuple(failed),
        notes=tuple(notes),
        missing=tuple(missing),
        interrupted=interrupted,
    )


def _check_keys(suite: SuiteSpec, where: str, overrides: Sequence[str]) -> None:
    """Refuse to override what the grid sets anyway, or the names that tell the models apart."""
    named = any(grid.lookbacks for grid in suite.grids)
    for override in overrides:
        if override.partition("=")[0].strip() in _task_keys(named):
            raise UserError(
                f"--set {override}", "the suite's YAML decides it", f"edit a copy of {where}"
            )
    faults = [f"set.{key}" for key in suite.set if key in _task_keys(named)]
    for number, grid in enumerate(suite.grids):
        own = _task_keys(bool(grid.lookbacks))
        faults += [f"grids.{number}.set.{key}" for key in grid.set if key in own]
    if faults:
        cure = "write datasets, horizons, lookbacks, seeds or models"
        raise UserError(f"{where}: {faults[0]}", "is not for all runs of a suite alike", cure)


def _task_keys(lookbacks: bool) -> tuple[str, ...]:
    """What a grid decides: the lookback too, where it names some."""
    return (*TASK_KEYS, "lookback") if lookbacks else TASK_KEYS


def _plan_all(tasks: Sequence[tuple[Model, RunSpec]], used: Mapping[str, str | None]) -> list[Plan]:
    """Plan every run once, also where grids overlap, on the data sets that are to be had."""
    series = {name: load(load_card(name)) for name in dict.fromkeys(used.values()) if name}
    plans = [
        plan(spec.model_copy(update={"dataset": name}), model.where, series[name])
        for model, spec in tasks
        if (name := used[spec.dataset])
    ]
    return list({planned.run_id: planned for planned in plans}.values())


def _paths_of(grid: Grid, suite: SuiteSpec, where: str) -> list[Path]:
    """The YAMLs of a grid's models, each once; ``all`` stands for ours."""
    named: dict[str, Path | None] = {}
    for name in grid.models or suite.models:
        named |= own_models(designs=False) if name == "all" else {name: None}
    unknown = set(grid.without) - named.keys()
    if unknown:
        raise UserError(
            f"suite {suite.name}: grids.without",
            f"{', '.join(sorted(unknown))} is none of the grid's models",
            "take it out",
        )
    left = {name: path for name, path in named.items() if name not in grid.without}
    if not left:
        what = f"leaves none of the grid's models: {', '.join(named)}"
        raise UserError(f"{where}: grids.without", what, "keep one, or take the grid out")
    return [path or find_config("models", _beside(name, where)) for name, path in left.items()]


def load_models(
    grid: Grid, suite: SuiteSpec, where: str, overrides: Sequence[str] = ()
) -> list[Model]:
    """Read a grid's models, with what the suite sets, the grid and then `overrides`.

    Raises:
        UserError: a fault in one of them, or there is no such model.
    """
    own = [f"{key}={json.dumps(value)}" for key, value in (suite.set | grid.set).items()]
    return [_load_model(path, [*own, *overrides]) for path in _paths_of(grid, suite, where)]


def _load_model(path: Path, overrides: Sequence[str]) -> Model:
    spec, place = load_run(path, overrides), place_of(path, overrides)
    resolve_model(spec.model, place)
    return Model(spec=spec, where=place, random=depends_on_seed(spec.model, place))


def _beside(name: str, where: str) -> str:
    """A model's path in a suite's YAML is relative to that YAML, where it is there."""
    beside = Path(where).parent / name
    return str(beside) if name.endswith((".yaml", ".yml")) and beside.exists() else name


def _available(
    names: Iterable[str], fallback: str | None, strict: bool
) -> tuple[dict[str, str | None], list[str], list[str]]:
    """Fetch every data set; replace or leave out what cannot be had, and say so."""
    notes: list[str] = []
    missing: list[str] = []
    used: dict[str, str | None] = {}
    for name in dict.fromkeys(names):
        try:
            fetch(load_card(name))
            used[name] = name
        except DatasetUnavailable as error:
            if strict:
                raise
            used[name] = fallback
            if fallback is None:
                missing.append(name)
                notes.append(f"{name} is left out: {error.what}.")
            else:
                notes.append(
                    f"{name} is not to be had: {error.what}. {fallback} stands in for it: these "
                    f"are not {name} numbers."
                )
    return used, notes, missing


def _expand(
    suite: SuiteSpec, models: Sequence[Sequence[Model]], part: Part
) -> list[tuple[Model, RunSpec]]:
    """Every task of a part; drawn before any data set is looked for, which may lack here alone."""
    tasks = [
        (
            model,
            with_task(model.spec, dataset=dataset, horizon=horizon, lookback=lookback, seed=seed),
        )
        for grid, own in zip(suite.grids, models, strict=True)
        for dataset in grid.datasets
        for horizon in grid.horizons
        for model in own
        for lookback in grid.lookbacks or (model.spec.lookback,)
        for seed in _seeds(grid, suite, model)
    ]
    texts = [spec.model_dump_json() for _, spec in tasks]
    mine = part.of(texts)
    return [task for task, text in zip(tasks, texts, strict=True) if text in mine]


def _seeds(grid: Grid, suite: SuiteSpec, model: Model) -> Sequence[int]:
    seeds = grid.seeds or suite.seeds
    return seeds if model.random else seeds[:1]
