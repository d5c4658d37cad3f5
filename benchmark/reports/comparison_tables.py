"""A comparison of two results files as a comment on a pull request, and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from benchmark.records.record import HEADLINE
from benchmark.reports.changes import JUDGED, Comparison, held_to
from benchmark.reports.matching import ALL_SEEDS
from benchmark.reports.row_notes import MOST_NAMES
from benchmark.reports.seed_means import judged, means_tables, told_verdicts, verdict_note
from benchmark.reports.tables import (
    MISSING,
    MOST_PRINTED,
    Cell,
    Column,
    Mark,
    Table,
    decimals_for,
    escape_markdown,
    markdown_rows,
    number,
    percent,
    plain,
    short_fingerprints,
)
from benchmark.reports.terminal import print_tables

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console

UNCHANGED_SHOWN = 20
"""On the terminal, more unchanged rows than this are counted but not listed."""

MOST_LISTED = 100
"""Entries of one table or list in Markdown: a comment on GitHub holds 65,536 characters."""

_WHICH = ("file", "dataset", "horizon", "name", "lookback", "seed")
_TITLES = {"horizon": "H", "name": "model", "lookback": "L"}
_RUNS = ("runs_old", "runs_new")
_SAME = ["unchanged", "within noise"]
_CHANGED = ["failed", "regressed", "fixed", "improved"]
_MARKS: dict[str, Mark] = {"failed": "bad", "regressed": "bad", "improved": "best", "fixed": "best"}


def to_markdown(comparison: Comparison, what: str = "") -> str:
    """Write a comparison as GitHub Markdown: the outcome, the bad news, then the rest folded.

    Args:
        comparison: what to write.
        what: says what was compared with what, in a line of its own; none where empty.
    """
    rows = comparison.rows
    changed = rows[rows["category"].isin(_CHANGED)]
    same = rows[rows["category"].isin(_SAME)]
    blocks = [f"**{escape_markdown(comparison.summary())}**"]
    if what:
        blocks.append(escape_markdown(what))
    if len(changed):
        blocks.append(_listed(changed))
    for table in means_tables(comparison.means, worse=True):
        blocks.append(f"means over seeds, {len(table.rows)} regressed:\n\n{markdown_rows(table)}")
    blocks += _listing(rows, "vanished")
    if len(same):
        counts = same["category"].value_counts()
        title = ", ".join(f"{counts[name]} {name}" for name in _SAME if name in counts.index)
        blocks.append(_folded(title, _listed(same)))
    for table in means_tables(comparison.means, worse=False):
        blocks.append(_folded(f"means over seeds ({len(table.rows)})", markdown_rows(table)))
    for name in ("appeared", "still failed", "not comparable"):
        blocks += _listing(rows, name)
    notes = [*_settings(rows), *_errors(rows[rows["category"] == "failed"]), *_ambiguous(rows)]
    notes += [*_unheld(comparison), *verdict_note(rows)]
    if notes:
        blocks.append(_few(f"- {escape_markdown(note)}" for note in notes))
    return "\n\n".join(blocks) + "\n"


def _listing(rows: DataFrame, category: str) -> Iterator[str]:
    """List the rows of one of the categories without a change; folded where they are many."""
    own = rows[rows["category"] == category]
    if len(own):
        title, text = f"{len(own)} {category}", _few(_bullets(own))
        fold = len(own) > UNCHANGED_SHOWN
        yield _folded(title, text) if fold else f"{title}:\n\n{text}"


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison to the terminal, its summary last."""
    from rich.text import Text

    rows = comparison.rows
    unchanged = rows["category"] == "unchanged"
    hidden = int(unchanged.sum()) if unchanged.sum() > UNCHANGED_SHOWN else 0
    notes = [*verdict_note(rows), *_changed_protocols(rows)]
    notes += [*_settings(rows), *_errors(rows), *_ambiguous(rows), *_unheld(comparison)]
    means = comparison.means
    if hidden:
        notes.append(f"{hidden} unchanged rows are not listed")
        if means is not None:  # nor are means of the same
            means = means[means["mse_old"] != means["mse_new"]]
    listed = rows[~unchanged] if hidden else rows
    more = len(listed) - MOST_PRINTED
    told = [f"{more:,} more rows are not listed; the worst are"] if more > 0 else []
    table = _table(listed.head(MOST_PRINTED), [*told, *_first(notes, MOST_PRINTED)])
    print_tables([table, *means_tables(means)], console, elsewhere="--markdown")
    style = "bold red" if comparison.regressed or not comparison.comparable else "bold green"
    console.print(Text(comparison.summary(), style=style))


def _table(rows: DataFrame, notes: Iterable[str] = (), arrows: bool = False) -> Table:
    """Lay out rows; with `arrows`, for Markdown, old and new share a column."""
    columns: dict[Column, Iterable[str]] = {}
    for name in _WHICH if (rows["file"] != "").any() else _WHICH[1:]:
        tells_no_row_from_another = name != "name" and rows[name].nunique() == 1
        spare = 6 if tells_no_row_from_another else 0
        is_number = name in ("horizon", "lookback", "seed")
        column = Column(_TITLES.get(name, name), number=is_number, spare=spare)
        columns[column] = [_value(name, value) for value in rows[name]]
    for metric in HEADLINE:
        columns |= _change(rows, metric, arrows)
    also = _also(rows)
    if any(also):
        columns[Column("also", number=False, spare=3)] = [text or MISSING for text in also]
    if judged(rows):
        columns[Column("verdict", number=False)] = told_verdicts(rows)
    marks = {} if arrows else _MARKS  # bold would make the good news stand out alone
    return Table(
        title="Comparison",
        columns=(Column("outcome", number=False), *columns),
        rows=tuple(
            (Cell(outcome, marks.get(outcome, "")), *map(Cell, texts))
            for outcome, *texts in zip(rows["category"], *columns.values(), strict=True)
        ),
        notes=tuple(notes),
    )


def _value(name: str, value: object) -> str:
    return "all" if name == "seed" and value == ALL_SEEDS else str(value)


def _change(rows: DataFrame, metric: str, arrows: bool) -> dict[Column, list[str]]:
    """Columns of one metric: old, new (or both in one) and the relative change."""
    name = metric.upper()
    sides = {side: rows[f"{metric}_{side}"] for side in ("old", "new")}
    places = decimals_for(value for scores in sides.values() for value in scores)
    old, new = (
        [_score(*of, places) for of in zip(scores, rows[f"status_{side}"], strict=True)]
        for side, scores in sides.items()
    )
    spare = {"mse": (1, 0, 2), "mae": (5, 4, 3)}[metric]
    columns = {
        Column(f"{name} old", spare=spare[0]): old,
        Column(f"{name} new", spare=spare[1]): new,
    }
    if arrows:
        both = [f"{before} → {after}" for before, after in zip(old, new, strict=True)]
        columns = {Column(name): both}
    change = Column(f"{name} change", spare=spare[2])
    return columns | {change: list(map(percent, rows[f"{metric}_change"]))}


def _score(score: float, status: str, decimals: int) -> str:
    return "failed" if status == "failed" else number(score, decimals) if status else MISSING


def _also(rows: DataFrame) -> list[str]:
    """What changed by more than its tolerance and has no columns of its own, by row."""
    return [
        ", ".join(
            f"{name} {percent(row[f'{name}_change'])}"
            for name in (*row["worse"], *row["better"])
            if name not in HEADLINE
        )
        for row in rows.to_dict("records")
    ]


def _listed(rows: DataFrame) -> str:
    text = markdown_rows(_table(rows.head(MOST_LISTED), arrows=True))
    more = len(rows) - MOST_LISTED
    return f"{text}\n\nand {more} more" if more > 0 else text


def _few(lines: Iterable[str]) -> str:
    return "\n".join(_first(list(lines), MOST_LISTED, "- "))


def _first(lines: list[str], most: int, bullet: str = "") -> list[str]:
    more = len(lines) - most
    return [*lines[:most], f"{bullet}and {more} more"] if more > 0 else lines


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _bullets(rows: DataFrame) -> list[str]:
    """A line of Markdown for each row of one of the categories without a change."""
    notes = [*_changed_protocols(rows), *_errors(rows)]
    others = rows[(rows["category"] != "not comparable") & (rows["status_new"] != "failed")]
    return [f"- {escape_markdown(line)}" for line in (*notes, *_row_names(others))]


def _changed_protocols(rows: DataFrame) -> list[str]:
    labels = short_fingerprints([*rows["fingerprint_old"], *rows["fingerprint_new"]])
    rows = rows[rows["category"] == "not comparable"]
    pairs = zip(_row_names(rows), rows["fingerprint_old"], rows["fingerprint_new"], strict=True)
    return [
        f"{name}: not comparable, protocol {labels[old]} before and {labels[new]} now"
        for name, old, new in pairs
    ]


def _errors(rows: DataFrame) -> list[str]:
    rows = rows[rows["status_new"] == "failed"]
    pairs = zip(_row_names(rows), rows["error_new"], strict=True)
    return [f"{name}: {plain(error) or 'no error was recorded'}" for name, error in pairs]


def _settings(rows: DataFrame) -> Iterator[str]:
    """Say whose settings differ between the files, and what brackets are."""
    both = (rows["config_old"] != "") & (rows["config_new"] != "")
    columns = rows.loc[both & (rows["config_old"] != rows["config_new"])]
    configs = short_fingerprints([*columns["config_old"], *columns["config_new"]], shortest=6)
    triples = zip(columns["name"], columns["config_old"], columns["config_new"], strict=True)
    names = list(
        dict.fromkeys(f"{n} (config {configs[old]} / {configs[new]})" for n, old, new in triples)
    )
    if names:
        yield f"settings differ: {', '.join(_first(names, MOST_NAMES))}"
    if (rows["name"] != rows["model"]).any():
        yield (
            "several settings share a model's name: the brackets hold the start of their hash, "
            "column config, and only the same are compared"
        )


def _ambiguous(rows: DataFrame) -> Iterator[str]:
    """Say which rows are means over several runs, and why."""
    counts = rows[list(_RUNS)].fillna(0).astype(int)
    rows = rows.assign(**dict(counts))
    apart = rows["seed"] == ALL_SEEDS
    names = [
        f"{name} ({old} / {new})"
        for name, old, new in rows.loc[apart, ["name", *_RUNS]].itertuples(index=False, name=None)
    ]
    if names:
        listed = ", ".join(_first(list(dict.fromkeys(names)), MOST_NAMES))
        yield f"no seed is in both files, so means over all of each are compared: {listed}"
    rows = rows[(counts > 1).any(axis=1) & ~apart]
    for name, old, new in zip(_row_names(rows), *(rows[side] for side in _RUNS), strict=True):
        yield f"{name}: ambiguous, {old} old and {new} new runs; means compared"


def _unheld(comparison: Comparison) -> list[str]:
    """What the gate asks for and these rows cannot answer: it must not pass in silence."""
    rows, gate = comparison.rows, comparison.gate
    rows = rows[rows["category"].isin([*JUDGED, "within noise"])]
    held = held_to(rows, gate)
    notes = []
    for metric in gate.metrics_named():
        asked = [metric in own for own in held]
        lost = int(rows.loc[asked, f"{metric}_change"].isna().sum())
        if lost:
            notes.append(f"{metric} could not be compared in {lost} rows: one side has none")
    if gate.significant_only and "verdict" in rows:
        silent = int(((rows["verdict"] == "") & rows["category"].isin(JUDGED[:2])).sum())
        if silent:
            notes.append(
                f"no verdict for {silent} of the changes: neither the losses of the runs' windows "
                "are there nor two seeds, so the tolerance alone decided"
            )
    return notes


def _row_names(rows: DataFrame) -> list[str]:
    columns = (rows[name].tolist() for name in _WHICH)
    return [
        f"{f'{file}: ' if file else ''}{dataset} H={horizon} {model} L={lookback} "
        f"{'all seeds' if seed == ALL_SEEDS else f'seed {seed}'}"
        for file, dataset, horizon, model, lookback, seed in zip(*columns, strict=True)
    ]
