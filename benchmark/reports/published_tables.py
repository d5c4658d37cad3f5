"""Our rows beside published figures, as Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from benchmark.reports.agreement import agreement_table
from benchmark.reports.published import PublishedComparison
from benchmark.reports.tables import (
    Cell,
    Column,
    Table,
    markdown,
    mean_and_std,
    number,
    percent,
)
from benchmark.reports.terminal import print_tables

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console


def tables(
    comparison: PublishedComparison, compact: bool = False
) -> Iterator[tuple[tuple[str, int], Table]]:
    """Lay out two tables for each data set and horizon: beside ours, and the lowest published.

    There are none for one of which nothing is published, as of a user's own data.

    Args:
        comparison: as `compare_published` gives.
        compact: leave out absolute errors, so that a row fits 100 columns.
    """
    for key, own in comparison.matches.groupby(["dataset", "horizon"]):
        task = dataset, horizon = cast("tuple[str, int]", key)
        context = comparison.context
        here = context[(context["dataset"] == dataset) & (context["horizon"] == horizon)]
        if here.empty and own["published_mse"].isna().all():
            continue
        yield task, _beside(f"{dataset}, horizon {horizon}: ours and published", own, compact)
        title = f"{dataset}, horizon {horizon}: lowest published, at any lookback"
        yield task, _lowest(title, here)


def _as_published(value: float) -> str:
    """The digits that a figure was published with: three decimals, of a log four."""
    return number(value).removesuffix("0")


_BESIDE: tuple[tuple[Column, Callable[[Mapping[Hashable, Any]], str]], ...] = (
    (Column("our lookback"), lambda row: str(row["lookback"])),
    (Column("our MSE"), lambda row: mean_and_std(row["mse"], row["mse_std"])),
    (Column("our MAE"), lambda row: mean_and_std(row["mae"], row["mae_std"])),
    (Column("their lookback", number=False, spare=1), lambda row: row["published_lookback"]),
    (Column("their windows", number=False, spare=2), lambda row: row["windows"]),
    (Column("our MSE on them", spare=3), lambda row: number(row["own_mse"])),
    (Column("our MAE on them"), lambda row: number(row["own_mae"])),
    (Column("their MSE"), lambda row: _as_published(row["published_mse"])),
    (Column("their MAE"), lambda row: _as_published(row["published_mae"])),
    (Column("MSE differs"), lambda row: _change(row, "mse")),
    (Column("MAE differs"), lambda row: _change(row, "mae")),
)


def _change(row: Mapping[Hashable, Any], metric: str) -> str:
    change = percent(row[f"{metric}_difference"])
    return f"{change} ≈" if row[f"{metric}_within"] else change


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
            Cell(row["name"] + (f" (protocol {row['label']})" if several else "")),
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
            Column("source", spare=1),
        ),
        rows=tuple(rows),
        intro=(
            "Ours are means over seeds. Their windows: all, those left by a loader that drops an "
            "incomplete batch, or ? where nobody says. Differences are relative to the published "
            "figure, over its windows (all, where not told) and at the same lookback only.",
            "≈: one more seed of ours might differ from the mean of ours by as much (95%).",
        ),
        notes=(*names, *sources.notes()),
    )


def _lowest(title: str, context: DataFrame) -> Table:
    sources = _Sources()
    rows = [
        (
            Cell(row["model"]),
            Cell(row["lookback"]),
            Cell(_as_published(row["mse"])),
            Cell(_as_published(row["mae"])),
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
            Column("MAE", spare=1),
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
    """Write our rows and the published ones as Markdown: the summary, then task by task."""
    return "\n".join(markdown(table) for table in _all(comparison, compact=False))


def print_published(comparison: PublishedComparison, console: Console) -> None:
    """Print our rows and the published ones to the terminal."""
    print_tables(_all(comparison, compact=True), console, elsewhere="--markdown")


def _all(comparison: PublishedComparison, compact: bool) -> Iterator[Table]:
    summary = agreement_table(comparison.matches)
    if summary is not None:
        yield summary
    laid_out = list(tables(comparison, compact))
    yield from (table for _, table in laid_out)
    tasks = comparison.matches[["dataset", "horizon"]].drop_duplicates().sort_values("dataset")
    known = {task for task, _ in laid_out}
    lacking = [
        f"{dataset} ({horizon})"
        for dataset, horizon in tasks.itertuples(index=False, name=None)
        if (dataset, horizon) not in known
    ]
    if lacking:
        told = f"The table of published figures has none of these: {', '.join(lacking)}."
        yield Table(title="Other data sets (and horizons)", columns=(), rows=(), intro=(told,))
