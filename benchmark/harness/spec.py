"""What a run is, how it is executed, and what a suite is. Nothing heavy is imported here.

`RunSpec` says *what*: it decides the numbers, and its content (but for what was or may be tuned,
and on how many devices) is the run's id. `Execution` says *how*: device, threads, folders, what is
shown; none of it is part of the id.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator

from benchmark.config import Positive, Strict, apply_overrides, nearest, validate
from benchmark.errors import UserError
from benchmark.harness.search import Dimension, Tuned, check_keys
from benchmark.imports import importable_beside
from benchmark.plain_yaml import MAX_YAML_LENGTH, load_yaml
from benchmark.records import layout
from benchmark.records.checksums import check_file
from benchmark.training.parallel import ONE, Parallel
from benchmark.training.spec import TrainingSpec

CONFIGS = Path(__file__).parent.parent / "configs"
OTHER_FOLDERS = (layout.RUNS, "tensorboard", "tune")
"""What lies beside the suites' own folders in the results folder."""

_CLASS = re.compile(r"([A-Za-z_]\w*\.)+[A-Z]\w*")
"""How a model's class is named, as `benchmark check` takes it."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)]
NonEmpty = Annotated[tuple[str, ...], Field(min_length=1)]


class RunSpec(Strict):
    """One run, as a model's YAML describes it.

    Attributes:
        name: what the model is called in tables.
        description: one line about it, for ``benchmark models``.
        dataset: a card's name or path.
        lookback: steps seen.
        horizon: steps forecast.
        model: ``class`` and that class's options.
        training: how it is trained; unused by forecasters that are not fitted by gradient.
        seed: of initial weights, order of batches and dropout.
        refit: whether the model is fitted once more, on train and validation rows together, when
            validation has chosen; it is ranked beside such models only.
        parallel: how many devices share the fit; no part of the run.
        search: what ``benchmark tune`` may try, by dotted key; no part of the run.
        tuned: how ``benchmark tune`` chose this configuration; told in tables, no part of the run.
    """

    name: Name
    description: str = ""
    dataset: str = "ETTh1"
    lookback: Positive = 336
    horizon: Positive = 336
    model: dict[str, Any]
    training: TrainingSpec = TrainingSpec()
    seed: Seed = 1
    refit: bool = False
    parallel: Parallel = ONE
    search: dict[str, Dimension] = Field(default_factory=dict)
    tuned: Tuned | None = None

    @field_validator("search")
    @classmethod
    def _comparable(cls, search: dict[str, Dimension]) -> dict[str, Dimension]:
        check_keys(search)
        return search


@dataclass(frozen=True)
class Execution:
    """How a run is executed.

    Attributes:
        results: folder that holds ``runs/`` and ``results.csv``.
        device: ``auto`` takes an NVIDIA GPU where there is one.
        force: run again what is done; `begin_anew` is up to who begins the run.
        checkpoint: keep the fitted weights in the run's folder.
        tensorboard: write TensorBoard event files under ``<results>/tensorboard``.
        verbose: let Lightning print its notes.
        strict: refuse a model of a user's whose forecasts depend on more than their windows, or on
            more than is saved of it; an audit goes on, to tell of all that is wrong with it.
    """

    results: Path
    device: Literal["auto", "cpu", "cuda"] = "auto"
    force: bool = False
    checkpoint: bool = False
    tensorboard: bool = False
    verbose: bool = False
    strict: bool = True


class Grid(Strict):
    """Every combination of these is one run for each seed.

    Attributes:
        datasets: cards' names.
        horizons: steps forecast.
        lookbacks: for all models, each a run of its own; empty keeps each model's own.
        models: names or paths of model YAMLs; empty takes the suite's.
        without: names among those to leave out, e.g. what needs a longer lookback.
        seeds: each run is repeated for each; empty takes the suite's.
        set: dotted overrides for these runs, after the suite's.
    """

    datasets: NonEmpty
    horizons: Annotated[tuple[Positive, ...], Field(min_length=1)]
    lookbacks: tuple[Positive, ...] = ()
    models: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    seeds: tuple[Seed, ...] = ()
    set: dict[str, Any] = Field(default_factory=dict)


class SuiteSpec(Strict):
    """A set of runs and the table they make.

    Attributes:
        name: names the folder of its tables.
        description: one line on what it is for, to be read in the YAML.
        models: names or paths of model YAMLs; ``[all]`` takes every YAML of ours.
        grids: tasks.
        seeds: each run is repeated for each; what has no randomness runs once.
        fallback: data set that stands in, where one of the grids' can neither be found nor fetched.
        set: dotted overrides for every run, as ``--set`` gives them.
    """

    name: Name
    description: str = ""
    models: NonEmpty
    grids: Annotated[tuple[Grid, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1,)
    fallback: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _own_folder(cls, name: str) -> str:
        if name in OTHER_FOLDERS:
            raise ValueError("is a folder of the results already; choose another name")
        return name


def config_names(kind: Literal["models", "suites"]) -> list[str]:
    """Names of our own YAMLs of one kind; published designs are named by `design_names`."""
    return sorted(path.stem for path in (CONFIGS / kind).glob("*.yaml"))


def design_names() -> list[str]:
    """Names of the published designs' YAMLs, e.g. ``designs/patchtst``; ``all`` leaves them out."""
    return sorted(f"designs/{path.stem}" for path in (CONFIGS / "models/designs").glob("*.yaml"))


def own_models(designs: bool = True) -> dict[str, Path]:
    """Our models' YAMLs by name, whatever files of these names lie where the user is.

    Args:
        designs: with those of published designs, at the end.
    """
    names = config_names("models") + (design_names() if designs else [])
    return {name: CONFIGS / "models" / f"{name}.yaml" for name in names}


def _models_of_suites() -> dict[str, Path]:
    found = (CONFIGS / "suites").glob("*/*.yaml")
    return {f"{path.parent.name}/{path.stem}": path for path in sorted(found)}


def find_config(kind: Literal["models", "suites"], name: str) -> Path:
    """Return the YAML that a name or a path stands for; ``tuned/gru`` is that suite's GRU.

    Modules beside a file that the user names can be imported from here on.

    Raises:
        UserError: there is none; tells the nearest name, or file beside it.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not os.path.exists(name):
            beside = get_close_matches(name, map(str, path.parent.glob("*.y*ml")), 1, 0.8)
            cure = f"did you mean '{beside[0]}'?" if beside else _nearest_of_ours(kind, path)
            raise UserError(name, "no such file", cure)
        return _named(path)
    if path.suffix == ".py" or (kind == "models" and _CLASS.fullmatch(name)):
        module = f"{path.stem}.MyForecaster" if path.suffix == ".py" else name
        cure = f"write one, with the line model: {{class: {module}}}"
        raise UserError(name, "is Python, and a run is described by a YAML", cure)
    if os.path.isfile(name):  # a folder may well be called as one of ours is
        return _named(path)
    known = _known(kind)
    if name not in known:
        what = f"unknown {kind.removesuffix('s')} {name!r}"
        raise UserError(f"{kind.removesuffix('s')} {name}", what, nearest(name, known))
    return known[name]


def _known(kind: Literal["models", "suites"]) -> dict[str, Path]:
    if kind == "models":
        return own_models() | _models_of_suites()
    return {one: CONFIGS / kind / f"{one}.yaml" for one in config_names(kind)}


def _nearest_of_ours(kind: Literal["models", "suites"], path: Path) -> str:
    """Say which of our YAMLs a path is like: of the folder that it names, if we have such a one."""
    inside = f"{path.parent.name}/"
    within = [one for one in _known(kind) if one.startswith(inside)]
    return nearest(inside + path.stem, within) if within else nearest(path.stem, config_names(kind))


def _named(path: Path) -> Path:
    if not (path.parent / layout.RECORD).exists():  # what lies in a run's folder came with the run
        importable_beside(path)
    return path


def load_run(path: Path, overrides: Sequence[str] = ()) -> RunSpec:
    """Read a model's YAML with ``key=value`` overrides applied.

    Raises:
        UserError: every fault of the file, with its path in it.
    """
    data = load_yaml(path)
    if "grids" in data:
        raise UserError(str(path), "is a suite's YAML, not a model's", f"benchmark suite {path}")
    return validate(RunSpec, apply_overrides(data, overrides), place_of(path, overrides))


def place_of(path: Path, overrides: Sequence[str]) -> str:
    """Say for errors where a configuration is from: a file, or what was made of it."""
    return f"{path} with overrides" if overrides else str(path)


def write_run(folder: Path, spec: RunSpec) -> None:
    """Keep in a run's folder what was run, as ``run.yaml``."""
    document = spec.model_dump(mode="json", exclude={"search"})  # what could have been
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    (folder / layout.CONFIG).write_text(text, encoding="utf-8")


def load_kept_run(path: Path) -> RunSpec:
    """Read the ``run.yaml`` of a run's folder.

    Raises:
        UserError: as `load_run`, or it is not what the run wrote.
    """
    check_file(path, longest=4 * MAX_YAML_LENGTH)  # a character has up to four bytes
    return load_run(path)


def load_suite(path: Path) -> SuiteSpec:
    """Read a suite's YAML.

    Raises:
        UserError: every fault of the file, with its path in it.
    """
    data = load_yaml(path)
    if "model" in data and "grids" not in data:
        raise UserError(str(path), "is a model's YAML, not a suite's", f"benchmark run {path}")
    return validate(SuiteSpec, data, str(path))


def with_task(spec: RunSpec, *, dataset: str, horizon: int, lookback: int, seed: int) -> RunSpec:
    """Return the same model on another task."""
    task = {"dataset": dataset, "horizon": horizon, "lookback": lookback, "seed": seed}
    return spec.model_copy(update=task)
