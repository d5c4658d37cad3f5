"""The leaderboard as Markdown and on the terminal, and its files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.card import load_card
from benchmark.errors import UserError
from benchmark.files import write_atomically
from benchmark.reports.across import across_table
from benchmark.reports.cost_columns import SHOWN_COSTS
from benchmark.reports.horizons import horizon_tables
from benchmark.reports.lookbacks import lookback_table
from benchmark.reports.noise_floors import noise_table
from benchmark.reports.quantiles import quantile_table
from benchmark.reports.ranking import BASELINE, Group, Leaderboard, rows_a_task
from benchmark.reports.seed_noise import MARKED, noise_cells, unmarked, unmarked_note
from benchmark.reports.tables import (
    MOST_PRINTED,
    Cell,
    Column,
    Table,
    by_column,
    markdown,
    marks,
    number,
    plain,
)
from benchmark.reports.terminal import print_tables
from benchmark.reports.tidy import to_csv
from benchmark.reports.ties import tie_columns
from benchmark.words import command_line

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console

_MEANING = (
    "MSE, MAE and RMSE are on the scaled test series (zero mean and unit variance on the train "
    "rows), each the mean over all windows, steps and channels; mean ± standard deviation over "
    "seeds.",
    f"Skill is 1 - MSE / MSE of {BASELINE}; higher is better, elsewhere lower. {MARKED} "
    "MACs: multiply-accumulates of one forecast, in products of matrices, convolutions and solving "
    "equations; MiB: the most memory held, of the GPU or else of the process; ms: of one forecast, "
    "by itself; windows/s: 256 at a time.",
)
_MEANING_SHORT = (
    "MSE and MAE on the scaled test series, mean ± std over seeds; "
    f"skill is 1 - MSE / MSE of {BASELINE}.",
)

_COMPACT_COSTS = ("params", "train_seconds", "throughput")
_SPARE_SCORES = {"95% interval": 5, "vs best": 1, "MAE": 2, "skill": 3}
MOST_FAILURES = 10
"""Failures that a terminal shows of each task."""


def _table(
    group: Group, compact: bool, most: int | None = None, results: Path | None = None
) -> Table:
    """Lay out the best rows of one group, all of them where `most` is None.

    `compact` fits 100 columns and says once what all rows share. `results` is the folder where a
    command is to put a row beside these.
    """
    rows = group.rows
    shown = rows[:most]
    shared = {name: rows[name].nunique() == 1 for name in ("lookback", "device")}
    columns = {
        Column("#"): [
            Cell(f"{rank}*" if lost else str(rank))
            for rank, lost in zip(shown["rank"], shown["failed_seeds"], strict=True)
        ],
        Column("model", number=False): [Cell(name) for name in shown["name"]],
    }
    if not (compact and shared["lookback"]):
        columns[Column("lookback")] = [Cell(str(lookback)) for lookback in shown["lookback"]]
    scores, unsure = _scores(group, compact)
    for title, cells in scores.items():
        columns[Column(title, spare=_SPARE_SCORES.get(title, 0))] = cells[:most]
    for cost in SHOWN_COSTS:
        if rows[cost.key].notna().any() and not (compact and cost.key not in _COMPACT_COSTS):
            cells = [Cell(cost.write(value)) for value in shown[cost.key]]
            columns[Column(cost.title, spare=5)] = cells
    if not (compact and shared["device"]):
        columns[Column("device", number=False, spare=4)] = [Cell(each) for each in shown["device"]]
    columns[Column("seeds", spare=4)] = [
        Cell(f"{n} of {n + lost}", "bad") if lost else Cell(str(n))
        for n, lost in zip(shown["seeds"], shown["failed_seeds"], strict=True)
    ]
    told = {name: rows[name].iloc[0] for name in shared if shared[name]}
    common = "".join(f", {name} {value}" for name, value in told.items() if value != "")
    return by_column(
        group.title,
        columns,
        intro=(
            f"{_several(group.test_windows, 'test window')}, "
            f"{_several(group.channels, 'channel')}{common}, "
            f"protocol {group.label}.",
            *(_MEANING_SHORT if compact else _MEANING),
        ),
        notes=(
            *_cut(len(rows), most),
            *group.notes,
            *unmarked_note(unsure),
            *_without_baseline(group, results),
            *_tuned(rows),
            *failures(group.failed, MOST_FAILURES if compact else None),
        ),
    )


def _several(number: str, noun: str) -> str:
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


def _scores(group: Group, compact: bool) -> tuple[dict[str, list[Cell]], dict[str, str]]:
    """The columns of scores; which of them seed noise leaves without a best, by which row."""
    rows = group.rows
    metrics = {"MSE": "mse", "MAE": "mae"}
    metrics |= {} if compact else {"RMSE": "rmse", "MASE": "mase"}
    columns = {
        title: noise_cells(metric, rows, group.noise.get(metric), with_std=True)
        for title, metric in metrics.items()
        if rows[metric].notna().any()
    }
    if rows["p_value"].notna().any():
        columns |= tie_columns(rows, apart=compact)
    skills = rows["skill"].tolist()
    found = marks(skills, 3, lower_is_better=False)
    unsure = unmarked(metrics, rows, group.noise)
    if "MSE" in unsure:  # skill is made of it
        found = [""] * len(rows)
        if rows["skill"].notna().any():
            unsure["skill"] = unsure["MSE"]
    pairs = zip(skills, found, strict=True)
    columns["skill"] = [Cell(number(skill, 3), mark) for skill, mark in pairs]
    return columns, unsure


def _without_baseline(group: Group, results: Path | None) -> Iterable[str]:
    rows = group.rows
    if len(rows) and BASELINE not in set(rows["model"]):
        dataset, horizon, lookback = rows[["dataset", "horizon", "lookback"]].iloc[0]
        with suppress(UserError):  # rows stand without the card of their data set, too
            lookback = max(lookback, load_card(dataset).season)
        sets = [f"dataset={dataset}", f"horizon={horizon}", f"lookback={lookback}"]
        sets += ["refit=true"] if group.refitted else []
        command = command_line("run", BASELINE, set=sets, results=results)
        yield f"Skill is beside {BASELINE}, which has no row here: {command}"


def _cut(rows: int, most: int | None) -> Iterable[str]:
    if most is not None and rows > most:
        yield f"The best {most:,} of {rows:,} rows; --output writes a file with all of them."


def _tuned(rows: DataFrame) -> Iterable[str]:
    searched = rows["tuned"].notna()
    if searched.any():
        tuned = rows[searched]
        columns = (tuned[name].tolist() for name in ("name", "lookback", "tuned"))
        texts = (f"{m} ({lookback}), {n} trials" for m, lookback, n in zip(*columns, strict=True))
        yield f"Settings chosen on validation by a search: {'; '.join(texts)}."


def failures(failed: DataFrame, most: int | None = None) -> Iterable[str]:
    """Say what failed, a line a row of failures."""
    shown = failed[:most]
    columns = (shown[name].tolist() for name in ("name", "lookback", "seeds", "error"))
    for name, lookback, seeds, error in zip(*columns, strict=True):
        reason = plain(error) or "no error was recorded"
        yield f"failed, unranked: {name} (lookback {lookback}, seed {seeds}): {reason}"
    if len(failed) > len(shown):
        yield f"failed, unranked: {len(failed) - len(shown)} more; --output writes all of them"


def to_markdown(board: Leaderboard, command: str = "", note: str = "") -> str:
    """Write a leaderboard as Markdown, a table for each group and one over all data sets.

    Args:
        board: what to write.
        command: the command line that made the results, to be shown; none where empty.
        note: a sentence of the caller's, above the tables.
    """
    blocks = ["# Leaderboard\n"]
    if note:
        blocks.append(note + "\n")
    if command:
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", command)), 0)
        blocks.append(f"Made by:\n\n{fence}\n{command}\n{fence}\n")
    for group in board.groups:
        blocks.append(markdown(_table(group, compact=False)))
        below = (lookback_table(group), quantile_table(group))
        blocks += [markdown(table, level=3) for table in below if table is not None]
    blocks += [markdown(table) for table in _over_groups(board)]
    return "\n".join(blocks)


def _over_groups(board: Leaderboard) -> list[Table]:
    """Lay out what needs several groups: means over horizons, ranks over data sets, noise."""
    over = (across_table(board), noise_table(board))
    return [*horizon_tables(board), *(table for table in over if table is not None)]


def tables_of(board: Leaderboard) -> list[Table]:
    """Lay out every group as a page of a paper has room for, then what is over several of them."""
    return [*(_table(group, compact=True) for group in board.groups), *_over_groups(board)]


def print_table(board: Leaderboard, console: Console, results: Path | None = None) -> None:
    """Print the best rows of each task to the terminal.

    Args:
        board: what to print.
        console: where to.
        results: where a command puts a row beside these; the usual folder if None.
    """
    most = rows_a_task(len(board.groups), MOST_PRINTED)
    tables = [_table(group, True, most, results) for group in board.groups]
    over = _over_groups(board)
    most = rows_a_task(len(over), MOST_PRINTED)
    print_tables([*tables, *(_head(table, most) for table in over)], console, elsewhere="--output")


def _head(table: Table, most: int) -> Table:
    notes = (*_cut(len(table.rows), most), *table.notes)
    return replace(table, rows=table.rows[:most], notes=notes)


def write_leaderboard(
    folder: Path, board: Leaderboard, command: str = "", note: str = ""
) -> tuple[Path, Path]:
    """Write leaderboard.md and leaderboard.csv into a folder, each atomically.

    Args:
        folder: where to; made if it is not there.
        board: what to write.
        command: see `to_markdown`.
        note: see `to_markdown`.

    Returns:
        The two paths.

    Raises:
        UserError: a file cannot be written.
    """
    paths = folder / "leaderboard.md", folder / "leaderboard.csv"
    write_atomically(paths[0], to_markdown(board, command, note))
    write_atomically(paths[1], to_csv(board))
    return paths
