"""Whether a table's runs were made alike: else their costs are not to be compared."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pandas import DataFrame

CONDITIONS = {
    "threads": "numbers of threads",
    "hardware": "machines",
    "torch_version": "versions of PyTorch",
    "git_revision": "revisions of the code",
}
"""What a run's times, and the last digits of its scores, depend on; the device has its column."""


def condition_notes(done: DataFrame, keys: list[str]) -> dict[tuple[Any, ...], tuple[str]]:
    """Say in a line for each group what its runs do not share.

    Args:
        done: done runs.
        keys: columns whose values are one in a group.

    Returns:
        By group, where anything differs; what a run does not tell counts as no difference.
    """
    told = done[list(CONDITIONS)]
    counts = told.where(told != "").groupby([done[key] for key in keys]).nunique()
    unlike = counts[(counts > 1).any(axis=1)].to_dict("index")
    return {cast("tuple[Any, ...]", key): (_note(found),) for key, found in unlike.items()}


def _note(counts: dict[Hashable, int]) -> str:
    several = [f"{counts[name]} {what}" for name, what in CONDITIONS.items() if counts[name] > 1]
    return (
        f"Not all runs were made alike ({', '.join(several)}): their costs are not comparable, and "
        "what their scores differ by may come of that."
    )
