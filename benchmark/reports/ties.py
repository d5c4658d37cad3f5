"""Which rows of a leaderboard are tied with the best, as far as the test windows tell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.reports.tables import MISSING, Cell, decimals_for, number, signed
from benchmark.words import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from benchmark.records.losses import Losses


TIED = "≈"
ALPHA = 0.10
"""1 - level of the Model Confidence Set."""

MOST_COMPARED = 100
"""Rows of a task that are compared, the best ones: what that takes grows by their square and more.
"""

FEW_BLOCKS = 5
"""From so many independent stretches of test windows on an interval holds what it promises."""

LONG_LIVED = 50
"""Steps after which an autocorrelation of 0.98 a step has fallen to 1/e."""

TIES = ("vs_best", "vs_best_low", "vs_best_high", "p_value")
"""Columns of a group's rows, all missing where the windows' losses are not there."""


def with_ties(rows: DataFrame, runs: DataFrame, losses: Losses, horizon: int) -> DataFrame:
    """Compare every row with the best one, window by window, losses averaged over its seeds.

    Args:
        rows: the ranked rows of one group, best first.
        runs: the done runs of that group.
        losses: squared error of every test window by run id ``(W,)``.
        horizon: steps forecast.

    Returns:
        The rows with `TIES`: difference in MSE to the best row, its 95% interval and the p-value
        in the Model Confidence Set. They are missing where a run of the row, or of the best row,
        has no losses, beyond the best `MOST_COMPARED`, and everywhere where there are too few
        windows to tell.
    """
    rows = rows.assign(**dict.fromkeys(TIES, math.nan))
    seeds = window_losses_of(rows, runs, losses, MOST_COMPARED)
    if len(seeds) < 2 or rows.index[0] not in seeds:
        return rows

    import numpy as np

    from benchmark.statistics.bootstrap import can_resample, difference_intervals, resample
    from benchmark.statistics.confidence_set import confidence_set

    series = np.stack([own.mean(axis=0) for own in seeds.values()])  # (rows, W)
    if can_resample(series.shape[1], horizon):
        resampled = resample(series, horizon)
        found = (*difference_intervals(resampled, reference=0), confidence_set(resampled))
        rows.loc[list(seeds), list(TIES)] = np.stack(found, axis=1)
    return rows


def window_losses_of(
    rows: DataFrame, runs: DataFrame, losses: Losses, most: int | None = None
) -> dict[int, NDArray[np.float64]]:
    """Losses of every test window, a line a seed ``(S, W)``, by the index of the row.

    Of the rows that have those of all their runs: the best `most`, or every one.
    """
    import numpy as np

    by_row: dict[tuple[str, int, str], dict[int, list[str]]] = {}
    columns = (runs[name].tolist() for name in ("model", "lookback", "config", "seed", "run_id"))
    for model, lookback, config, seed, run_id in zip(*columns, strict=True):
        by_row.setdefault((model, lookback, config), {}).setdefault(seed, []).append(run_id)
    found: dict[int, NDArray[np.float64]] = {}
    keys = zip(rows["model"], rows["lookback"], rows["config"], strict=True)
    for index, key in zip(rows.index, keys, strict=True):
        if len(found) == most:
            break
        seeds = by_row[key].values()
        if all(run_id in losses for own in seeds for run_id in own):
            means = [np.mean([losses[run_id] for run_id in own], axis=0) for own in seeds]
            found[index] = np.stack(means)
    return found


def tie_columns(rows: DataFrame, apart: bool) -> dict[str, list[Cell]]:
    """Write the difference to the best row, its interval, and the mark of ties, by column.

    The interval has a column of its own where `apart`: a narrow terminal can go without it.

    A tie is by the interval that is shown. The Model Confidence Set allows for the number of rows,
    and with few independent windows keeps what differs plainly: it is told in the note and the CSV.
    """
    differences, intervals = [], []
    places = decimals_for(rows["mse"])
    values = (rows[name].tolist() for name in ("rank", *TIES))
    for rank, difference, low, high, p_value in zip(*values, strict=True):
        if math.isnan(p_value):
            text = interval = MISSING
        elif rank == 1:
            text, interval = "best", ""
        else:
            interval = f"[{signed(low, places)}, {signed(high, places)}]"
            text = signed(difference, places)
            if not apart:
                text += f" {interval}"
            if low <= 0:
                text += f" {TIED}"
        differences.append(Cell(text))
        intervals.append(Cell(interval))
    columns = {"vs best": differences}
    return columns | {"95% interval": intervals} if apart else columns


def tie_notes(rows: DataFrame, windows: int | None, horizon: int) -> Iterable[str]:
    """Explain the column and how sure it is, or why there is none, in a line each.

    Args:
        rows: of one group, with `TIES`.
        windows: how many test windows it has; None where that is not known.
        horizon: steps forecast.
    """
    from benchmark.statistics.bootstrap import can_resample

    if rows["p_value"].isna().all():
        if len(rows) > 1:
            why = (
                "it takes the errors of every test window, and the runs' folders beside the CSV, "
                "which hold them, are missing or damaged."
            )
            if windows is not None and not can_resample(windows, horizon):
                size = f"{counted(windows, 'window')} of {counted(horizon, 'step')}"
                why = f"{size} are too few to tell."
            yield f"Which rows are tied with the best cannot be told: {why}"
        return
    tied, compared = rows[rows["p_value"] >= ALPHA], int(rows["p_value"].notna().sum())
    worst = number(tied["mse"].max(), decimals_for(rows["mse"]))
    only = f" Only the best {compared} are compared." if compared == MOST_COMPARED else ""
    yield (
        "vs best: difference in MSE to the best row over the same test windows, with its 95% "
        f"block-bootstrap interval, each row for itself; {TIED}: the interval includes 0, so the "
        "row may be as good as the best; of twenty equal rows three or four miss the mark by "
        "chance. Judged all at once, "
        f"{len(tied)} of {compared} rows, up to an MSE of {worst}, cannot be "
        "excluded (90% Model Confidence Set: it may keep clearly worse rows whose errors vary a "
        "lot). Both judge the chance of the test windows, not "
        "that of the seeds." + only
    )
    if windows is not None:
        yield from _few_blocks(windows, horizon)
        yield from _short_memory(windows, horizon)


def _few_blocks(windows: int, horizon: int) -> Iterable[str]:
    """Say of short test sets that their intervals hold the truth less often.

    Simulated with sums of independent errors, and with errors of autocorrelation 0.98 a step, on
    146 to 170 windows of horizon 24 to 48 and 2,161 of 720.
    """
    from benchmark.statistics.long_run import memory

    blocks = windows / memory(windows, horizon)
    if blocks < FEW_BLOCKS:
        yield (
            f"The test windows are {blocks:.1f} times as long as their errors are correlated. "
            f"Below {FEW_BLOCKS} times, a 95% interval holds the truth in only 83 to 93 of 100 "
            "cases."
        )


def _short_memory(windows: int, horizon: int) -> Iterable[str]:
    """Say where errors with a memory of their own may go unseen, and what that costs.

    Simulated at horizons of 1 to 24, of 100 windows at 1 and 24.
    """
    from benchmark.statistics.long_run import memory

    lags = memory(windows, horizon)
    if lags < LONG_LIVED:
        yield (
            f"Interval and set allow for errors that are correlated over {counted(lags, 'window')}."
            " Where they are over many more, each holds less: with an autocorrelation of 0.98 a "
            "step a 95% interval holds the truth in 88 of 100 cases on 1,000 windows, in 80 on 300 "
            "and in 68 to 83 on 100."
        )
