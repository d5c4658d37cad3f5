"""Tables on the terminal: the columns that it has room for, and no number cut."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from benchmark.reports.tables import LONGEST_LINE, Column, Table, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

TEXT_WIDTH = 24
"""Characters that a column of texts asks for; what is longer is broken between its words."""
LONGEST_WORD = 40
"""Characters of a word that is not broken, e.g. of a model's name, while there is room."""
SCORES = 3
"""A column so little to spare stays, if long words broken make room for it."""
SHORTEST_PART = 8
"""Characters of a text to a line on the narrowest terminal."""
_STYLES = {"": "", "best": "bold green", "second": "underline", "bad": "red"}


def print_tables(tables: Iterable[Table], console: Console, *, elsewhere: str = "") -> None:
    """Print tables to the terminal, without the columns that it is too narrow for.

    Args:
        tables: what to print.
        console: where to.
        elsewhere: the option that gives the whole tables; "" where there is none.
    """
    from rich.padding import Padding
    from rich.text import Text

    for table in tables:
        console.print(Text(plain(table.title), style="bold"))
        for line in table.intro:
            console.print(Text(plain(line, LONGEST_LINE), style="dim"))
        left_out = _print_rows(table, console, elsewhere) if table.rows else set()
        for note in table.notes:
            if note.partition(":")[0] in left_out:
                continue
            told, command = _command_at_end(plain(note, LONGEST_LINE))
            console.print(Padding(Text(f"- {told}"), (0, 0, 0, 1)))
            if command:
                console.print(Text(f"   {command}"), soft_wrap=True)
        console.print()


def _command_at_end(note: str) -> tuple[str, str]:
    """Take off the command that a note ends with: broken in two, it could not be copied."""
    told, found, words = note.rpartition(": benchmark ")
    return (f"{told}:", f"benchmark {words}") if found else (note, "")


def _print_rows(table: Table, console: Console, elsewhere: str) -> set[str]:
    """Print the rows and return the titles of the columns left out."""
    from rich.text import Text

    widths = _widths(table)
    kept, gap = _fitting(table.columns, widths, console.width)
    room = console.width - _width([0] * len(kept), gap)
    allotted = _allotted(table.columns, {place: widths[place] for place in kept}, room)
    console.print(_grid(table, allotted, gap), crop=False)
    gone = [place for place in range(len(widths)) if place not in kept]
    if gone:
        console.print(Text(_left_out(table, gone, elsewhere), style="dim"))
    return {table.columns[place].title for place in gone}


def _widths(table: Table) -> list[tuple[int, int]]:
    """The least characters of each column, which break no word, and those of all its text."""
    from rich.cells import cell_len

    found = []
    for place, column in enumerate(table.columns):
        texts = [plain(row[place].text) for row in table.rows]
        words = [*_lines(column.title), *(word for text in texts for word in text.split())]
        longest = max(map(cell_len, words), default=0)
        whole = max(longest, *map(cell_len, texts))
        # a number that is cut in two cannot be read
        found.append((whole if column.number else min(longest, LONGEST_WORD), whole))
    return found


def _lines(title: str) -> list[str]:
    """A column's title, a line a word; windows/s is two."""
    return title.replace("/", "/ ").split()


def _fitting(
    columns: Sequence[Column], texts: Sequence[tuple[int, int]], room: int
) -> tuple[list[int], int]:
    """Which columns fit side by side, and the gap between them; of equals the last goes first.

    A long word is broken rather than a score left out, but not for what is more easily spared.
    """
    widths = {
        place: max(least, min(whole, TEXT_WIDTH)) for place, (least, whole) in enumerate(texts)
    }
    for gap in (2, 1):  # closer together before anything is left out
        if _width(widths.values(), gap) <= room:
            return list(widths), gap
    while _width(widths.values(), 1) > room:
        spare, last = max((columns[place].spare, place) for place in widths)
        if spare <= SCORES:
            widths = {
                place: width if columns[place].number else min(width, TEXT_WIDTH)
                for place, width in widths.items()
            }
            if _width(widths.values(), 1) <= room or not spare:
                break
        del widths[last]
    return list(widths), 1


def _width(widths: Collection[int], gap: int) -> int:
    """Characters of columns side by side."""
    edges = 2
    return sum(widths) + gap * (len(widths) - 1) + edges


def _allotted(
    columns: Sequence[Column], widths: Mapping[int, tuple[int, int]], room: int
) -> dict[int, int]:
    """Share the room out: texts get what numbers leave them, if need be less than their words."""
    shares = {place: least for place, (least, _) in widths.items()}
    texts = [place for place in widths if not columns[place].number]
    while sum(shares.values()) > room:
        widest = max(texts, key=shares.__getitem__, default=None)
        if widest is None or shares[widest] <= SHORTEST_PART:
            break
        shares[widest] -= 1
    while sum(shares.values()) < room:
        short = [place for place in texts if shares[place] < widths[place][1]]
        if not short:
            break
        shares[min(short, key=shares.__getitem__)] += 1
    return shares


def _grid(table: Table, widths: Mapping[int, int], gap: int) -> RichTable:
    """Lay out the columns that have a width; wider than the terminal rather than a number cut."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False)
    grid.width = _width(widths.values(), gap)
    for place, width in widths.items():
        column = table.columns[place]
        justify: Literal["left", "right"] = "right" if column.number else "left"
        title = Text("\n".join(_lines(column.title)))
        grid.add_column(title, justify=justify, no_wrap=column.number, overflow="fold", width=width)
    for row in table.rows:
        cells = (row[place] for place in widths)
        grid.add_row(*(Text(plain(cell.text), style=_STYLES[cell.mark]) for cell in cells))
    return grid


def _left_out(table: Table, gone: Sequence[int], elsewhere: str) -> str:
    """Name the columns that are not shown, and what one says that says the same of all rows."""
    names = []
    for place in gone:
        texts = {plain(row[place].text) for row in table.rows}
        same = f" ({texts.pop()} in all rows)" if len(texts) == 1 else ""
        names.append(table.columns[place].title + same)
    other = f" or {elsewhere}" if elsewhere else ""
    return f"Left out for lack of width: {', '.join(names)}; a wider terminal{other} shows all."
