"""Our rows beside the figures that papers and repositories published.

A published figure stands beside ours only for the same data set, horizon and model; a relative
difference is given only at the same lookback. Many published figures were scored on a test set that
a data loader had shortened, so the protocol always stands beside the figure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmark.records.table import read_table
from benchmark.reports.ranking import leaderboard
from benchmark.reports.tables import Cell, Column, Table, markdown, number, percent, print_tables

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from rich.console import Console

KINDS: dict[str, type] = {
    "dataset": str,
    "model": str,
    "lookback": str,  # some papers searched it: "best of 96/336/512"
    "horizon": int,
    "mse": float,
    "mae": float,
    "protocol": str,
    "source": str,
}

OURS = ["dataset", "horizon", "fingerprint", "model", "lookback"]
_KEYS = ["dataset_key", "model_key", "horizon"]


@dataclass(frozen=True)
class PublishedComparison:
    """Our rows with the published figures of the same model, and the best figures of any model.

    Attributes:
        matches: a row for each of our rows and each published figure: our dataset, horizon,
            fingerprint, label (short fingerprint), model, lookback, mse, mae, seeds; then
            published_lookback, published_mse, published_mae, protocol, source, and mse_difference
            and mae_difference, relative to the published figure, at the same lookback only.
            Figures at other lookbacks stand here only where there is none at ours. A row of ours
            that nobody published has empty published columns.
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
    return read_table(path, KINDS, may_be_empty=("mae",))


def compare_published(
    results: DataFrame, published: DataFrame, best: int = 3
) -> PublishedComparison:
    """Put our means over seeds beside the published figures.

    Names match whatever their case, and without ``-``, ``_`` and spaces.

    Args:
        results: as `benchmark.records.store.read_results` gives.
        published: as `read_published` gives.
        best: how many models the context lists for a data set and horizon.
    """
    ours = _our_rows(results)
    figures = published.rename(
        columns={name: f"published_{name}" for name in ("lookback", "mse", "mae")}
    )
    figures["model_key"] = _key(figures["model"])
    figures["dataset_key"] = _key(figures["dataset"])
    matches = ours.merge(figures.drop(columns=["dataset", "model"]), how="left", on=_KEYS)
    same = matches["published_lookback"] == matches["lookback"].astype("str")
    has_same = same.groupby([matches[name] for name in OURS]).transform("max")
    matches = matches[same | ~has_same]
    for metric in ("mse", "mae"):
        theirs = matches[f"published_{metric}"]
        change = (matches[metric] - theirs) / theirs.where(theirs > 0)
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


def _our_rows(results: DataFrame) -> DataFrame:
    import pandas as pd

    groups = leaderboard(results).groups
    rows = pd.concat([group.rows.assign(label=group.label) for group in groups])
    rows = rows[[*OURS, "label", "mse", "mae", "seeds"]]
    return rows.assign(dataset_key=_key(rows["dataset"]), model_key=_key(rows["model"]))


def _key(names: Series) -> Series:
    return names.str.lower().str.replace(r"[-_\s]", "", regex=True)


def _tables(comparison: PublishedComparison) -> Iterator[Table]:
    for key, own in comparison.matches.groupby(["dataset", "horizon"]):
        dataset, horizon = cast("tuple[str, int]", key)
        context = comparison.context
        here = context[(context["dataset"] == dataset) & (context["horizon"] == horizon)]
        yield _beside(f"{dataset}, horizon {horizon}: ours and published", own)
        yield _lowest(f"{dataset}, horizon {horizon}: lowest published, at any lookback", here)


def _beside(title: str, own: DataFrame) -> Table:
    """Our rows that somebody published, beside the figures; the others are named below."""
    several = own["label"].nunique() > 1
    unmatched = list(dict.fromkeys(own.loc[own["published_mse"].isna(), "model"]))
    sources = _Sources()
    rows = [
        (
            Cell(row["model"] + (f" (protocol {row['label']})" if several else "")),
            Cell(str(row["lookback"])),
            Cell(number(row["mse"])),
            Cell(number(row["mae"])),
            Cell(row["published_lookback"]),
            Cell(number(row["published_mse"], 3)),
            Cell(number(row["published_mae"], 3)),
            Cell(percent(row["mse_difference"])),
            Cell(percent(row["mae_difference"])),
            sources.cell(row),
        )
        for row in own[own["published_mse"].notna()].to_dict("records")
    ]
    names = [f"nobody published under the name: {', '.join(unmatched)}"] if unmatched else []
    return Table(
        title=title,
        columns=(
            Column("model", number=False),
            Column("our lookback"),
            Column("our MSE"),
            Column("our MAE"),
            Column("their lookback", number=False),
            Column("their MSE"),
            Column("their MAE"),
            Column("MSE differs"),
            Column("MAE differs"),
            Column("source"),
        ),
        rows=tuple(rows),
        intro=(
            "Ours are means over seeds. Differences are relative to the published figure, and "
            "given at the same lookback only.",
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
    """Numbers each distinct pair of protocol and source of a table, for its notes."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def cell(self, row: Mapping[Hashable, Any]) -> Cell:
        pair = row["protocol"], row["source"]
        return Cell(str(self._numbers.setdefault(pair, len(self._numbers) + 1)))

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"source {n}: {protocol}; {source}" for (protocol, source), n in self._numbers.items()
        )


def to_markdown(comparison: PublishedComparison) -> str:
    """Write our rows and the published ones as Markdown, a table a data set and horizon."""
    return "\n".join(markdown(table) for table in _tables(comparison))


def print_published(comparison: PublishedComparison, console: Console | None = None) -> None:
    """Print our rows and the published ones to the terminal."""
    print_tables(_tables(comparison), console)
