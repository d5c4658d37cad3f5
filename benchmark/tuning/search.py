"""A search as it is before its first trial: what is tried, on which data, kept where."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.config import apply_overrides, validate
from benchmark.data.card import load_card
from benchmark.data.folds import folds
from benchmark.data.load import Series, load
from benchmark.data.task import Task
from benchmark.errors import UserError, raise_faults
from benchmark.forecasters.resolve import how_fitted, resolve_model, source_digest
from benchmark.harness.identity import identify
from benchmark.harness.search import Dimension
from benchmark.harness.spec import RunSpec, load_run
from benchmark.tuning.held_out import HeldOut

NOT_DECISIVE = {"name", "description", "dataset", "parallel", "refit", "search", "tuned"}


@dataclass(frozen=True)
class Search:
    """A search that is ready to start: all that can be known before the first trial.

    Attributes:
        spec: the configuration it starts from, trial 0.
        where: the file that came from, for errors.
        space: the values of each key that is searched over.
        start: value of each in `spec`.
        series: the data.
        horizons: steps forecast; of several, the score is the mean over them.
        folds: blocks of the rows before test that are held out in turn; 1 is the validation split.
        every: one in so many of the windows held out is scored.
        longest: rows that each window held out has before it, at least.
        file: keeps the trials; its folder is named by a hash of all that decides them.
    """

    spec: RunSpec
    where: str
    space: Mapping[str, Dimension]
    start: Mapping[str, Any]
    series: Series
    horizons: Sequence[int]
    folds: int
    every: int
    longest: int
    file: Path

    @property
    def parts(self) -> int:
        """How often a trial is fitted: for each fold and horizon."""
        return self.folds * len(self.horizons)


def prepare(
    path: Path,
    overrides: Sequence[str],
    results: Path,
    series: Series | None = None,
    horizons: Sequence[int] = (),
    folds: int = 1,
    every: int = 1,
    beside: int | None = None,
) -> Search:
    """Read a model's YAML and check every value that its search may try.

    Args:
        path: the YAML.
        overrides: ``key=value`` texts; a key that is set is fixed, or begins a search that is set.
        results: the results folder.
        series: the data set, where it is loaded already.
        horizons: as `Search` has it; empty takes the YAML's.
        folds: as `Search` has it.
        every: as `Search` has it.
        beside: the longest lookback of other searches, whose scores are for the same windows then.
            With others beside it, a search may have nothing to try but what it begins with.

    Raises:
        UserError: every fault of the YAML and its search.
    """
    where = str(path)
    horizons = tuple(dict.fromkeys(horizons))
    if len(horizons) == 1:
        overrides = [*overrides, f"horizon={horizons[0]}"]
    spec = load_run(path, overrides)
    space = _left_to_try(spec, overrides)
    if not space and beside is None:
        raise _nothing_to_try(spec, where)
    _, options = resolve_model(spec.model, where)
    start = _check(spec, space, where)
    series = series or load(load_card(spec.dataset))
    horizons = horizons or (spec.horizon,)
    own = max(space["lookback"].extremes()) if "lookback" in space else spec.lookback
    longest = spec.model_copy(update={"lookback": own})
    try:
        task = Task(series, longest.lookback, horizons[-1])
    except UserError as error:
        if longest == spec:
            raise
        most = len(series.card.splits.borders(len(series.values))["train"]) - horizons[-1]
        raise _told_how(error, series.card.season, most) from None
    decisive: dict[str, Any] = {
        "options": options,
        "source": source_digest(spec.model, where),
        "spec": spec.model_dump(exclude=NOT_DECISIVE),
        "space": {key: dimension.model_dump() for key, dimension in space.items()},
    }
    decisive |= {"folds": folds} if folds > 1 else {}
    decisive |= {"every": every} if every > 1 else {}
    held = max(own, beside or 0)
    decisive |= {"longest": held} if held > own and folds > 1 else {}
    decisive |= {"horizons": horizons} if len(horizons) > 1 else {}
    folder = f"{spec.name}-{identify(where, task, decisive)}"
    file = results / "tune" / folder / "trials.json"
    search = Search(spec, where, space, start, series, horizons, folds, every, held, file)
    held_out(search, longest, torch.device("cpu"))  # refuses what does not fit
    return search


def _left_to_try(spec: RunSpec, overrides: Sequence[str]) -> dict[str, Dimension]:
    """The search without the keys that an override fixes; all of it where one sets the search."""
    fixed = {override.partition("=")[0].strip() for override in overrides}
    given = "search" in fixed
    return {key: tried for key, tried in spec.search.items() if given or key not in fixed}


def _nothing_to_try(spec: RunSpec, where: str) -> UserError:
    if not spec.search:
        cure = "e.g. search: {model.hidden_size: [64, 128]}"
        return UserError(f"{where}: search", "is missing", cure)
    kept = ", ".join(f"--set {key}" for key in spec.search)
    others = f"--set 'search={{{next(iter(spec.search))}: [...]}}'"
    cure = f"leave out {kept}, or say what to try, too: {others}"
    return UserError(f"{where}: search", "leaves nothing to try", cure)


def _check(spec: RunSpec, space: Mapping[str, Dimension], where: str) -> dict[str, Any]:
    """Check each value of each key by itself; return the values that the search starts from."""
    start, faults = {}, []
    for key, dimension in space.items():
        try:
            for value in dimension.extremes():
                changed = with_values(spec, {key: value}, f"{where}: search")
                resolve_model(changed.model, f"{where}: search")
            start[key] = _start(spec, key, dimension, where)
        except UserError as error:
            faults.append(error)
    raise_faults(faults)
    return start


def _start(spec: RunSpec, key: str, dimension: Dimension, where: str) -> Any:
    model, options = resolve_model(spec.model, where)
    place = f"{where}: search: {key}"
    if key.startswith("training.") and how_fitted(spec.model, where) != "gradient":
        raise UserError(place, f"{model.__name__} is not trained by gradient", "take it out")
    value: Any = {"lookback": spec.lookback, "model": {"class": spec.model["class"], **options}}
    value["training"] = spec.training.model_dump()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            raise UserError(place, "has no value to begin with", f"set {key} in the YAML")
        value = value[part]
    if not dimension.holds(value):
        what = f"does not hold the value that the search begins with, {value!r:.60}"
        raise UserError(place, what, f"add it, or set another: --set {key}=VALUE")
    return value


def _told_how(error: UserError, season: int, most: int) -> UserError:
    """Say of a lookback that the search would try, not the user, how to try shorter ones.

    Args:
        error: of the longest one.
        season: steps in it: where several fit, they are the example.
        most: the longest lookback that fits.
    """
    if not all(fault.where.endswith("lookback") for fault in error.faults):
        return error
    seasons = [season * count for count in (1, 2, 3) if season * count <= most]
    parts = sorted({max(1, most // part) for part in (4, 3, 2)})
    tried = seasons if len(seasons) > 1 else parts
    example = f"e.g. --set lookback={tried[0]} --set 'search={{lookback: {tried}}}'"
    return error.retold(lambda one: UserError(one.where, one.what, f"{one.cure}, {example}"))


def with_values(spec: RunSpec, params: Mapping[str, Any], where: str) -> RunSpec:
    """The configuration with other values of some keys."""
    texts = [f"{key}={json.dumps(value)}" for key, value in params.items()]
    return validate(RunSpec, apply_overrides(written(spec), texts), where)


def written(spec: RunSpec) -> dict[str, Any]:
    """What a YAML of this configuration says: no defaults, and nothing about a search."""
    return spec.model_dump(mode="json", exclude_unset=True, exclude={"search", "tuned"})


def held_out(search: Search, spec: RunSpec, device: torch.device) -> list[HeldOut]:
    """All that a trial sees of the data, which reaches no test row."""
    parts = []
    for horizon in search.horizons:
        task = Task(search.series, spec.lookback, horizon)
        splits = [(task.windows("train", device), task.windows("val", device))]
        if search.folds > 1:
            splits = list(folds(task, search.folds, search.longest, device))
        for train, validation in splits:
            numbers = torch.arange(0, len(validation), search.every, device=device)
            scored = validation.only(numbers) if search.every > 1 else validation
            parts.append(HeldOut(task, train, scored))
    return parts
