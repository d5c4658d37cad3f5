"""The trials of a search: kept in a file, and proposed by Optuna, which is used here alone.

TPE proposes (J. Bergstra et al., Algorithms for hyper-parameter optimization, NeurIPS 2011), and a
trial is pruned at an epoch by which it is worse than the median of those that finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmark.config import Strict, validate
from benchmark.errors import UserError
from benchmark.files import write_atomically
from benchmark.harness.search import Dimension

if TYPE_CHECKING:
    import optuna

RANDOM_TRIALS = 8
"""Trials before TPE follows them; until then they are drawn at random."""

FINISHED_BEFORE_PRUNING = 4
EPOCHS_BEFORE_PRUNING = 2

DRAWS = 100
"""Until a configuration is drawn that was not tried before."""

Outcome = Literal["finished", "pruned", "failed"]


class Trial(Strict):
    """One configuration that was tried.

    Attributes:
        params: value of each key that is searched over.
        outcome: ``finished``, ``pruned`` (stopped behind the others) or ``failed``.
        score: best validation score, MSE or MAE as ``training.monitor`` says; None where failed.
        scores: after each epoch, or, of several folds, the mean so far after each; else empty.
        seconds: wall clock.
        reason: why it failed, else empty.
    """

    params: dict[str, Any]
    outcome: Outcome
    score: float | None
    scores: tuple[float, ...]
    seconds: float
    reason: str = ""


class _Trials(Strict):
    trials: tuple[Trial, ...]
    sha256: str | None = None  # earlier versions wrote none


def read_trials(path: Path) -> list[Trial]:
    """Read the trials that are kept in a file, in order; none where there is no file.

    Raises:
        UserError: the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = validate(_Trials, data, str(path))
        if found.sha256 not in (None, _checksum(data["trials"])):
            raise damaged(path)
        return list(found.trials)
    except (ValueError, RecursionError, UserError):
        raise damaged(path) from None


def damaged(path: Path) -> UserError:
    """Say that a file does not hold what a search has written to it."""
    return UserError(str(path), "is damaged", "remove it; the search begins anew")


def write_trials(path: Path, trials: Sequence[Trial]) -> None:
    """Keep the trials in a file with their checksum, atomically.

    Raises:
        UserError: it cannot be written.
    """
    rows = [trial.model_dump() for trial in trials]
    document = {"trials": rows, "sha256": _checksum(rows)}
    write_atomically(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _checksum(rows: Sequence[Mapping[str, Any]]) -> str:
    """Of trials as JSON, which is the same before they are written and after."""
    return hashlib.sha256(json.dumps(rows, allow_nan=False).encode()).hexdigest()


def require_optuna() -> None:
    """Find out now, not after reading the data, whether Optuna is there.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        what, cure = "Optuna is not installed", "pip install 'optuna>=4'"
        raise UserError("benchmark tune", what, cure) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def propose(
    space: Mapping[str, Dimension], start: Mapping[str, Any], trials: Sequence[Trial], seed: int
) -> optuna.Trial | None:
    """Propose the next trial, from the arguments alone: an interruption changes nothing.

    None of those before is proposed again.

    Args:
        space: the values that each key may take.
        start: values of the first trial.
        trials: those before, in order.
        seed: of the search.

    Returns:
        Optuna's trial: its ``params``, and who reports to it whether to prune it. None where no
        new one was drawn: all that the space holds, as far as can be told, was tried.
    """
    import optuna

    distributions = {key: _distribution(dimension) for key, dimension in space.items()}
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(
            seed=(seed + len(trials)) % 2**32,  # another for each trial, or they would draw alike
            n_startup_trials=RANDOM_TRIALS,
            multivariate=False,
            constant_liar=False,
        ),
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=FINISHED_BEFORE_PRUNING, n_warmup_steps=EPOCHS_BEFORE_PRUNING
        ),
    )
    finished, pruned = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED
    for trial in trials:
        study.add_trial(
            optuna.trial.create_trial(
                # one that failed is to TPE what was pruned before its first epoch: the worst
                state=finished if trial.outcome == "finished" else pruned,
                value=trial.score,
                params=trial.params,
                distributions=distributions,
                intermediate_values={} if trial.reason else dict(enumerate(trial.scores, 1)),
            )
        )
    if not trials:
        study.enqueue_trial(dict(start))
    tried = [trial.params for trial in trials]
    for _ in range(DRAWS):
        proposed = study.ask(distributions)
        if proposed.params not in tried:
            return proposed
        study.tell(proposed, state=optuna.trial.TrialState.FAIL)
    return None


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if dimension.choices:
        return distributions.CategoricalDistribution(dimension.choices)
    whole = isinstance(dimension.low, int) and isinstance(dimension.high, int)
    kind = distributions.IntDistribution if whole else distributions.FloatDistribution
    return kind(dimension.low, dimension.high, log=dimension.log)
