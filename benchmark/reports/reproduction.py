"""A run beside the same run made again: which scores are equal, and what else is not the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.records.record import SCORES
from benchmark.reports.tables import Cell, Column, Mark, Table

Verdict = Literal["equal", "within tolerance", "differs"]

PROVENANCE = (
    "config", "fingerprint", "data", "hardware", "device", "threads", "benchmark_version",
    "python_version", "torch_version", "lightning_version", "git_revision",
)  # fmt: skip
"""Columns that say with what a run was made."""

UNKNOWN = "not recorded"

_MARKS: dict[Verdict, Mark] = {"equal": "best", "within tolerance": "", "differs": "bad"}


@dataclass(frozen=True)
class Score:
    """One score before and now.

    Attributes:
        name: its column.
        before: of the earlier run.
        now: of the run made again; None where it has none.
        verdict: equal means to the last bit.
    """

    name: str
    before: float
    now: float | None
    verdict: Verdict

    @property
    def relative(self) -> float:
        """How far it is from what it was, relative to that."""
        if self.now == self.before:
            return 0.0
        if self.now is None or self.before == 0:
            return math.inf
        return abs(self.now - self.before) / abs(self.before)


@dataclass(frozen=True)
class Reproduction:
    """What making a run again came to.

    Attributes:
        scores: those that the earlier run has.
        others: column, before and now of all that is not the same or was not recorded.
    """

    scores: tuple[Score, ...]
    others: tuple[tuple[str, str, str], ...]

    @property
    def holds(self) -> bool:
        """Whether every score is equal, or within the tolerance."""
        return all(score.verdict != "differs" for score in self.scores)

    @property
    def distance(self) -> str:
        """How far the scores are, and what would accept it; "" where nothing or all would."""
        furthest = max(self.scores, key=lambda score: score.relative)
        if not 0 < furthest.relative < math.inf:
            return ""
        place = math.floor(math.log10(furthest.relative))
        accepted = math.ceil(furthest.relative / 10**place * (1 + 1e-9))  # rounded up, to a digit
        other = any(name == "hardware" and then != UNKNOWN for name, then, _ in self.others)
        where = ", on other hardware" if other else ""
        return (
            f"The largest relative difference is {furthest.relative:.1e} ({furthest.name}){where}; "
            f"--tolerance {accepted}e{place} accepts it."
        )


def compare(
    before: Mapping[str, Any], now: Mapping[str, Any], tolerance: float = 0.0
) -> Reproduction:
    """Compare a run with the same run made again.

    Args:
        before: columns of the earlier run; None or absent where it has no such value.
        now: columns of the run made again.
        tolerance: largest relative difference of a score that still counts as the same.
    """
    scores = tuple(
        Score(name, value, now[name], _verdict(value, now[name], tolerance))
        for name in SCORES
        if (value := before.get(name)) is not None
    )
    others = tuple(
        (name, _text(before.get(name), UNKNOWN), _text(now[name], "none"))
        for name in PROVENANCE
        if before.get(name) != now[name]
    )
    return Reproduction(scores, others)


def _verdict(before: float, now: float | None, tolerance: float) -> Verdict:
    if now == before:
        return "equal"
    close = now is not None and abs(now - before) <= tolerance * abs(before)
    return "within tolerance" if close else "differs"


def _text(value: Any, absent: str) -> str:
    return absent if value is None else str(value)


def tables(found: Reproduction, run_id: str, notes: tuple[str, ...] = ()) -> list[Table]:
    """Make a table of the scores, with every digit, and one of what else is not the same.

    Args:
        found: what was compared.
        run_id: of the earlier run.
        notes: on its configuration.
    """
    rows = tuple(
        (
            Cell(score.name),
            Cell(repr(score.before)),
            Cell(_text(score.now, "none")),
            Cell("" if score.now is None else f"{score.now - score.before:.1e}"),
            Cell(score.verdict, _MARKS[score.verdict]),
        )
        for score in found.scores
    )
    equal = sum(score.verdict == "equal" for score in found.scores)
    same = "hardware, threads, versions and data are the same"
    first = Table(
        title=f"{run_id}, made again",
        columns=(
            Column("score", number=False),
            Column("before"),
            Column("now"),
            Column("difference", spare=1),
            Column("verdict", number=False),
        ),
        rows=rows,
        intro=notes,
        notes=(
            f"{equal} of {len(found.scores)} scores are equal to the last digit",
            *(() if found.others else (same,)),
        ),
    )
    if not found.others:
        return [first]
    second = Table(
        title="What is not the same",
        columns=tuple(Column(title, number=False) for title in ("column", "before", "now")),
        rows=tuple(tuple(map(Cell, row)) for row in found.others),
    )
    return [first, second]
