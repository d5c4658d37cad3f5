"""A table and its rendering as Markdown. Numbers, marks and escapes live here.

A report builds a `Table` of plain texts and says which cells are best and second; what a mark looks
like, and what would be an instruction to Markdown, a terminal or a spreadsheet, only this file and
`benchmark.reports.terminal` know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MISSING = "-"
Mark = Literal["", "best", "second", "bad"]

_MARKDOWN_CHARACTERS = re.compile(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))")
_HARMLESS = re.compile(r"[A-Za-z0-9.,+±%/()-]{1,300}")


MOST_PRINTED = 300
"""Rows of one kind that a command shows on a terminal, the most telling first; files have more."""
MOST_DECIMALS = 8
EXPONENT = -1
"""In place of decimals: a power of ten, where `MOST_DECIMALS` would not tell values apart."""
LONGEST_CELL = 300
"""Characters of a cell or an error's text; what is longer was never meant for a table."""
LONGEST_LINE = 4000
"""Characters of a note, which may name every row of a table."""


@dataclass(frozen=True)
class Cell:
    """A text of a table and how it stands out."""

    text: str
    mark: Mark = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: a line a word on the terminal.
        number: whether it holds numbers, set right.
        spare: how soon a narrow terminal goes without it: the highest first, 0 never.
    """

    title: str
    number: bool = True
    spare: int = 0


@dataclass(frozen=True)
class Table:
    """A titled table, with what must be read before it and after it.

    A note that begins with a column's title and a colon goes where that column goes.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    intro: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def by_column(
    title: str,
    columns: Mapping[Column, Iterable[Cell]],
    intro: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Table:
    """Lay out a table whose columns each come with their cells, from top to bottom."""
    rows = tuple(zip(*columns.values(), strict=True))
    return Table(title, tuple(columns), rows, tuple(intro), tuple(notes))


def number(value: float, decimals: int = 4) -> str:
    """Write a number with fixed decimals or `EXPONENT`; '-' where there is none."""
    return f"{value:{_form(value, decimals, 'z')}}" if math.isfinite(value) else MISSING


def signed(value: float, decimals: int = 4) -> str:
    """Write a difference as `number` writes what differs; its sign stays where it rounds to 0."""
    return f"{value:+{_form(value, decimals)}}" if math.isfinite(value) else MISSING


def _form(value: float, decimals: int, zero: str = "") -> str:
    """How Python formats a number: a huge one has an exponent among those with decimals, too."""
    return ".3e" if decimals == EXPONENT or abs(value) >= 1e5 else f"{zero}.{decimals}f"


def decimals_for(values: Iterable[float]) -> int:
    """How many decimals tell a column's values apart: 4, or of its smallest four digits that count.

    Below 0.00001 these are too many to read: the whole column has an `EXPONENT` then.

    >>> decimals_for([0.1234, 0.9]), decimals_for([0.02391, 0.9]), decimals_for([0.0])
    (4, 5, 4)
    >>> decimals_for([2.5e-7, 0.9]) == EXPONENT
    True
    """
    smallest = min((value for value in values if 0 < value < math.inf), default=1.0)
    needed = max(4, 3 - math.floor(math.log10(smallest)))
    return needed if needed <= MOST_DECIMALS else EXPONENT


def mean_and_std(mean: float, std: float, decimals: int = 4) -> str:
    """Write ``mean±std``, or the mean alone where one seed has no spread."""
    spread = "" if math.isnan(std) else f"±{number(std, decimals)}"
    return number(mean, decimals) + spread


def amount(value: float) -> str:
    """Write a cost with three significant digits, e.g. 0.0123, 4.56, 12,345; below 0.001 as 0."""
    if not math.isfinite(value):
        return MISSING
    if value < 1e-3:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def count(value: float) -> str:
    """Write a number of parameters in at most six characters, e.g. 768, 12.3k, 4.56M."""
    if not math.isfinite(value):
        return MISSING
    for scale, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g}{suffix}" if value < 999.5 * scale else f"{value:.2e}"
    return f"{value:.0f}"


def share(value: float) -> str:
    """Write a share, e.g. 90.1%; '-' where there is none."""
    return f"{100 * value:.1f}%" if math.isfinite(value) else MISSING


def percent(change: float) -> str:
    """Write a relative difference, e.g. +1.2%; '-' where there is none."""
    return MISSING if math.isnan(change) else f"{100 * change:+z.1f}%"


def marks(values: Sequence[float], decimals: int = 4, lower_is_better: bool = True) -> list[Mark]:
    """Mark the best and the second best of a metric; what looks equal is marked equally.

    Args:
        values: one a row; NaN is never marked.
        decimals: of the printed numbers, or `EXPONENT`.
        lower_is_better: whether the smallest value is the best.
    """
    sign = 1 if lower_is_better else -1
    shown = [
        sign * float(number(value, decimals)) if math.isfinite(value) else math.nan
        for value in values
    ]
    ordered = sorted({value for value in shown if math.isfinite(value)})
    names: dict[float, Mark] = dict(zip(ordered, ("best", "second"), strict=False))
    return [names.get(value, "") for value in shown]


def plain(text: str, longest: int = LONGEST_CELL) -> str:
    """Make one printable line of any text: no line break, no control or direction character."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= longest else line[: longest - 3] + "..."


def escape_markdown(text: str, longest: int = LONGEST_LINE) -> str:
    """Escape what Markdown, and the HTML in it, would take for an instruction."""
    if _HARMLESS.fullmatch(text):  # most cells are numbers
        return text
    line = plain(text, longest).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN_CHARACTERS.sub(r"\\\1", line)


def escape_formula(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run as a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def short_fingerprints(fingerprints: Iterable[str], shortest: int = 8) -> dict[str, str]:
    """Shorten fingerprints to one length at which they still differ, 8 characters or more."""
    full = sorted(set(fingerprints))
    longest = max(map(len, full), default=0)
    for length in range(shortest, longest):
        if len({one[:length] for one in full}) == len(full):
            return {one: one[:length] for one in full}
    return {one: one for one in full}


def markdown(table: Table, level: int = 2) -> str:
    """Render a table as GitHub Markdown: best in bold, second underlined.

    Args:
        table: the table; its title, intro and notes are plain texts.
        level: of its heading.
    """
    blocks = ["#" * level + " " + escape_markdown(table.title)]
    blocks += [escape_markdown(line) for line in table.intro]
    if table.rows:
        blocks.append(markdown_rows(table))
    if table.notes:
        blocks.append("\n".join("- " + escape_markdown(note) for note in table.notes))
    return "\n\n".join(blocks) + "\n"


def markdown_rows(table: Table) -> str:
    """Render the columns and rows of a table alone."""
    lines = [_line(escape_markdown(column.title) for column in table.columns)]
    lines.append(_line("---:" if column.number else "---" for column in table.columns))
    lines += [_line(map(_markdown_cell, row)) for row in table.rows]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text, LONGEST_CELL)
    if cell.mark == "best":
        return f"**{text}**"
    return f"<u>{text}</u>" if cell.mark == "second" else text
