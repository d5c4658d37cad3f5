"""Our rows beside the figures that papers and repositories published.

A published figure stands beside ours only for the same data set, horizon and model; a relative
difference is given only at the same lookback and over the same test windows. Many published figures
were scored on a test set that a data loader had shortened: ours is then scored again on the windows
that were left, from the errors that its run kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmark.records.table import read_table
from benchmark.reports.ranking import Leaderboard, leaderboard
from benchmark.reports.tables import Cell, Column, Table, markdown, number, percent, print_tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame, Series
    from rich.console import Console

    Losses = Mapping[str, NDArray[np.float64]]

KINDS: dict[str, type] = {
    "dataset": str,
    "model": str,
    "lookback": str,  # some papers searched it: "best of 96/336/512"
    "horizon": int,
    "mse": float,
    "mae": float,
    "test_batch": int,  # of the loader that dropped its last, incomplete batch
    "protocol": str,
    "source": str,
    "remark": str,  # what running it here has shown
}

OURS = ["dataset", "horizon", "fingerprint", "model", "lookback", "config"]
SHORTENED = "shortened test set"
_KEYS = ["dataset_key", "model_key", "horizon"]


@dataclass(frozen=True)
class PublishedComparison:
    """Our rows with the published figures of the same model, and the best figures of any model.

    Attributes:
        matches: a row for each of our rows and each published figure: our dataset, horizon,
            fingerprint, label (short fingerprint), model, lookback, mse, mae, seeds; then
            published_lookback, published_mse, published_mae, protocol, source; windows (that the
            figure is over, as text) and own_mse, own_mae (ours over these windows, missing where
            they are not known); mse_difference and mae_difference, of the latter relative to the
            published figure, at the same lookback only. Figures at other lookbacks stand here only
            where there is none at ours. A row of ours that nobody published has empty published
            columns.
        context: the lowest published MSE of each of the best models at any lookback, for every
            data set and horizon of ours: dataset, horizon, model, lookback, mse, mae, protocol,
            source.
    """

    matches: DataFrame
    context: DataFrame


def read_published(path: Path) -> DataFrame:
    """Read a table of published figures, see results/README.md for its columns.

    Raises:
        UserError: the file or a cell is not as it must be; names the line.
    """
    return read_table(path, KINDS, may_be_empty=("mae", "test_batch", "remark"))


def compare_published(
    results: DataFrame,
    published: DataFrame,
    losses: Mapping[str, Losses] | None = None,
    board: Leaderboard | None = None,
    best: int = 3,
) -> PublishedComparison:
    """Put our means over seeds beside the published figures.

    Names match whatever their case, and without ``-``, ``_`` and spaces.

    Args:
        results: as `benchmark.records.store.read_results` gives.
        published: as `read_published` gives.
        losses: for ``mse`` and ``mae`` the errors of every test window by run id, as
            `benchmark.records.losses.read_losses` gives.
        board: of the results, where it has been made.
        best: how many models the context lists for a data set and horizon.
    """
    ours = _our_rows(board or leaderboard(results))
    figures = published.rename(
        columns={name: f"published_{name}" for name in ("lookback", "mse", "mae")}
    )
    figures["model_key"] = _key(figures["model"])
    figures["dataset_key"] = _key(figures["dataset"])
    matches = ours.merge(figures.drop(columns=["dataset", "model"]), how="left", on=_KEYS)
    same = matches["published_lookback"] == matches["lookback"].astype("str")
    has_same = same.groupby([matches[name] for name in OURS]).transform("max")
    matches = matches[same | ~has_same]
    matches = _on_their_windows(matches, results, losses or {})
    for metric in ("mse", "mae"):
        theirs = matches[f"published_{metric}"]
        change = (matches[f"own_{metric}"] - theirs) / theirs.where(theirs > 0)
        matches[f"{metric}_difference"] = change.where(same)
    order = ["dataset", "horizon", "fingerprint", "mse", "model", "lookback", "published_mse"]
    matches = matches.sort_values(order, kind="stable").reset_index(drop=True)

    tasks = ours[["dataset", "dataset_key", "horizon"]].drop_duplicates()
    context = tasks.merge(
        figures.drop(columns="dataset"), how="inner", on=["dataset_key", "horizon"]
    )
    context = context.sort_values(["dataset", "horizon", "published_mse"], kind="stable")
    context = context.drop_duplicates(["dataset", "horizon", "model_key"])
    context = context.groupby(["dataset", "horizon"]).head(best).reset_index(drop=True)
    context.columns = context.columns.str.removeprefix("published_")
    return PublishedComparison(
        matches.drop(columns=["dataset_key", "model_key"]),
        context.drop(columns=["dataset_key", "model_key"]),
    )


def _on_their_windows(
    matches: DataFrame, results: DataFrame, losses: Mapping[str, Losses]
) -> DataFrame:
    """Score ours over the windows that a shortened test set left; elsewhere it is our score."""
    import pandas as pd

    protocol = matches["protocol"].fillna("")
    shortened = protocol.str.startswith(SHORTENED)
    windows = protocol.str.startswith("full").map({True: "all", False: "?"})
    matches = matches.assign(windows=windows, own_mse=matches["mse"], own_mae=matches["mae"])
    done = results[results["status"] == "done"]
    done = done.merge(matches.loc[shortened, OURS].drop_duplicates(), on=OURS)
    runs = {key: own.tolist() for key, own in done.groupby(OURS)["run_id"]}
    total = done.groupby(OURS)["test_windows"].max().to_dict()
    for place in matches.index[shortened]:
        key = tuple(matches.loc[place, OURS])
        batch = matches.loc[place, "test_batch"]
        known = not (pd.isna(batch) or pd.isna(total[key]))
        kept = int(total[key] // batch * batch) if known else 0
        matches.loc[place, "windows"] = f"{kept} of {int(total[key])}" if known else "fewer"
        for name in ("mse", "mae"):
            score = _mean_of_first(kept, runs[key], losses.get(name, {})) if known else math.nan
            matches.loc[place, f"own_{name}"] = score
    return matches


def _mean_of_first(kept: int, runs: Sequence[str], losses: Losses) -> float:
    """Mean over runs of the mean over the first windows; missing where a run's are not known."""
    if not all(run_id in losses for run_id in runs):
        return math.nan
    return sum(float(losses[run_id][:kept].mean()) for run_id in runs) / len(runs)


def _our_rows(board: Leaderboard) -> DataFrame:
    import pandas as pd

    rows = pd.concat([group.rows.assign(label=group.label) for group in board.groups])
    rows = rows[[*OURS, "label", "mse", "mae", "seeds"]]
    return rows.assign(dataset_key=_key(rows["dataset"]), model_key=_key(rows["model"]))


def _key(names: Series) -> Series:
    return names.str.lower().str.replace(r"[-_\s]", "", regex=True)


def tables(
    comparison: PublishedComparison, compact: bool = False
) -> Iterator[tuple[tuple[str, int], Table]]:
    """Lay out two tables for each data set and horizon: beside ours, and the lowest published.

    Args:
        comparison: as `compare_published` gives.
        compact: leave out absolute errors, so that a row fits 100 columns.
    """
    for key, own in comparison.matches.groupby(["dataset", "horizon"]):
        task = dataset, horizon = cast("tuple[str, int]", key)
        context = comparison.context
        here = context[(context["dataset"] == dataset) & (context["horizon"] == horizon)]
        yield task, _beside(f"{dataset}, horizon {horizon}: ours and published", own, compact)
        title = f"{dataset}, horizon {horizon}: lowest published, at any lookback"
        yield task, _lowest(title, here)


_BESIDE: tuple[tuple[Column, Callable[[Mapping[Hashable, Any]], str]], ...] = (
    (Column("our lookback"), lambda row: str(row["lookback"])),
    (Column("our MSE"), lambda row: number(row["mse"])),
    (Column("our MAE"), lambda row: number(row["mae"])),
    (Column("their lookback", number=False), lambda row: row["published_lookback"]),
    (Column("their windows", number=False), lambda row: row["windows"]),
    (Column("our MSE on them"), lambda row: number(row["own_mse"])),
    (Column("our MAE on them"), lambda row: number(row["own_mae"])),
    (Column("their MSE"), lambda row: number(row["published_mse"], 3)),
    (Column("their MAE"), lambda row: number(row["published_mae"], 3)),
    (Column("MSE differs"), lambda row: percent(row["mse_difference"])),
    (Column("MAE differs"), lambda row: percent(row["mae_difference"])),
)


def _beside(title: str, own: DataFrame, compact: bool) -> Table:
    """Our rows that somebody published, beside the figures; the others are named below.

    `compact` leaves the absolute errors out.
    """
    several = own["label"].nunique() > 1
    unmatched = list(dict.fromkeys(own.loc[own["published_mse"].isna(), "model"]))
    sources = _Sources()
    shown = [pair for pair in _BESIDE if not (compact and "MAE" in pair[0].title)]
    rows = [
        (
            Cell(row["model"] + (f" (protocol {row['label']})" if several else "")),
            *(Cell(write(row)) for _, write in shown),
            sources.cell(row),
        )
        for row in own[own["published_mse"].notna()].to_dict("records")
    ]
    names = [f"nobody published under the name: {', '.join(unmatched)}"] if unmatched else []
    return Table(
        title=title,
        columns=(
            Column("model", number=False),
            *(column for column, _ in shown),
            Column("source"),
        ),
        rows=tuple(rows),
        intro=(
            "Ours are means over seeds. Their windows: all, those left by a loader that drops an "
            "incomplete batch, or ? where nobody says. Differences are relative to the published "
            "figure, over its windows (all, where not told) and at the same lookback only.",
        ),
        notes=(*names, *sources.notes()),
    )


def _lowest(title: str, context: DataFrame) -> Table:
    sources = _Sources()
    rows = [
        (
            Cell(row["model"]),
            Cell(row["lookback"]),
            Cell(number(row["mse"], 3)),
            Cell(number(row["mae"], 3)),
            sources.cell(row),
        )
        for row in context.to_dict("records")
    ]
    return Table(
        title=title,
        columns=(
            Column("model", number=False),
            Column("lookback", number=False),
            Column("MSE"),
            Column("MAE"),
            Column("source"),
        ),
        rows=tuple(rows),
        intro=() if rows else ("Nothing is in the table of published figures.",),
        notes=sources.notes(),
    )


class _Sources:
    """Numbers each distinct protocol, source and remark of a table, for its notes."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}

    def cell(self, row: Mapping[Hashable, Any]) -> Cell:
        texts = tuple(filter(None, (row["protocol"], row["source"], row["remark"])))
        return Cell(str(self._numbers.setdefault(texts, len(self._numbers) + 1)))

    def notes(self) -> tuple[str, ...]:
        return tuple(f"source {n}: {'; '.join(texts)}" for texts, n in self._numbers.items())


def to_markdown(comparison: PublishedComparison) -> str:
    """Write our rows and the published ones as Markdown, a table a data set and horizon."""
    return "\n".join(markdown(table) for _, table in tables(comparison))


def print_published(comparison: PublishedComparison, console: Console | None = None) -> None:
    """Print our rows and the published ones to the terminal."""
    print_tables((table for _, table in tables(comparison, compact=True)), console)
