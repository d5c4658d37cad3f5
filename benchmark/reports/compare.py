"""Two results files side by side: what got better, what got worse, what came and went.

Runs are matched on data set, lookback, horizon, model and seed, and only under one protocol
fingerprint. A run regressed if its MSE or its MAE worsened by more than the tolerance; it improved
if at least one improved by more and neither worsened. A change of exactly the tolerance is none.

One name can stand for several runs of a seed, e.g. with changed settings. Which of them is meant
cannot be known, so their means are compared and the row is reported as ambiguous; if any of them
failed, the row counts as failed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmark.errors import UserError
from benchmark.reports.tables import (
    MISSING,
    Cell,
    Column,
    Mark,
    Table,
    markdown,
    number,
    percent,
    print_tables,
    short_fingerprints,
)

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from rich.console import Console

KEY = ["dataset", "horizon", "model", "lookback", "seed"]
CATEGORIES = (
    "failed",
    "regressed",
    "not comparable",
    "vanished",
    "still failed",
    "fixed",
    "improved",
    "appeared",
    "unchanged",
)
"""Every row is in one of them; listed in this order, the worst first."""

REGRESSIONS = ("failed", "regressed")
UNCHANGED_SHOWN = 20
"""More unchanged rows than this are counted but not listed."""

VERDICTS = ("significant", "within noise")
"""What the column verdict says where a difference could be judged."""

_VERDICT_NOTE = (
    "verdict on the MSE: significant if neither the chance of the test windows (paired "
    "Diebold-Mariano test, 5%) nor that of the seed (spread over seeds, 5%) explains the "
    "difference, as far as the two files allow to ask; else within noise"
)
_RUNS = ("runs_old", "runs_new")
_MARKS: dict[str, Mark] = {"failed": "bad", "regressed": "bad", "improved": "best", "fixed": "best"}
_SLACK = 1e-12  # a change of exactly the tolerance must survive the rounding of its division


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    Attributes:
        rows: a row a run, worst first: category, dataset, horizon, model, lookback, seed; for old
            and new: status, mse, mae, fingerprint, runs, error; mse_change and mae_change,
            relative (0.01 is 1 % worse). `benchmark.reports.judgement.judge` adds verdict.
        tolerance: relative change that still counts as unchanged.
    """

    rows: DataFrame
    tolerance: float

    @property
    def regressed(self) -> bool:
        """Whether any run got worse, or failed where it was done before."""
        return bool(self.rows["category"].isin(REGRESSIONS).any())

    @property
    def counts(self) -> dict[str, int]:
        """Rows in each category, the worst category first; empty ones are left out."""
        found = self.rows["category"].value_counts()
        return {name: int(found[name]) for name in CATEGORIES if name in found.index}

    def summary(self) -> str:
        """Say the outcome in one line."""
        counts = ", ".join(f"{n} {name}" for name, n in self.counts.items())
        verdict = "REGRESSED" if self.regressed else "no regression"
        return f"{verdict}: {counts} (tolerance {100 * self.tolerance:g}%)"


def compare(old: DataFrame, new: DataFrame, tolerance: float = 0.01) -> Comparison:
    """Compare two results tables run by run.

    Args:
        old: what was, as `benchmark.records.store.read_results` gives.
        new: what is.
        tolerance: relative change of MSE or MAE that counts as unchanged; 0 or more.

    Raises:
        UserError: the tolerance is negative or not finite.
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise UserError(
            "tolerance", f"must be 0 or more, got {tolerance}", "e.g. 0.01 for 1 percent"
        )
    rows = _joined(_one_a_key(old), _one_a_key(new))
    for metric in ("mse", "mae"):
        rows[f"{metric}_change"] = _relative(rows[f"{metric}_old"], rows[f"{metric}_new"])
    rows["category"] = _categories(rows, tolerance)
    comparable = rows["category"].isin(["regressed", "improved", "unchanged"])
    rows.loc[~comparable, ["mse_change", "mae_change"]] = math.nan
    rows["_severity"] = rows["category"].map(CATEGORIES.index)
    rows = rows.sort_values(
        ["_severity", "mse_change", *KEY], ascending=[True, False, *[True] * len(KEY)]
    )
    rows = rows.drop(columns="_severity").reset_index(drop=True)
    return Comparison(rows, tolerance)


def _one_a_key(results: DataFrame) -> DataFrame:
    """One row a key and fingerprint: means of the scores, failed if any of its runs failed."""
    ordered = results.sort_values("error", ascending=False)  # a failure's error comes first
    rows = ordered.groupby([*KEY, "fingerprint"], as_index=False).agg(
        mse=("mse", "mean"),
        mae=("mae", "mean"),
        status=("status", "max"),  # of "done" and "failed"
        error=("error", "first"),
        runs=("run_id", "size"),
    )
    rows.loc[rows["status"] == "failed", ["mse", "mae"]] = math.nan
    return rows


def _joined(old: DataFrame, new: DataFrame) -> DataFrame:
    """Match by key and fingerprint; what is left of a key on both sides is matched by key alone."""
    import pandas as pd

    whole = [*KEY, "fingerprint"]
    both = old.merge(new, how="inner", on=whole, suffixes=("_old", "_new"))
    both["fingerprint_old"] = both["fingerprint_new"] = both["fingerprint"]
    matched = both[whole]
    rest = []
    for side in (old, new):
        left = side.merge(matched, how="left", on=whole, indicator=True)
        rest.append(left[left["_merge"] == "left_only"].drop(columns="_merge"))
    unmatched = rest[0].merge(rest[1], how="outer", on=KEY, suffixes=("_old", "_new"))
    rows = pd.concat([both.drop(columns="fingerprint"), unmatched], ignore_index=True)
    for name in ("status", "fingerprint", "error"):
        for side_name in ("old", "new"):
            rows[f"{name}_{side_name}"] = rows[f"{name}_{side_name}"].fillna("")
    return rows


def _relative(old: Series, new: Series) -> Series:
    """(new - old) / old; no change from 0 to 0, and an infinite one from 0 to anything else."""
    change = (new - old) / old.where(old != 0)
    change = change.mask((old == 0) & (new == 0), 0.0)
    return change.mask((old == 0) & (new > 0), math.inf)


def _categories(rows: DataFrame, tolerance: float) -> Series:
    import pandas as pd

    old, new = rows["status_old"], rows["status_new"]
    changes = rows[["mse_change", "mae_change"]]
    worse = (changes > tolerance + _SLACK).any(axis=1)
    better = (changes < -tolerance - _SLACK).any(axis=1)
    category = pd.Series("unchanged", index=rows.index, dtype="object")
    # Later lines overrule earlier ones.
    category[better] = "improved"
    category[worse] = "regressed"
    category[(old == "failed") & (new == "done")] = "fixed"
    category[(old == "done") & (new == "failed")] = "failed"
    category[(old == "failed") & (new == "failed")] = "still failed"
    category[rows["fingerprint_old"] != rows["fingerprint_new"]] = "not comparable"
    category[old == ""] = "appeared"
    category[new == ""] = "vanished"
    return category


def _table(comparison: Comparison) -> Table:
    rows = comparison.rows
    unchanged = rows["category"] == "unchanged"
    hidden = int(unchanged.sum()) if unchanged.sum() > UNCHANGED_SHOWN else 0
    shown = rows[~unchanged] if hidden else rows
    cells = [
        [Cell(name, _MARKS.get(name, "")) for name in shown["category"]],
        [Cell(text) for text in shown["dataset"]],
        [Cell(str(steps)) for steps in shown["horizon"]],
        [Cell(text) for text in shown["model"]],
        [Cell(str(steps)) for steps in shown["lookback"]],
        [Cell(str(seed)) for seed in shown["seed"]],
    ]
    for metric in ("mse", "mae"):
        for side in ("old", "new"):
            scores = zip(shown[f"{metric}_{side}"], shown[f"status_{side}"], strict=True)
            cells.append([Cell(_score(score, status)) for score, status in scores])
        cells.append([Cell(percent(change)) for change in shown[f"{metric}_change"]])
    judged = "verdict" in rows and bool(rows["verdict"].isin(VERDICTS).any())
    if judged:
        cells.append([Cell(verdict or MISSING) for verdict in shown["verdict"]])
    metrics = (f"{metric} {part}" for metric in ("MSE", "MAE") for part in ("old", "new", "change"))
    return Table(
        title="Comparison",
        columns=(
            Column("outcome", number=False),
            Column("dataset", number=False),
            Column("H"),
            Column("model", number=False),
            Column("L"),
            Column("seed"),
            *map(Column, metrics),
            *([Column("verdict", number=False)] * judged),
        ),
        rows=tuple(zip(*cells, strict=True)),
        intro=(comparison.summary(),),
        notes=(
            *([_VERDICT_NOTE] * judged),
            *_notes(rows),
            *([f"{hidden} unchanged rows are not listed"] if hidden else []),
        ),
    )


def _score(score: float, status: str) -> str:
    return "failed" if status == "failed" else number(score) if status else MISSING


def _notes(rows: DataFrame) -> list[str]:
    labels = short_fingerprints([*rows["fingerprint_old"], *rows["fingerprint_new"]])
    changed = rows["category"] == "not comparable"
    rows = rows[changed | (rows["status_new"] == "failed") | (rows[list(_RUNS)] > 1).any(axis=1)]
    notes = []
    for name, row in zip(_row_names(rows), rows.to_dict("records"), strict=True):
        if row["category"] == "not comparable":
            before, after = labels[row["fingerprint_old"]], labels[row["fingerprint_new"]]
            notes.append(f"{name}: not comparable, protocol {before} before and {after} now")
        if row["status_new"] == "failed":
            notes.append(f"{name}: {row['error_new'] or 'no error was recorded'}")
        if row["runs_old"] > 1 or row["runs_new"] > 1:
            runs = [0 if math.isnan(row[side]) else int(row[side]) for side in _RUNS]
            notes.append(f"{name}: ambiguous, {runs[0]} old and {runs[1]} new runs; means compared")
    return notes


def _row_names(rows: DataFrame) -> list[str]:
    columns = (rows[name].tolist() for name in KEY)
    return [
        f"{dataset} H={horizon} {model} L={lookback} seed {seed}"
        for dataset, horizon, model, lookback, seed in zip(*columns, strict=True)
    ]


def to_markdown(comparison: Comparison) -> str:
    """Write a comparison as Markdown."""
    return markdown(_table(comparison), level=1)


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print a comparison to the terminal, its summary last."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    print_tables([replace(_table(comparison), intro=())], console)
    style = "bold red" if comparison.regressed else "bold green"
    console.print(Text(comparison.summary(), style=style))
