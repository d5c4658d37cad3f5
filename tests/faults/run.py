"""Do a small suite harm, as often as one likes: ``python tests/faults/run.py --write TABLE.md``.

Prints, for each fault, how often it was tried, how often the results were those of an undisturbed
suite in the end, how many rows were lost, and the seconds that it took. What does not go as it
should ends it with a traceback.
"""

from __future__ import annotations

import argparse
import csv
import platform
import random
import shlex
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import models
import stops
import storage
from outcome import Outcome, Skipped

from benchmark.reports.tables import Cell, Column, Table, markdown

Fault = Callable[[Path, int, random.Random], Outcome]
FAULTS: dict[str, tuple[Fault, int]] = {
    "killed": (stops.killed, 50),
    "training_killed": (stops.training_killed, 10),
    "two_at_once": (stops.two_at_once, 5),
    "full": (storage.full, 5),
    "read_only": (storage.read_only, 5),
    "flipped": (storage.flipped, 27),
    "cut": (storage.cut, 9),
    "csv_damaged": (storage.csv_damaged, 6),
    "data_damaged": (storage.data_damaged, 5),
    "interrupted_once": (stops.interrupted_once, 5),
    "interrupted_twice": (stops.interrupted_twice, 5),
    "out_of_memory": (models.out_of_memory, 2),
    "not_a_number": (models.not_a_number, 2),
    "endless": (models.endless, 2),
    "clock_jumps": (models.clock_jumps, 2),
    "workers_killed": (stops.workers_killed, 5),
    "ray_workers_killed": (stops.ray_workers_killed, 3),
}
"""Each fault, and how often it is tried unless told otherwise."""

COLUMNS = ("fault", "tried", "survived", "rows lost", "seconds")
ORIGIN = ("command", "date and versions")
INTRO = (
    "A small suite (6 runs of two models, or 2 of a slow one) is done harm, and where that ended "
    "it the same command is given again. Survived: in the end every row is that of an undisturbed "
    "suite, bit for bit, but for seconds, memory, joules and the time of day."
)


def write(path: Path, row: dict[str, str]) -> None:
    """Add a row to a table, as CSV and as Markdown; or put it in place of that of an earlier day.

    Args:
        path: of the Markdown file.
        row: by `COLUMNS` and `ORIGIN`.
    """
    data = path.with_suffix(".csv")
    rows = {}
    if data.exists():
        with data.open(encoding="utf-8", newline="") as stream:
            rows = {each["fault"]: each for each in csv.DictReader(stream)}
    rows[row["fault"]] = row
    with data.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, (*COLUMNS, *ORIGIN), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
    table = Table(
        title="Faults",
        columns=tuple(Column(name, number=name != "fault") for name in COLUMNS),
        rows=tuple(tuple(Cell(each[name]) for name in COLUMNS) for each in rows.values()),
        intro=(INTRO,),
        notes=tuple(
            dict.fromkeys(
                note
                for each in rows.values()
                for note in (f"Made by: {each['command']}", f"With: {each['date and versions']}")
            )
        ),
    )
    path.write_text(markdown(table), encoding="utf-8")


def origin() -> tuple[str, str]:
    """The command, and the day with the versions."""
    return (
        shlex.join(["python", *sys.argv]),
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, Python {platform.python_version()}, "
        f"torch {version('torch')}, version {version('ts-benchmark')} of this package",
    )


def main() -> None:
    """Parse the command line and try the faults one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--times", type=int, help="of each fault; default: what each has")
    parser.add_argument("--seed", type=int, default=1, help="of moments and places")
    parser.add_argument("--write", type=Path, metavar="TABLE.md", help="and TABLE.csv beside it")
    given = parser.parse_args()
    for name in given.faults:
        fault, times = FAULTS[name]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                found = fault(Path(folder), given.times or times, random.Random(given.seed))
            except Skipped as why:
                sys.stdout.write(f"{name} was not tried: {why}.\n")
                continue
        counts = (found.tried, found.survived, found.lost, round(found.seconds))
        texts = (found.fault, *map(str, counts))
        sys.stdout.write(f"{name}: {', '.join(texts)}\n")
        sys.stdout.flush()
        if given.write:
            row = zip((*COLUMNS, *ORIGIN), (*texts, *origin()), strict=True)
            write(given.write, dict(row))


if __name__ == "__main__":
    main()
