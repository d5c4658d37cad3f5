"""How numbers are written in a text: their decimal mark, marks of thousands, units beside them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MISSING_CELLS = {
    "", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>",
    "#N/A", "#NA", "-NaN", "-nan",
}  # fmt: skip
"""What stands for a missing value, where a card allows one; pandas reads them all as NaN."""

GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
"""A number with commas between its thousands."""

_DECIMAL = re.compile(r"[-+]?[\d.]*,\d+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}((\.\d{3})+,\d+|(\.\d{3}){2,})")
_POINT = re.compile(r"[-+]?[\d,]*\.(?!\d{3}$)\d+")  # 1.234 may be a thousand
_PLAIN = re.compile(r"[-+]?\d*\.\d+")
_EITHER = re.compile(r"[-+]?[1-9]\d{0,2}([.,])\d{3}")
_DIGIT = re.compile(r"\d")
_LIKE_NUMBERS = re.compile(r"[-+.,\deE]*")
_UNGROUPED = re.compile(r"[-+]?\d{4,}")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")  # of a machine


def beside(number: str) -> str:
    """Add to the pattern of a number what may stand around it: a sign, a currency, a unit."""
    return rf"\s*[-+(]?\s*[$€£¥]?\s*[-+]?{number}[^\d.,]*"


LIKE_NUMBER = beside("\\d[\\d.,\\s'\u2019]*")
"""A number in whatever style."""

_WITH_UNIT = re.compile(beside(r"([\d.,]+)"))


@dataclass(frozen=True)
class Marks:
    """The marks in the numbers of a text.

    Attributes:
        decimal: before decimals.
        thousands: between thousands; empty where there is none.
    """

    decimal: str = "."
    thousands: str = ""

    def options(self) -> dict[str, str]:
        """What `pandas.read_csv` is told of them."""
        decimal = {} if self.decimal == "." else {"decimal": self.decimal}
        return decimal | ({"thousands": self.thousands} if self.thousands else {})

    def kept_as_texts(self, columns: Iterable[tuple[str, Iterable[str]]]) -> dict[str, str]:
        """Which columns `pandas.read_csv` must read as texts, or the marks of others change theirs.

        It takes all marks of thousands out, wherever they stand: 1.3.2024 would be the number
        132024.

        Args:
            columns: name and cells of each.
        """
        if not self.thousands:
            return {}
        number = self._readable()
        kept = {}
        for name, cells in columns:
            told = {cell.strip().rstrip("-+ ") for cell in cells if _DIGIT.search(cell)}
            if not all(map(_LIKE_NUMBERS.fullmatch, told)):
                continue
            if not all(map(number.fullmatch, told)) or _are_addresses(told):
                kept[name] = "str"
        return kept

    def left_by_pandas(self, cells: Mapping[str, int]) -> bool:
        """Whether `pandas.read_csv` leaves a column of numbers as texts, with their marks.

        It does where a single other cell stands among them: a unit, or what means missing. Read
        once more, without the marks, 3.204 is no longer three thousand. Not where they are of two
        styles.

        Args:
            cells: how often each cell stands in the column.
        """
        told = Counter({c.strip(): n for c, n in cells.items() if c.strip() not in MISSING_CELLS})
        readable = self._readable()
        if all(_DIGIT.search(cell) and readable.fullmatch(cell) for cell in told):
            return False
        written = re.compile(beside(self._number()))
        numbers = {cell: count for cell, count in told.items() if written.fullmatch(cell)}
        if any(map(re.compile(LIKE_NUMBER).fullmatch, told.keys() - numbers.keys())):
            return False  # one written otherwise
        marked = any(mark in cell for cell in numbers for mark in self.decimal + self.thousands)
        return marked and 2 * sum(numbers.values()) >= told.total()

    def removed(self, column: str) -> str:
        """Write the numbers of a column plainly, and no other cell: an expression of table `t`."""
        cells = f"t[{column!r}]"
        plain = f"{cells}.str.replace({self.thousands!r}, '')" if self.thousands else cells
        plain += f".str.replace({self.decimal!r}, '.')" if self.decimal != "." else ""
        number = rf"[^\d.,]*{self._number()}[^\d.,]*"
        return f"{cells}.mask({cells}.str.fullmatch({number!r}, na=False), {plain})"

    def _number(self) -> str:
        """A number so written."""
        return rf"(\d+{self._or_grouped()})({re.escape(self.decimal)}\d+)?"

    def _readable(self) -> re.Pattern[str]:
        """What pandas takes for a number, told of these marks."""
        whole, mark = rf"\d*{self._or_grouped()}", re.escape(self.decimal)
        return re.compile(rf"[-+]?(?:{whole})(?:{mark}\d*)?(?:[eE][-+]?\d+)?")

    def _or_grouped(self) -> str:
        mark = re.escape(self.thousands)
        return rf"|[1-9]\d{{0,2}}({mark}\d{{3}})+" if mark else ""


def number_marks(columns: Iterable[Sequence[str]]) -> tuple[Marks, dict[str, str]]:
    """How numbers are written; and see `dates.if_sure`.

    Args:
        columns: the cells of each.
    """
    columns = [[_bare(cell) for cell in column] for column in columns]
    columns = [column for column in columns if not _are_addresses(column)]
    cells = [cell for column in columns for cell in column]
    commas = [cell for cell in cells if _DECIMAL.fullmatch(cell) or GROUPED.fullmatch(cell)]
    if commas and all(map(GROUPED.fullmatch, commas)):
        proof = any(map(_POINT.fullmatch, cells)) or not all(map(_EITHER.fullmatch, commas))
        if proof and not any(map(_half_grouped, columns)):
            return Marks(thousands=","), {}
        doubt = f"{commas[0]!r} has a comma between its thousands, or a decimal one"
        return Marks(","), {doubt: "put thousands=',' for decimal=',' if it has thousands"}
    plain = any(_PLAIN.fullmatch(cell) and not _EITHER.fullmatch(cell) for cell in cells)
    thousands = [cell for cell in cells if _THOUSANDS.fullmatch(cell)]
    if any("," in cell for cell in thousands) or (thousands and not plain):
        return Marks(",", "."), {}
    if not commas and plain:
        return Marks(), {}
    for column in columns:
        pointed = [cell for cell in column if "." in cell]
        if pointed and all(map(_EITHER.fullmatch, pointed)):
            doubt = f"{pointed[0]!r} has a point between its thousands, or a decimal one"
            other = "leave out thousands='.' if it is decimal"
            return Marks(",", "."), {doubt: other}
    return Marks("," if commas else "."), {}


def _are_addresses(cells: Iterable[str]) -> bool:
    told = [cell for cell in cells if cell]
    return bool(told) and all(map(_ADDRESS.fullmatch, told))


def _half_grouped(cells: Sequence[str]) -> bool:
    """Whether a large number has no mark in it, in a column with commas."""
    return any("," in cell for cell in cells) and any(map(_UNGROUPED.fullmatch, cells))


def _bare(cell: str) -> str:
    """A number without what stands beside it; any other cell as it is."""
    found = _WITH_UNIT.fullmatch(cell)
    return found[1] if found else cell
