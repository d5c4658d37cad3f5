"""Which of a model's rows counts where only one can: the one that validation chooses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame


def complete(rows: DataFrame) -> DataFrame:
    """Keep the rows of a group that have as many seeds done as their model was run with anywhere.

    A mean over fewer seeds would be chosen, or not, by the luck of one of them.
    """
    most: dict[str, int] = {}
    columns = [rows[name].tolist() for name in ("model", "seeds", "failed_seeds")]
    for model, done, lost in zip(*columns, strict=True):
        most[model] = max(most.get(model, 0), done + lost)
    return rows.loc[[done == most[model] for model, done in zip(*columns[:2], strict=True)]]


def chosen(rows: DataFrame) -> DataFrame:
    """Return the row of each model that validation chooses: complete, of least mean val_mse.

    A model with several complete rows of which none has a val_mse has no row here; one with a
    single row needs none.
    """
    rows = complete(rows)
    columns = [rows[name].tolist() for name in ("model", "lookback", "config", "val_mse")]
    number = Counter(columns[0])
    able = sorted(
        (math.inf if math.isnan(val_mse) else val_mse, lookback, config, place)
        for place, (model, lookback, config, val_mse) in enumerate(zip(*columns, strict=True))
        if number[model] == 1 or not math.isnan(val_mse)
    )
    best: dict[str, int] = {}
    for *_, place in able:
        best.setdefault(columns[0][place], place)
    return rows.iloc[list(best.values())]


def choice_note(rows: Iterable[DataFrame], models: Iterable[str], where: str) -> Iterable[str]:
    """Say which of some models have several rows of which one was chosen, if any.

    Args:
        rows: of each group.
        models: that are shown.
        where: a choice was made, as ``at each horizon``.
    """
    several = {name for own in rows for name in own.loc[own["model"].duplicated(), "model"]}
    names = sorted(several.intersection(models))
    if names:
        yield (
            "Run at several lookbacks or configurations; the one of least validation MSE counts, "
            f"{where} by itself: {', '.join(names)}."
        )
