"""What a search has chosen: the trial, and its configuration as a YAML that can be run."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from benchmark.errors import UserError
from benchmark.harness.search import Tuned
from benchmark.tuning.search import Search, with_values, written
from benchmark.tuning.trials import Trial
from benchmark.words import counted


def best_trial(search: Search, trials: Sequence[Trial]) -> int:
    """Number of the finished trial with the lowest validation score; the first of equal ones.

    Raises:
        UserError: none finished.
    """
    scores = {i: t.score for i, t in enumerate(trials) if t.outcome == "finished"}
    if not scores:
        made = counted(len(trials), "trial")
        what = f"none of {made} finished, the first because: {trials[0].reason}"
        raise UserError(f"{search.where}: search", what, "change what it may try")
    return min(scores, key=lambda i: (scores[i], i))


def chosen_yaml(search: Search, trials: Sequence[Trial], command: str) -> str:
    """Write the best trial's configuration as a YAML that can be run, and how it was chosen.

    Args:
        search: what was searched.
        trials: all that were tried.
        command: the command line that did.

    Raises:
        UserError: no trial finished.
    """
    number = best_trial(search, trials)
    spec, monitor = search.spec, search.spec.training.monitor
    earlier = spec.tuned.trials if spec.tuned else 0  # it was chosen once already: that counts
    horizon = search.horizons[0] if len(search.horizons) == 1 else tuple(search.horizons)
    tuned = Tuned(trials=earlier + len(trials), dataset=search.series.name, horizon=horizon)
    data = written(with_values(spec, trials[number].params, search.where))
    data["name"] = f"{spec.name.removesuffix('_tuned')[:54]}_tuned"
    data["tuned"] = tuned.model_dump(mode="json")
    count = {kind: sum(t.outcome == kind for t in trials) for kind in ("pruned", "failed")}
    first = trials[0].score
    outcomes = f"{count['pruned']} of them pruned, {count['failed']} failed"
    header = [
        f"Chosen on validation by: {' '.join(command.split())}",
        f"{counted(len(trials), 'trial')}, {outcomes}.",
        f"Trial {number} has val_{monitor} {trials[number].score:.6f}, trial 0, the configuration "
        f"it began with, {'failed' if first is None else f'{first:.6f}'}.",
    ]
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return "".join(f"# {line}\n" for line in header) + text
