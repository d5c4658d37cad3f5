"""A ranking as an object of Python: printed, in a notebook or as Markdown."""

from __future__ import annotations

import io
from dataclasses import dataclass

from rich.console import Console

from benchmark.reports.leaderboard import print_table, to_markdown
from benchmark.reports.ranking import Leaderboard

BOARD_WIDTH = 110  # columns of a printed leaderboard


@dataclass(frozen=True, eq=False)
class Board:
    """A ranking, which prints as ``benchmark leaderboard`` does.

    Attributes:
        ranking: its groups, with a data frame of rows each.
    """

    ranking: Leaderboard

    def __str__(self) -> str:
        text = io.StringIO()
        print_table(self.ranking, Console(file=text, width=BOARD_WIDTH))
        return text.getvalue()

    def to_markdown(self) -> str:
        """Write it in full, as Markdown."""
        return to_markdown(self.ranking)

    _repr_markdown_ = to_markdown  # how a notebook shows it
