"""What must be known of a group's rows to read their ranks: the notes below its table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from benchmark.records.record import TRAIN_AND_VAL
from benchmark.reports.tables import decimals_for, number
from benchmark.words import listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

_NOTED = (
    "name", "model", "fit_rows", "fitted", "failed_seeds", "runs", "seeds", "mse",
)  # fmt: skip
MOST_NAMES = 30
"""Rows that a note names."""
FEW_NAMES = 3
"""Rows that a note names even where they are most of them."""


def row_notes(rows: DataFrame, protocols: int) -> Iterable[str]:
    """Say in lines what must be known of a group's rows, best first, to read their ranks."""
    if protocols > 1:
        yield (
            f"{protocols} protocols were used for this data set and horizon: their scores are not "
            "comparable, so each has its own table."
        )
    column = {name: rows[name].to_numpy() for name in _NOTED}
    labels = [
        f"{n} ({lookback})" for n, lookback in zip(rows["name"], rows["lookback"], strict=True)
    ]
    if (column["fit_rows"] == TRAIN_AND_VAL).any():
        yield (
            "Every model here was fitted once more on train and validation rows, by what "
            "validation had chosen: not comparable with models fitted on train rows alone."
        )
    flagged = column["failed_seeds"] > 0
    if flagged.any():
        yield (
            f"* some seeds failed; the mean is of those that finished: {_named(labels, flagged)}. "
            "The rank could change with all of them."
        )
    twice = column["runs"] > column["seeds"]
    if twice.any():
        yield f"Several runs of one configuration and seed, as one: {_named(labels, twice)}."
    namesakes = column["name"] != column["model"]
    if namesakes.any():
        yield (
            "Several configurations share a model's name; the brackets hold the start of their "
            f"hash, column config: {_named(labels, namesakes)}."
        )
    naive = column["fitted"] == "none"
    if naive.any():
        yield f"Naive, nothing is fitted: {_named(labels, naive)}."
    trained = column["fitted"] == "gradient"
    for kind, reference in (
        ("naive forecast", naive),
        ("closed-form model", column["fitted"] == "closed_form"),
    ):
        if reference.any():
            best = int(reference.argmax())  # rows are in order
            behind = trained & (column["mse"] >= column["mse"][best])
            if behind.any():
                mse = number(column["mse"][best], decimals_for(column["mse"]))
                than = f"the best {kind} ({column['name'][best]}, MSE {mse})"
                yield _no_better(labels, behind, int(trained.sum()), than)


def _no_better(labels: Sequence[str], behind: NDArray[np.bool_], trained: int, than: str) -> str:
    """Say what was trained in vain: by name, but for most of a long table."""
    count = int(behind.sum())
    if count > max(FEW_NAMES, trained / 2):
        return f"{count} of {trained} rows trained by gradient are no better than {than}."
    return f"Trained by gradient and no better than {than}: {_named(labels, behind)}."


def _named(labels: Sequence[str], which: NDArray[np.bool_]) -> str:
    return listed([label for label, one in zip(labels, which, strict=True) if one], MOST_NAMES)
