"""A search for the configuration that forecasts validation windows best. No test window comes here.

card -> series -> train and validation windows -> trials, one after the other -> the best one's YAML

A trial is fitted as a run is, and scored on validation. `benchmark.evaluation`, where test windows
are scored, is not imported here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmark.config import apply_overrides, validate
from benchmark.data.card import load_card
from benchmark.data.folds import folds
from benchmark.data.load import Series, load
from benchmark.data.task import Task
from benchmark.errors import UserError, reason_of
from benchmark.forecasters.resolve import find_forecaster, how_fitted, resolve_model, source_digest
from benchmark.harness.build import unfitted
from benchmark.harness.identity import identify
from benchmark.harness.search import Dimension
from benchmark.harness.spec import RunSpec, load_run
from benchmark.training.devices import check_devices
from benchmark.tuning.held_out import HeldOut, OnEpoch, validation_score
from benchmark.tuning.trials import Outcome, Trial, damaged, propose, read_trials, write_trials

if TYPE_CHECKING:
    import optuna

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
        file: keeps the trials; its folder is named by a hash of all that decides them.
    """

    spec: RunSpec
    where: str
    space: Mapping[str, Dimension]
    start: Mapping[str, Any]
    series: Series
    horizons: Sequence[int]
    folds: int
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
) -> Search:
    """Read a model's YAML and check every value that its search may try.

    Args:
        path: the YAML.
        overrides: ``key=value`` texts; a key that is set is fixed, or begins a search that is set.
        results: the results folder.
        series: the data set, where it is loaded already.
        horizons: as `Search` has it; empty takes the YAML's.
        folds: as `Search` has it.

    Raises:
        UserError: every fault of the YAML and its search.
    """
    where = str(path)
    horizons = tuple(dict.fromkeys(horizons))
    if len(horizons) == 1:
        overrides = [*overrides, f"horizon={horizons[0]}"]
    spec = load_run(path, overrides)
    fixed = {override.partition("=")[0].strip() for override in overrides}
    given = "search" in fixed
    space = {key: tried for key, tried in spec.search.items() if given or key not in fixed}
    if not space:
        if spec.search:
            kept = ", ".join(f"--set {key}" for key in spec.search)
            others = f"--set 'search={{{next(iter(spec.search))}: [...]}}'"
            cure = f"leave out {kept}, or say what to try, too: {others}"
            raise UserError(f"{where}: search", "leaves nothing to try", cure)
        cure = "e.g. search: {model.hidden_size: [64, 128]}"
        raise UserError(f"{where}: search", "is missing", cure)
    _, options = resolve_model(spec.model, where)
    start = _check(spec, space, where)
    series = series or load(load_card(spec.dataset))
    horizons = horizons or (spec.horizon,)
    longest = spec.model_copy(update={"lookback": _longest(spec, space)})
    try:
        task = Task(series, longest.lookback, horizons[-1])
    except UserError as error:
        raise error if longest == spec else _told_how(error, series.card.season) from None
    decisive: dict[str, Any] = {
        "options": options,
        "source": source_digest(spec.model, where),
        "spec": spec.model_dump(exclude=NOT_DECISIVE),
        "space": {key: dimension.model_dump() for key, dimension in space.items()},
    }
    decisive |= {"folds": folds} if folds > 1 else {}
    decisive |= {"horizons": horizons} if len(horizons) > 1 else {}
    folder = f"{spec.name}-{identify(where, task, decisive)}"
    file = results / "tune" / folder / "trials.json"
    search = Search(spec, where, space, start, series, horizons, folds, file)
    _held_out(search, longest, torch.device("cpu"))  # refuses what does not fit
    return search


def tune(
    search: Search,
    budget: int,
    device: torch.device,
    on_epoch: OnEpoch | None = None,
    on_trial: Callable[[int, Trial], None] | None = None,
) -> list[Trial]:
    """Try configurations until there are `budget` of them, those of earlier calls included.

    There are fewer where the search's space holds no more. What has failed last in an earlier call
    is tried anew, as that may have been the call's fault. Of two calls at once the one that has
    more trials counts: proposals follow from the trials before, so both try the same.

    Args:
        search: what to try.
        budget: trials; pruned and failed ones count.
        device: where to train.
        on_epoch: called after each epoch.
        on_trial: called after each trial with its number, from 0, and the trial.

    Raises:
        UserError: the trials cannot be read or written, or no trial could be fitted on as many
            devices as the configuration asks for.
    """
    _check_devices(search, device)
    trials = _kept(search)
    while trials and trials[-1].outcome == "failed":
        trials.pop()
    write_trials(search.file, trials)  # what cannot be written is found before training
    while len(trials) < budget:
        proposed = propose(search.space, search.start, trials, search.spec.seed)
        if proposed is None:
            break
        tried = [*trials, _try(search, proposed, device, on_epoch)]
        trials = max(tried, _kept(search), key=len)
        if trials is tried:
            write_trials(search.file, trials)
        if on_trial:
            on_trial(len(tried) - 1, trials[len(tried) - 1])
    return trials[:budget]


def _kept(search: Search) -> list[Trial]:
    """Read the trials of earlier calls; each is one that this search can have left behind."""
    trials = read_trials(search.file)
    for trial in trials:
        of_space = trial.params.keys() == search.space.keys() and all(
            dimension.holds(trial.params[key]) for key, dimension in search.space.items()
        )
        if not of_space or (trial.score is None) != (trial.outcome == "failed"):
            raise damaged(search.file)
    return trials


def _check_devices(search: Search, device: torch.device) -> None:
    """Refuse now what would fail in every trial."""
    spec = search.spec
    if spec.parallel.devices > 1 and how_fitted(spec.model, search.where) == "gradient":
        task = Task(search.series, spec.lookback, search.horizons[0])
        check_devices(spec.parallel, unfitted(spec, task, search.where), device)


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
    if faults:
        raise UserError.join(faults)
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


def _told_how(error: UserError, season: int) -> UserError:
    """Say of a lookback that the search would try, not the user, how to try shorter ones."""
    if not all(fault.where.endswith("lookback") for fault in error.faults):
        return error
    tried = ", ".join(str(season * count) for count in (1, 2, 3))
    example = f"e.g. --set lookback={season} --set 'search={{lookback: [{tried}]}}'"
    return error.retold(lambda one: UserError(one.where, one.what, f"{one.cure}, {example}"))


def with_values(spec: RunSpec, params: Mapping[str, Any], where: str) -> RunSpec:
    """The configuration with other values of some keys."""
    texts = [f"{key}={json.dumps(value)}" for key, value in params.items()]
    return validate(RunSpec, apply_overrides(written(spec), texts), where)


def written(spec: RunSpec) -> dict[str, Any]:
    """What a YAML of this configuration says: no defaults, and nothing about a search."""
    return spec.model_dump(mode="json", exclude_unset=True, exclude={"search", "tuned"})


def _try(
    search: Search, proposed: optuna.Trial, device: torch.device, on_epoch: OnEpoch | None
) -> Trial:
    from optuna import TrialPruned

    scores: list[float] = []
    # a block is another season, and a member one of several: the first say little of the mean
    by_member = find_forecaster(search.spec.model["class"], search.where).fitted_by_member
    may_end = search.parts == 1 and not by_member

    def watch(score: float) -> None:
        scores.append(score)
        proposed.report(score, len(scores))
        if may_end and proposed.should_prune():
            raise TrialPruned

    started = time.perf_counter()
    outcome: Outcome = "finished"
    score: float | None = None
    reason = ""
    try:
        spec = with_values(search.spec, proposed.params, search.where)
        parts = _held_out(search, spec, device)
        score = validation_score(spec, search.where, parts, watch, on_epoch)
    except TrialPruned:
        outcome, score = "pruned", min(scores)
    except Exception as error:  # a search that ended here would end here again when called again
        outcome = "failed"
        reason = reason_of(error)
    return Trial(
        params=dict(proposed.params),
        outcome=outcome,
        score=score,
        scores=tuple(scores),
        seconds=time.perf_counter() - started,
        reason=reason,
    )


def _held_out(search: Search, spec: RunSpec, device: torch.device) -> list[HeldOut]:
    """All that a trial sees of the data, which reaches no test row."""
    parts = []
    for horizon in search.horizons:
        task = Task(search.series, spec.lookback, horizon)
        if search.folds == 1:
            parts.append(HeldOut(task, task.windows("train", device), task.windows("val", device)))
        else:
            longest = _longest(spec, search.space)
            parts += [HeldOut(task, *fold) for fold in folds(task, search.folds, longest, device)]
    return parts


def _longest(spec: RunSpec, space: Mapping[str, Dimension]) -> int:
    return max(space["lookback"].extremes()) if "lookback" in space else spec.lookback
