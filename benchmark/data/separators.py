"""A table below other lines, or with other separators than commas, and the line that mends it.

Where semicolons separate columns, decimal commas and times with the day first are common, so they
are looked for as well, and so is UTF-16: one line of pandas mends all of it, instead of an error
for each, and no line reads with commas what has other separators.
"""

from __future__ import annotations

import csv
import re
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.data.dates import DayOrder, day_order, if_sure
from benchmark.data.files import encoding_of, opened_text
from benchmark.data.marks import Marks, number_marks
from benchmark.data.rewrite import assigned, rewritten
from benchmark.errors import UserError

LOOKED_AT = 5_000_000
"""Bytes of a file: enough for days above 12, which tell the number of the day from the month's."""

UTF_16 = BOM_UTF16_LE, BOM_UTF16_BE
"""How a text in UTF-16 begins, as Excel and PowerShell write it."""

TOP = 100
"""Lines among which the one is looked for that names the columns."""

_SEPARATORS = ";\t|"
_TOLD = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_NUMBER = re.compile(r"[-+.]*\d")


def separator_fault(path: Path, first_line: bytes) -> UserError | None:
    """Describe a table that does not begin in the first line, or has other separators than commas.

    Excel may be told of the separator by a line of its own, ``sep=;``, even where it is a comma.

    Args:
        path: the file.
        first_line: of it.

    Returns:
        The fault; None where it is a table of commas from its first line on.
    """
    wide = first_line.startswith(UTF_16)
    with opened_text(path) as stream:
        content = stream.read(LOOKED_AT) if wide else b"".join(islice(stream, TOP))
    top = content.decode("utf-16" if wide else "utf-8-sig", "replace").splitlines()[:TOP] or [""]
    what, options = _layout(top)
    if not what and not wide:
        return None
    text, encoding = _decoded(path, wide)
    options |= encoding
    separator, line = options.get("sep", ","), options.get("skiprows", 0)
    lines = text.splitlines()[line:]
    torn = _torn(lines, separator)
    if torn is not None:
        first, last = (line + place for place in torn)
        what = f"begins a cell in quotes that goes on behind them in line {last}"
        return UserError(f"{path}: line {first}", what, "delete the quotes that quote nothing")
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        rows = []
    names, rows = rows[0] if rows else [], rows[1:]
    twice = next((name for name in names if name.strip() and names.count(name) > 1), None)
    if twice is not None:  # pandas would rename one of them without a word
        return UserError(f"{path}: line {line + 1}", f"names column '{twice}' twice", "rename one")
    marks, own, doubts = _cells_as(names, rows, separator)
    options |= own
    marked = _left_marked(path, options, marks)
    change = "".join(assigned(column, marks.removed(column)) for column in marked)
    header = first_line.decode(options.get("encoding", "utf-8-sig"), "replace").rstrip()
    what = "is UTF-16 text" if wide else f"{what}: {header!r:.60}"
    deed = "write it as utf-8" if wide else "mend it"
    cure = if_sure(rewritten(path, deed, change, **options), doubts)
    return UserError(f"{path}: line 1", ", and ".join([what, *doubts]), cure)


def _cells_as(
    names: Sequence[str], rows: Sequence[Sequence[str]], separator: str
) -> tuple[Marks, dict[str, Any], dict[str, str]]:
    """The marks of numbers; how cells are written, as pandas is told of it; and see `if_sure`."""
    columns = {
        name: [row[place].strip() for row in rows if place < len(row)]
        for place, name in enumerate(names)
    }
    marks = Marks()
    doubts: dict[str, str] = {}
    if separator != ",":  # of commas inside cells, `adoption.numbers` says what they may be
        marks, doubts = number_marks(columns.values())
    texts = _gapped(columns) | marks.kept_as_texts(columns.items())
    options: dict[str, Any] = marks.options() | ({"dtype": texts} if texts else {})
    dates = _dates(rows)
    if dates is not None:
        place, order = dates
        options |= {"parse_dates": [place]} | order.options()
        doubts |= order.doubts
    return marks, options, doubts


def _layout(lines: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """What is unlike a CSV in the first lines, and how `pandas.read_csv` is told of it.

    What is unlike one is empty where nothing is.
    """
    told = _TOLD.fullmatch(lines[0].strip())
    if told:
        return "is a word to Excel", {"sep": told[1], "skiprows": 1}
    above, mark = _above(lines)
    if above:
        options: dict[str, Any] = {"sep": mark} if mark != "," else {}
        what = f"stands above the columns' names, which are in line {above + 1}"
        return what, options | {"skiprows": above}
    separators = [mark for mark in _SEPARATORS if mark in lines[0]]
    if separators and "," not in lines[0]:
        return "has no comma", {"sep": separators[0]}
    return "", {}


def _decoded(path: Path, wide: bool) -> tuple[str, dict[str, str]]:
    """The first lines of a file, and its encoding as `pandas.read_csv` is told of it."""
    with opened_text(path) as stream:
        content = stream.read(LOOKED_AT)
    if wide:
        return content.decode("utf-16", "replace"), {"encoding": "utf-16"}
    try:
        return content[: content.rfind(b"\n") + 1].decode("utf-8-sig"), {}
    except UnicodeDecodeError:
        encoding = encoding_of(path)
        return content.decode(encoding), {"encoding": encoding}


def _above(lines: Sequence[str]) -> tuple[int, str]:
    """How many lines stand above the columns' names, and what separates these.

    The names are the first row of as many cells as most rows have, each of them a word. Empty cells
    at the end do not count: a spreadsheet writes some behind every row, and a last column may have
    nothing but its name.
    """
    for mark in f",{_SEPARATORS}":
        try:
            rows = [_cells(row) for row in csv.reader(lines, delimiter=mark)]
        except csv.Error:
            continue
        width, _ = Counter(map(len, rows)).most_common(1)[0]
        if width < 2:
            continue
        whole = [len(row) >= width and all(row) and row[0][0] != "#" for row in rows]
        named = [w and not any(map(_NUMBER.match, row)) for w, row in zip(whole, rows, strict=True)]
        if whole[0] or True in named:
            return 0 if whole[0] else named.index(True), mark
    return 0, ","


def _cells(row: Sequence[str]) -> list[str]:
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _torn(lines: Sequence[str], separator: str) -> tuple[int, int] | None:
    """Where a cell in quotes begins and ends, lines later, though more of it follows; or None.

    Two quotes in different rows make one cell of all between, which pandas reads without a word.
    """
    reader, whole = csv.reader(lines, delimiter=separator, strict=True), 0
    try:
        for _ in reader:
            whole = reader.line_num
    except csv.Error as error:
        if reader.line_num > whole + 1 and "expected after" in str(error):
            return whole + 1, reader.line_num
    return None


def _left_marked(path: Path, options: Mapping[str, Any], marks: Marks) -> list[str]:
    """Columns of numbers that pandas leaves as texts, marks and all: one cell of the file does it.

    Args:
        path: the file; all of it is read, as that cell may stand anywhere.
        options: of `pandas.read_csv`.
        marks: of the numbers; told among the options.
    """
    import pandas as pd

    if marks == Marks():
        return []
    reading = {name: options[name] for name in options.keys() & {"sep", "skiprows", "encoding"}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            table = pd.read_csv(
                path, dtype="str", keep_default_na=False, index_col=False, **reading
            )
    except ValueError:  # no table: to mend it tells so
        return []
    others = [name for name in table if name not in options.get("dtype", {})]
    return [name for name in others if marks.left_by_pandas(Counter(table[name]))]


def _gapped(columns: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Whole numbers with gaps are read as texts: pandas would make 2021.0 of a year."""
    gapped = {}
    for name, column in columns.items():
        cells = set(column)
        if "" in cells and len(cells) > 1 and all(cell.isdigit() for cell in cells if cell):
            gapped[name] = "str"
    return gapped


def _dates(rows: Sequence[Sequence[str]]) -> tuple[int, DayOrder] | None:
    """Which column holds times that do not begin with the year, and how they are read."""
    for place in range(min(map(len, rows), default=0)):
        order = day_order([row[place] for row in rows])
        if order:
            return place, order
    return None
