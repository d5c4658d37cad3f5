"""What became of a fault that was tried several times."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class Skipped(Exception):  # noqa: N818 - names a state
    """This machine does not let the fault be tried; says why."""


@dataclass(frozen=True)
class Outcome:
    """A row of the table.

    Attributes:
        fault: what was done.
        tried: how often.
        survived: after how many of them the results were those of an undisturbed suite.
        lost: rows that were missing or had another value in the end, in all of them together.
        seconds: that they took.
    """

    fault: str
    tried: int
    survived: int
    lost: int
    seconds: float


def tried(fault: str, times: int, once: Callable[[int], int]) -> Outcome:
    """Try a fault so often.

    Args:
        fault: what it is.
        times: how often.
        once: given the number of the attempt; does it, and returns the rows that were lost.
    """
    begin = time.monotonic()
    lost = [once(number) for number in range(times)]
    return Outcome(fault, times, lost.count(0), sum(lost), time.monotonic() - begin)
