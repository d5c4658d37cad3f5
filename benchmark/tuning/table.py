"""What searches have found, as tables: trial by trial, and models beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from benchmark.reports.tables import (
    MISSING,
    Cell,
    Column,
    Table,
    amount,
    marks,
    number,
    percent,
)
from benchmark.tuning.chosen import best_trial
from benchmark.tuning.search import Search
from benchmark.tuning.trials import Trial
from benchmark.words import counted

MOST_BLOCKS = 6
"""That a table has a column for, each."""

Found = tuple[Search, Sequence[Trial]]


def trials_table(search: Search, trials: Sequence[Trial]) -> Table:
    """Every trial: the finished by their score, then the pruned by theirs, then the failed."""
    kinds = ("finished", "pruned", "failed")
    ranked = sorted(
        enumerate(trials),
        key=lambda item: (kinds.index(item[1].outcome), item[1].score or 0.0, item[0]),
    )
    rows: list[tuple[Cell, ...]] = []
    for i, trial in ranked:
        chosen = not rows and trial.outcome == "finished"
        rows.append(
            (
                Cell(str(i)),
                Cell(
                    MISSING if trial.score is None else number(trial.score),
                    "best" if chosen else "",
                ),
                Cell(str(len(trial.scores))),
                Cell(amount(trial.seconds)),
                Cell(trial.outcome, "bad" if trial.outcome == "failed" else ""),
                Cell(settings(trial)),
            )
        )
    monitor, made = search.spec.training.monitor.upper(), counted(len(trials), "trial")
    return Table(
        title=f"{search.spec.name}, {_task(search)}",
        columns=(
            Column("trial"),
            Column(f"val {monitor}"),
            Column("fits" if search.parts > 1 else "epochs", spare=1),
            Column("s", spare=1),
            Column("outcome", number=False),
            Column("settings", number=False),
        ),
        rows=tuple(rows),
        intro=(f"{made}; {_score(search)}. Trial 0 is what it began with.",),
    )


def models_tables(found: Sequence[Found]) -> list[Table]:
    """Rank the models that searches chose, where their scores are of the same windows.

    Args:
        found: each search, and its trials, of which one at least is finished.
    """
    alike: dict[str, list[Found]] = {}
    for search, trials in found:
        alike.setdefault(f"{_task(search)}, {_score(search)}", []).append((search, trials))
    return [_models(group) for group in alike.values() if len(group) > 1]


def _models(found: Sequence[Found]) -> Table:
    chosen = [(search, trials[best_trial(search, trials)], trials) for search, trials in found]
    chosen.sort(key=lambda one: one[1].score or 0.0)
    first = chosen[0][0]
    blocks = [_of_blocks(search, trial) for search, trial, _ in chosen]
    scores = [trial.score or 0.0 for _, trial, _ in chosen]
    shown = first.folds if blocks[0] and first.folds <= MOST_BLOCKS else 0
    marked = marks(scores)
    rows = []
    for rank, (search, trial, trials) in enumerate(chosen):
        worse = percent(scores[rank] / scores[0] - 1) if scores[0] else MISSING
        rows.append(
            (
                Cell(str(rank + 1)),
                Cell(search.spec.name),
                Cell(number(scores[rank]), marked[rank]),
                Cell(worse if rank else "best"),
                *(Cell(number(score)) for score in blocks[rank][:shown]),
                *(
                    [Cell(_lower(blocks[rank], blocks[0]) if rank else MISSING)]
                    if blocks[0]
                    else []
                ),
                Cell(str(len(trials))),
                Cell(amount(sum(one.seconds for one in trials))),
                Cell(settings(trial)),
            )
        )
    notes = [
        f"Lower in: blocks in which a model has less than the first. Of two that are equally good, "
        f"one is lower in all {first.folds} one time in {2 ** (first.folds - 1)}"
        f"{'; the first of several is so more often' if len(chosen) > 2 else ''}.",
        "A fit chooses its epoch or its penalties on the block that it is then scored on: what has "
        "more to choose looks a little better than it is.",
    ]
    return Table(
        title=f"Models by validation, {_task(first)}",
        columns=(
            Column("#"),
            Column("model", number=False),
            Column(f"val {first.spec.training.monitor.upper()}"),
            Column("vs best"),
            *(Column(f"block {i + 1}", spare=2) for i in range(shown)),
            *([Column("lower in")] if blocks[0] else []),
            Column("trials", spare=1),
            Column("s", spare=1),
            Column("settings", number=False, spare=3),
        ),
        rows=tuple(rows),
        intro=(f"{_score(first)}, each model as its best trial.",),
        notes=tuple(notes) if blocks[0] else (),
    )


def _lower(own: Sequence[float], first: Sequence[float]) -> str:
    """In how many blocks a model has less than the first; and as much, where it has."""
    pairs = list(zip(own, first, strict=True))
    lower, equal = sum(a < b for a, b in pairs), sum(a == b for a, b in pairs)
    return f"{lower} of {len(pairs)}" + (f", {equal} equal" if equal else "")


def settings(trial: Trial) -> str:
    """A trial's values on one line, and why it failed."""
    values = " ".join(
        f"{key.split('.')[-1]}={_short(value)}" for key, value in trial.params.items()
    )
    return f"{values}: {trial.reason}" if trial.reason else values


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _task(search: Search) -> str:
    return f"{search.series.name}, horizon {', '.join(map(str, search.horizons))}"


def _score(search: Search) -> str:
    several = [f"{len(search.horizons)} horizons"] if len(search.horizons) > 1 else []
    several += [f"{search.folds} blocks, each held out in turn"] if search.folds > 1 else []
    of = f"mean over {' and '.join(several)}" if several else "on validation"
    windows = f", on one window of {search.every}" if search.every > 1 else ""
    return f"{search.spec.training.monitor.upper()} {of}{windows}"


def _of_blocks(search: Search, trial: Trial) -> list[float]:
    """A trial's score on each block, the mean over horizons; empty of the validation split."""
    if search.folds == 1:
        return []
    sums = [0.0, *(count * mean for count, mean in enumerate(trial.scores, 1))]
    parts = [after - before for before, after in pairwise(sums)]
    return [fmean(parts[block :: search.folds]) for block in range(search.folds)]
