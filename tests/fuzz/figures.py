"""What a search over made-up files found, as one table: `run.py` writes it."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmark.reports.tables import Cell, Column, Table, markdown

COLUMNS = (
    Column("reader", number=False),
    Column("files"),
    Column("of these sound"),
    Column("slowest"),
    Column("memory"),
)
PACKAGES = ("hypothesis", "numpy", "pandas", "pydantic", "pyyaml")


@dataclass(frozen=True)
class Tried:
    """A reader and the files that it was tried on; each was read or refused in a line.

    Attributes:
        reader: its name in `READERS`.
        files: how many.
        sound: how many of them were read and not refused.
        slowest: seconds of the processor that one file took at most.
        growth_mb: by how much the process's peak memory grew, what was imported included.
    """

    reader: str
    files: int
    sound: int
    slowest: float
    growth_mb: float

    def texts(self) -> tuple[str, ...]:
        """Write the figures as a row."""
        slowest, growth = f"{1000 * self.slowest:,.0f} ms", f"+{self.growth_mb:,.0f} MB"
        return self.reader, f"{self.files:,}", f"{self.sound:,}", slowest, growth

    def line(self) -> str:
        """Write them for the terminal."""
        reader, files, sound, slowest, growth = self.texts()
        return f"{reader:8} {files:>9} files, {sound:>7} sound, slowest {slowest}, memory {growth}"


def write_figures(
    path: Path, title: str, intro: str, tried: Sequence[Tried], packages: Sequence[str] = PACKAGES
) -> None:
    """Write the table, with the command that makes it, the day and the versions.

    Args:
        path: of the Markdown file.
        title: its heading.
        intro: what was done.
        tried: a row each.
        packages: whose versions are told.
    """
    # loads torch, which no search should wait for
    from benchmark.harness.revision import git_revision

    told = [f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages)]
    total = sum(one.files for one in tried)
    table = Table(
        title=title,
        columns=COLUMNS,
        rows=tuple(tuple(map(Cell, one.texts())) for one in tried),
        intro=(intro, f"{total:,} files in all; none led to anything but a result or a UserError."),
        notes=(
            f"Made by: {shlex.join(['python', *sys.argv])}",
            f"On {datetime.now(UTC):%Y-%m-%d}, at revision {git_revision()}.",
            f"With {', '.join(told)}.",
        ),
    )
    path.write_text(markdown(table, level=1), encoding="utf-8")
