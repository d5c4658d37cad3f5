"""A search for the configuration that forecasts validation windows best. No test window comes here.

card -> series -> train and validation windows -> trials, one after the other -> the best one's YAML

A trial is fitted as a run is, and scored on validation. `benchmark.evaluation`, where test windows
are scored, is not imported here.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from benchmark.data.task import Task
from benchmark.errors import UserError, text_by_line
from benchmark.forecasters.resolve import find_forecaster, how_fitted
from benchmark.harness.build import unfitted
from benchmark.harness.software import made_by
from benchmark.records import layout
from benchmark.training.devices import check_devices
from benchmark.training.report import EarlierEpoch, Epoch
from benchmark.training.unfinished import Unfinished
from benchmark.tuning.held_out import OnEpoch, validation_score
from benchmark.tuning.search import Search, held_out, with_values
from benchmark.tuning.trials import Outcome, Trial, damaged, propose, read_trials, write_trials

if TYPE_CHECKING:
    import optuna

HOPELESS = 5
"""Failures that end a search in which nothing else has happened."""


def tune(
    search: Search,
    budget: int,
    device: torch.device,
    on_epoch: OnEpoch | None = None,
    on_trial: Callable[[int, Trial], None] | None = None,
) -> list[Trial]:
    """Try configurations until there are `budget` of them, those of earlier calls included.

    There are fewer where the search's space holds no more, or where nothing but failures came of
    the first `HOPELESS`. What has failed last in an earlier call is tried anew, as that may have
    been the call's fault. Of two calls at once the one that has more trials counts: proposals
    follow from the trials before, so both try the same.

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
    while len(trials) < budget and not _hopeless(trials):
        proposed = propose(search.space, search.start, trials, search.spec.seed)
        if proposed is None:
            break
        tried = [*trials, _try(search, proposed, device, on_epoch)]
        trials = max(tried, _kept(search), key=len)
        if trials is tried:
            write_trials(search.file, trials)
        _unfinished(search, proposed.params, device).remove()
        if on_trial:
            on_trial(len(tried) - 1, trials[len(tried) - 1])
    return trials[:budget]


def _hopeless(trials: Sequence[Trial]) -> bool:
    """Say whether so many trials have failed, and no other, that the next ones will."""
    return len(trials) >= HOPELESS and all(trial.outcome == "failed" for trial in trials)


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

    before, started = 0.0, time.perf_counter()  # seconds of earlier processes, and of this one

    def told(epoch: Epoch) -> None:
        nonlocal before
        before += epoch.seconds if isinstance(epoch, EarlierEpoch) else 0.0
        if on_epoch:
            on_epoch(epoch)

    unfinished = _unfinished(search, proposed.params, device)
    outcome: Outcome = "finished"
    score: float | None = None
    reason = ""
    try:
        spec = with_values(search.spec, proposed.params, search.where)
        parts = held_out(search, spec, device)
        score = validation_score(spec, search.where, parts, watch, told, unfinished)
    except TrialPruned:
        outcome, score = "pruned", min(scores)
    except Exception as error:  # a search that ended here would end here again when called again
        outcome = "failed"
        reason = str(error) if isinstance(error, UserError) else text_by_line(error)
    return Trial(
        params=proposed.params,
        outcome=outcome,
        score=score,
        scores=tuple(scores),
        seconds=before + time.perf_counter() - started,
        reason=reason,
    )


def _unfinished(search: Search, params: Mapping[str, Any], device: torch.device) -> Unfinished:
    """Where a trial's fits are kept until it is over: what is proposed after a stop is the same."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:10]
    folder = search.file.with_name(f"{layout.UNFINISHED}{digest}")
    return Unfinished(folder, made_by(device, search.spec.parallel.devices))
