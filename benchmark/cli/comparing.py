"""The command that compares: two results files, two revisions of them, or ours with others'."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import ResultsOption, make_console, tell
from benchmark.errors import UserError
from benchmark.places import PUBLISHED, RESULTS

if TYPE_CHECKING:
    from pandas import DataFrame

    from benchmark.records.losses import Losses, Metric
    from benchmark.reports.changes import Comparison
    from benchmark.reports.gate import Gate
    from benchmark.reports.judgement import Side

REGRESSED = 1
INCOMPARABLE = 3


def compare(
    old: Annotated[
        str | None,
        typer.Argument(help="Results CSV to compare with; or OLD..NEW, two git revisions."),
    ] = None,
    new: Annotated[Path | None, typer.Argument(help="Results CSV to judge.")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, help="Relative change of MSE and MAE that counts as none; default: 0.01."
        ),
    ] = None,
    gate: Annotated[
        Path | None, typer.Option(help="A YAML of tolerances by metric, model and data set.")
    ] = None,
    path: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="With OLD..NEW: which files; repeatable. [default: results/**/results.csv]",
        ),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="Show one CSV (default: all runs of --results) beside published figures.",
        ),
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, as for a pull request.")
    ] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Compare two results CSVs, or those committed in two git revisions.

    OLD..NEW reads what is committed; OLD.. compares with the working tree.

    Exits with 0 if nothing regressed; 1 if something did (worse by more than the tolerance, failed,
    or missing where the gate forbids it); 2 on a mistake in the command or a file; 3 if there is
    nothing to compare, because no run is on both sides under one protocol, or with --published none
    is done.

    Example: benchmark compare main.csv mine.csv --tolerance 0.02
    """
    if published:
        if new is not None or tolerance is not None or gate is not None or path:
            raise UserError("--published", "goes with one CSV alone", "see --help")
        _beside_published(Path(old) if old else None, results, markdown)
        return
    from benchmark.files import is_same
    from benchmark.reports.comparison_tables import print_comparison, to_markdown

    allowed = _gate(gate, tolerance)
    if old is not None and new is None and ".." in old and not _names_a_file(Path(old)):
        comparison, what = _of_revisions(old, path or [], allowed)
    elif old is None or new is None:
        cure = "use: benchmark compare OLD.csv NEW.csv, or OLD..NEW for git revisions"
        raise UserError("compare", "names fewer than two CSVs", cure)
    elif path:
        raise UserError("--path", "goes with OLD..NEW alone", "see --help")
    else:
        if not markdown and is_same(Path(old), new):
            tell(make_console(), "Note: both are the same file", style="yellow")
        comparison, what = _of_files(Path(old), new, allowed), f"{old} and {new}"
    if markdown:
        typer.echo(to_markdown(comparison, what), nl=False)
    else:
        print_comparison(comparison, make_console())
    if not comparison.comparable:
        raise typer.Exit(INCOMPARABLE)
    if comparison.regressed:
        raise typer.Exit(REGRESSED)


def _names_a_file(path: Path) -> bool:
    return path.suffix.lower() == ".csv" or path.exists()


def _gate(path: Path | None, tolerance: float | None) -> Gate:
    from benchmark.config import validate
    from benchmark.reports.gate import Gate, load_gate

    if path is None:
        return validate(Gate, {} if tolerance is None else {"tolerance": tolerance}, "compare")
    if tolerance is not None:
        raise UserError("--tolerance", "is what the gate's YAML says", f"write it into {path}")
    return load_gate(path)


def _of_files(old: Path, new: Path, gate: Gate) -> Comparison:
    from benchmark.records.losses import once
    from benchmark.records.table import read_results
    from benchmark.reports.changes import compare as compare_tables
    from benchmark.reports.judgement import judge

    if not old.suffix and not old.exists():
        cure = f"of git revisions, use: benchmark compare {old}..{new}"
        raise UserError(str(old), "no such file", cure)
    before, after = read_results(old), read_results(new)
    warn = once()
    sides = _side(old, before, gate, warn), _side(new, after, gate, warn)
    return judge(compare_tables(before, after, gate), *sides)


def _side(path: Path, table: DataFrame, gate: Gate, warn: Callable[[str], None]) -> Side:
    """Read what a file's rows are judged by: of the MAE only where its verdict is asked for."""
    from benchmark.records.losses import read_losses
    from benchmark.reports.judgement import Side

    losses: dict[Metric, Losses] = {"mse": read_losses(path, table, "mse", warn)}
    if gate.significant_only:
        losses["mae"] = read_losses(path, table, "mae", warn)
    return Side(table, losses)


def _of_revisions(revisions: str, patterns: list[str], gate: Gate) -> tuple[Comparison, str]:
    from benchmark.records.losses import once
    from benchmark.records.revisions import results_between
    from benchmark.reports.changes import compare as compare_tables
    from benchmark.reports.changes import merge
    from benchmark.reports.judgement import judge

    by_file, warn = {}, once()
    for name, tables in results_between(revisions, patterns).items():
        # Runs' folders are not committed, but those still here may be of either revision.
        old, new = (_side(Path(name), table, gate, warn) for table in tables)
        by_file[name] = judge(compare_tables(*tables, gate), old, new)
    return merge(by_file), f"{revisions}: {', '.join(by_file)}"


def _beside_published(csv: Path | None, results: Path, markdown: bool) -> None:
    from benchmark.records.losses import once, read_losses
    from benchmark.records.store import Store
    from benchmark.records.table import read_results
    from benchmark.reports.published import compare_published, read_published
    from benchmark.reports.published_tables import print_published, to_markdown

    path = csv or Store(results).csv_of_runs()
    rows, warn = read_results(path), once()
    losses = {
        "mse": read_losses(path, rows, "mse", warn),
        "mae": read_losses(path, rows, "mae", warn),
    }
    figures = read_published(PUBLISHED)
    beside = compare_published(rows, figures, losses)
    if beside.matches.empty:
        typer.echo("NOT COMPARABLE: no run is done")
        raise typer.Exit(INCOMPARABLE)
    if markdown:
        typer.echo(to_markdown(beside), nl=False)
    else:
        print_published(beside, make_console())
