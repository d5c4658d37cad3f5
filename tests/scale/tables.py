"""How measurements of growth are written: as CSV, and as a table with exponents of growth."""

from __future__ import annotations

import csv
import math
import shlex
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmark.reports.tables import Cell, Column, Table, markdown

MEANING = (
    "Each line is a process of its own, its start and imports included. Growth is the exponent "
    "from the next smaller size to this one: 1 is linear, 0 does not grow. Peak MB is the "
    "process's largest resident size, a mapped file's pages included, which the system takes back "
    "where it needs them.",
)


@dataclass(frozen=True)
class Measured:
    """One measurement: what, of which size, and what it took."""

    what: str
    size: str
    amount: int
    seconds: float
    peak_mb: float


def write(path: Path, title: str, intro: tuple[str, ...], found: list[Measured]) -> None:
    """Write measurements as CSV and Markdown, if there are any."""
    if not found:
        return

    import torch  # not above: what is measured would import it, too

    from benchmark.harness.machine import hardware

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("what", "size", "amount", "seconds", "peak_mb"))
        writer.writerows(
            (one.what, one.size, one.amount, f"{one.seconds:.2f}", f"{one.peak_mb:.0f}")
            for one in found
        )
    command = shlex.join(["python", "tests/scale/run.py", *sys.argv[1:]])
    made = f"\nMade by `{command}` on {hardware(torch.device('cpu'))}; {_versions()}.\n"
    path.with_suffix(".md").write_text(table(title, intro, found) + made, encoding="utf-8")


def table(title: str, intro: tuple[str, ...], found: list[Measured]) -> str:
    """Lay out the measurements, each with the exponent of its growth since the smaller size."""
    rows = []
    names = list(dict.fromkeys(one.what for one in found))
    for one in sorted(found, key=lambda each: names.index(each.what)):
        before = [each for each in found if each.what == one.what and _is_smaller(each, one)]
        growth = ["-", "-"]
        if before:
            last = before[-1]
            more = math.log(one.amount / last.amount)
            growth = [
                f"{math.log(getattr(one, name) / getattr(last, name)) / more:.2f}"
                for name in ("seconds", "peak_mb")
            ]
        rows.append((one.what, one.size, f"{one.seconds:.1f}", f"{one.peak_mb:,.0f}", *growth))
    titles = ("what", "size", "seconds", "peak MB", "growth of time", "growth of memory")
    return markdown(
        Table(
            title=title,
            columns=tuple(Column(title, number=place > 1) for place, title in enumerate(titles)),
            rows=tuple(tuple(map(Cell, row)) for row in rows),
            intro=(*MEANING, *intro),
        ),
        level=1,
    )


def _is_smaller(one: Measured, other: Measured) -> bool:
    """Whether two sizes are of one kind, and the first is the smaller: more rows, or channels."""
    same = [a == b for a, b in zip(one.size.split(" x "), other.size.split(" x "), strict=True)]
    return one.amount < other.amount and (len(same) == 1 or any(same))


def _versions() -> str:
    names = ("numpy", "pandas", "torch", "lightning")
    python = ".".join(map(str, sys.version_info[:3]))
    return ", ".join([f"Python {python}", *(f"{name} {version(name)}" for name in names)])
