"""One of several parts of a suite, for array jobs: which of its runs are whose."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from benchmark.errors import UserError


@dataclass(frozen=True)
class Part:
    """Part `number` of `parts`, counted from 1; all by default."""

    number: int = 1
    parts: int = 1

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read ``3/8``.

        Raises:
            UserError: it is no part of a whole.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UserError(f"--part {text}", "is no part of a whole", "write 1/8, or up to 8/8")
        return cls(int(found[1]), int(found[2]))

    def of(self, tasks: Iterable[str]) -> frozenset[str]:
        """Draw every N-th task by lot, so that each part has of the slow ones and of the quick.

        Args:
            tasks: every task of the suite, as a text; the lot is its digest, alike everywhere.
        """
        drawn = sorted(set(tasks), key=lambda task: sha256(task.encode()).digest())
        return frozenset(drawn[self.number - 1 :: self.parts])


WHOLE = Part()
