"""The one exception that is a user's to mend: the command line prints it as plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

MOST_TOLD = 50
"""Faults of one file that are told at once."""


class UserError(Exception):
    """Something the user can put right: where it is, what is wrong, and the cure.

    Args:
        where: the file, field, option or command at fault, e.g. ``gru.yaml: model.hidden_size``.
        what: what is wrong there, with the value that was found.
        cure: what to do about it; may be empty where `what` already says so.
    """

    def __init__(self, where: str, what: str, cure: str = "") -> None:
        self.where = where
        self.what = what
        self.cure = cure
        message = f"{where}: {what}" + (f"; {cure}" if cure else "")
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        """Let it pass from one process to another: its `args` are not those of the constructor."""
        return type(self), (self.where, self.what, self.cure), {"args": self.args}

    def inside(self, place: str) -> UserError:
        """Return the same error, told from further outside: every line starts with `place`."""
        moved = UserError(f"{place}: {self.where}", self.what, self.cure)
        moved.args = ("\n".join(f"{place}: {line}" for line in str(self).split("\n")),)
        return moved

    @classmethod
    def join(cls, errors: Iterable[UserError]) -> UserError:
        """Make one error of several, a line each, so that a file's faults are seen at once.

        A file may have any number of faults: after `MOST_TOLD` no more of them are asked for.
        """
        told = list(islice(errors, MOST_TOLD + 1))
        if len(told) == 1:
            return told[0]
        first = told[0]
        joined = cls(first.where, first.what, first.cure)
        lines = [str(error) for error in told[:MOST_TOLD]]
        if len(told) > MOST_TOLD:
            lines.append(f"{first.where.partition(': ')[0]}: has more faults like these")
        joined.args = ("\n".join(lines),)
        return joined


@contextmanager
def cured(cure: str) -> Iterator[None]:
    """Tell a fault of the block with another cure, e.g. for a file that no card describes."""
    try:
        yield
    except UserError as error:
        raise UserError(error.where, error.what, cure) from None
