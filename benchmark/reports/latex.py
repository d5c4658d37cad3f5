"""A leaderboard as LaTeX tables in the style of booktabs, for a paper."""

from __future__ import annotations

import re

from benchmark.reports.tables import LONGEST_CELL, LONGEST_LINE, Cell, Table, plain
from benchmark.reports.ties import TIED

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    TIED: r"$\approx$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_SPECIAL = re.compile("[" + re.escape("".join(_ESCAPES)) + "]")
_COMMENT = "% needs \\usepackage{booktabs}\n"


def escape_latex(text: str, longest: int = LONGEST_LINE) -> str:
    r"""Escape what LaTeX would take for an instruction.

    >>> escape_latex("gru_plain 50%")
    'gru\\_plain 50\\%'
    """
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], plain(text, longest))


def to_latex(tables: list[Table]) -> str:
    """Write tables as floats: caption, rows, and below in small type what they mean."""
    return _COMMENT + "\n".join(map(_float, tables))


def _float(table: Table) -> str:
    columns = "".join("r" if column.number else "l" for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line([escape_latex(column.title) for column in table.columns]),
        r"\midrule",
        *(_line([_cell(cell) for cell in row]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(
            rf"\par\smallskip{{\footnotesize {escape_latex(text)}\par}}"
            for text in (*table.intro, *table.notes)
        ),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    if cells[0].startswith("["):  # after \\ a bracket would be an optional length
        cells = ["{}" + cells[0], *cells[1:]]
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    text = escape_latex(cell.text, LONGEST_CELL)
    if cell.mark == "best":
        return rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if cell.mark == "second" else text
