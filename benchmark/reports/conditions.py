"""Whether a table's runs were made alike, and all of them here: else not all is to be compared."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, cast

from benchmark.records.record import ELSEWHERE

if TYPE_CHECKING:
    from pandas import DataFrame

CONDITIONS = {
    "threads": "numbers of threads",
    "hardware": "machines",
    "torch_version": "versions of PyTorch",
    "git_revision": "revisions of the code",
}
"""What a run's times, and the last digits of its scores, depend on; the device has its column."""


def condition_notes(done: DataFrame, keys: list[str]) -> dict[tuple[Any, ...], list[str]]:
    """Say for each group what its runs do not share, and which of them were made elsewhere.

    Args:
        done: done runs.
        keys: columns whose values are one in a group.

    Returns:
        By group, where there is anything to say; what a run does not tell counts as no difference.
    """
    elsewhere = done["fitted"] == ELSEWHERE
    here, theirs = done[~elsewhere], done[elsewhere]
    told = here[list(CONDITIONS)]
    counts = told.where(told != "").groupby([here[key] for key in keys]).nunique()
    unlike = counts[(counts > 1).any(axis=1)].to_dict("index")
    notes = {cast("tuple[Any, ...]", key): [_note(found)] for key, found in unlike.items()}
    for key, runs in theirs.groupby(keys):
        models = runs[["model", "lookback"]].drop_duplicates().itertuples(index=False, name=None)
        named = ", ".join(f"{model} ({lookback})" for model, lookback in models)
        notes.setdefault(cast("tuple[Any, ...]", key), []).append(
            f"Made elsewhere and only scored here: {named}. What chose them is not known."
        )
    return notes


def _note(counts: dict[Hashable, int]) -> str:
    several = [f"{counts[name]} {what}" for name, what in CONDITIONS.items() if counts[name] > 1]
    return (
        f"Not all runs were made alike ({', '.join(several)}): their costs are not comparable, and "
        "what their scores differ by may come of that."
    )
