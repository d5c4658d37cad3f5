"""The command that makes a data set of a user's own file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.options import check_output, make_console, tell
from benchmark.errors import UserError
from benchmark.words import command_line

if TYPE_CHECKING:
    from benchmark.data.adoption.adopt import Proposal
    from benchmark.data.adoption.mend import Mended

SHOWN = 12  # channels named in the table
USUAL = 336  # lookback and horizon of a run that says nothing of them
SHORT = 12  # horizon for a short series without a season


def datasets_add(
    file: Annotated[Path, typer.Argument(help="A CSV, a gzip of one, or a Parquet file.")],
    name: Annotated[str | None, typer.Option(help="The data set's; default: the file's.")] = None,
    time_column: Annotated[str | None, typer.Option(help="The column of times.")] = None,
    frequency: Annotated[str | None, typer.Option(help="The time step, e.g. 15min.")] = None,
    season: Annotated[int | None, typer.Option(min=1, help="Steps in a season.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a data set of the same name.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, but write nothing.")] = False,
) -> None:
    """Make a data set of a file of your own.

    Finds its times, channels, gaps and season, says what it assumes, and writes a card with a copy
    of the data beside it, into the data folder, BENCHMARK_DATA. Then all models run on it.

    Example: benchmark datasets add my_series.csv --season 24 --dry-run
    """
    from benchmark.data.adoption.adopt import adopt, propose
    from benchmark.data.frames import as_csv

    with as_csv(file) as csv:
        proposal = propose(
            csv,
            name=name,
            time_column=time_column,
            frequency=frequency,
            season=season,
            label=file.name,
        )
        outcome = "not written" if dry_run else adopt(proposal, force)
    console = make_console()
    _print_table(proposal)
    tell(console, f"Card ({outcome}): {proposal.card_path}")
    tell(console, f"Data: {proposal.data}")
    before = "the same without --dry-run, then " if dry_run else ""
    tell(console, f"Next: {before}{_next(proposal)}")


def datasets_mend(
    file: Annotated[Path, typer.Argument(help="A CSV, a gzip of one, or a Parquet file.")],
    output: Annotated[
        Path | None, typer.Option(help="The CSV to write; default: FILE_clean.csv beside it.")
    ] = None,
    time_column: Annotated[str | None, typer.Option(help="The column of times.")] = None,
) -> None:
    """Write a copy of a file that can be added, or forecast from.

    Corrects what needs no decision, and shows it: separators and decimal commas, how times are
    written, the order of rows, series below one another (long format), lines around the table. The
    file itself stays as it is. Exits with 2 if something is left that only you can decide.

    Example: benchmark datasets mend export.csv --output my_series.csv
    """
    from benchmark.data.adoption.adopt import name_of
    from benchmark.data.adoption.mend import mend, refusal
    from benchmark.data.frames import as_csv
    from benchmark.data.rewrite import cleaned
    from benchmark.files import check_writable

    console = make_console()

    def show(one: Mended) -> None:
        tell(console, f"{one.place}: {one.what}".removeprefix(": "))
        tell(console, f"    {one.how.shown}", style="green")

    with as_csv(file) as csv:
        new = output or cleaned(file)
        if output is None and os.path.lexists(new):  # you may have gone on in it by hand
            raise UserError(str(new), "is there already", "remove it, or name another: --output")
        check_output(new, ".csv", read=[file])
        check_writable(new)
        done = mend(csv, new, time_column, show)
    if not done:
        tell(console, f"Nothing to mend: {file}")
    tell(console, f"Written: {new}")
    refused = refusal(new, time_column)
    if refused:
        tell(console, f"Note: it cannot be added as it is: {refused}", style="yellow")
        return
    tell(console, f"Next: {command_line('datasets', 'add', new, name=name_of(file))}")


def _print_table(proposal: Proposal) -> None:
    from rich.table import Table

    table = Table("", "assumed", "to change", box=None, pad_edge=False)
    for row in _rows(proposal):
        table.add_row(*row)
    make_console().print(table, markup=False, highlight=False)


def _rows(proposal: Proposal) -> list[tuple[str, str, str]]:
    import numpy as np

    from benchmark.data.missing import longest_gap
    from benchmark.data.remarks import remarks
    from benchmark.data.zones import put_forward_zone
    from benchmark.words import listed, time_text

    card, found, season = proposal.card, proposal.found, proposal.season
    times, gaps = found.table.timestamps, np.isnan(found.table.values)
    first, last = (time_text(times[row]) for row in (0, -1))
    names = found.table.channels
    rows = [
        ("time column", str(card.time_column), "--time-column NAME"),
        ("frequency", f"{card.frequency}: {len(times):,} rows, {first} to {last}", "--frequency"),
        (
            "channels",
            f"{len(names)}: {listed(names, most=SHOWN)}",
            "channels, left_out in the card",
        ),
    ]
    left_out = found.left_out.items()
    rows += [("left out", f"{column or '(no name)'}: {why}", "") for column, why in left_out]
    if found.absent:
        zone = put_forward_zone(times, found.table.values)
        told = f"; a clock of {zone} skips some: local, an hour off in summer" if zone else ""
        text = f"{found.absent:,}, whose values are missing{told}"
        rows.append(("absent times", text, "times in UTC" if zone else ""))
    if card.missing == "mask":
        text = f"masked: {gaps.sum():,} of {gaps.size:,} values ({gaps.mean():.2%}), at most "
        text += f"{max(longest_gap(column)[1] for column in gaps.T):,} in a row"
        rows.append(("missing", text, "missing in the card"))
    else:
        rows.append(("missing", "nothing", ""))
    others = [
        f"{length}: {r:.2f}" for length, r in season.correlations.items() if length != season.length
    ]
    text = f"{season.length} steps" if season.length > 1 else "none, 1 step"
    if season.length in season.correlations:
        text += f", autocorrelation {season.correlations[season.length]:.2f}"
    text += f" ({', '.join(others)})" if others else ""
    text += "" if season.seen else "; it does not stand out"
    rows.append(("season", text, "--season STEPS"))
    borders = card.splits.borders(len(gaps))
    cures = {"constant": "left_out in the card"}
    for label, text in remarks(names, found.table.values, borders["train"]).items():
        rows.append((label, text, cures.get(label, "")))
    text = ", ".join(f"{split} {rows.start:,}-{rows.stop:,}" for split, rows in borders.items())
    return [*rows, ("splits", text, "splits in the card")]


def _next(proposal: Proposal) -> str:
    """A command that runs: of a short series, on windows that fit into it."""
    card = proposal.card
    sets = [f"dataset={card.name}"]
    borders = card.splits.borders(len(proposal.found.table.values))
    held_out, train = min(len(borders["val"]), len(borders["test"])), len(borders["train"])
    if held_out >= USUAL and train >= 2 * USUAL:
        return command_line("run", "ridge", set=sets)
    steps = card.season if card.season > 1 else SHORT
    horizon = max(1, min(steps, held_out // 2))
    half = train // 2  # the other leaves windows to fit on
    least = steps if card.season > 1 else min(steps, half)  # a season, for who repeats it
    lookback = 2 * steps if 2 * steps <= half else least
    lookback = max(1, min(lookback, train - horizon))
    sets += [f"lookback={lookback}", f"horizon={horizon}"]
    return command_line("run", "ridge", set=sets)
