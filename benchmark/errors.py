"""The one exception that is a user's to mend: the command line prints it as plain lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, islice
from pathlib import Path
from traceback import extract_tb

MOST_TOLD = 50
"""Faults of one file that are told at once."""

LONGEST = 500
"""Characters of an exception in one line."""

MOST_LINES = 3
"""Lines of a user's own code that are told of one error, the last ones."""

_BACKWARD = {
    "modified by an inplace operation": (
        "a number that the gradient needs is written over",
        "write n = n * 2, not n *= 2, nor n[:, 0] = 0",
    ),
    "backward through the graph a second time": (
        "a gradient would go back into an earlier batch",
        "detach what is kept between batches: self.h = h.detach()",
    ),
}
"""Torch's words for what no line of the traceback tells, what it means and the cure."""

_PACKAGE = Path(__file__).parent
_PYTHON = Path(os.__file__).parent


class UserError(Exception):
    """Something the user can put right: where it is, what is wrong, and the cure.

    Args:
        where: the file, field, option or command at fault, e.g. ``gru.yaml: model.hidden_size``.
        what: what is wrong there, with the value that was found.
        cure: what to do about it; may be empty where `what` already says so.
        more: further faults, told a line each below this one.
    """

    def __init__(
        self, where: str, what: str, cure: str = "", more: Iterable[UserError] = ()
    ) -> None:
        self.where = where
        self.what = what
        self.cure = cure
        self.more = tuple(more)
        message = f"{where}: {what}" + (f"; {cure}" if cure else "")
        super().__init__("\n".join([message, *map(str, self.more)]))

    def __reduce__(self) -> tuple[object, ...]:
        """Let it pass from one process to another: its `args` are not those of the constructor."""
        return type(self), (self.where, self.what, self.cure, self.more)

    @property
    def faults(self) -> tuple[UserError, ...]:
        """Each fault by itself, in the order in which they are told."""
        return UserError(self.where, self.what, self.cure), *self.more

    def retold(self, tell: Callable[[UserError], UserError]) -> UserError:
        """Return the same error with every fault told otherwise, as `tell` does with each."""
        return _of_faults([tell(fault) for fault in self.faults])

    def inside(self, place: str) -> UserError:
        """Return the same error, told from further outside: every line starts with `place`."""
        return self.retold(
            lambda fault: UserError(f"{place}: {fault.where}", fault.what, fault.cure)
        )

    @classmethod
    def join(cls, errors: Iterable[UserError]) -> UserError:
        """Make one error of several, a line each, so that a file's faults are seen at once.

        A file may have any number of faults: after `MOST_TOLD` no more of them are asked for.
        """
        told = list(islice(errors, MOST_TOLD + 1))
        if len(told) == 1:
            return told[0]
        faults = [fault for error in told[:MOST_TOLD] for fault in error.faults]
        if len(told) > MOST_TOLD:
            file = told[0].where.partition(": ")[0]
            faults.append(UserError(file, "has more faults like these"))
        return _of_faults(faults)


def raise_faults(faults: Iterable[UserError]) -> None:
    """Raise all of some faults as one error; where there is none, raise nothing.

    Raises:
        UserError: a line for each, as `UserError.join` makes it.
    """
    faults = iter(faults)
    first = next(faults, None)
    if first is not None:
        raise UserError.join(chain([first], faults))


def check_type(where: str, value: object, wanted: type | tuple[type, ...], cure: str) -> None:
    """Refuse what stands in the place of something else, whatever an annotation says.

    Raises:
        UserError: the value is of none of the wanted types.
    """
    if not isinstance(value, wanted):
        types = wanted if isinstance(wanted, tuple) else (wanted,)
        names = " or ".join(each.__name__ for each in types)
        package, given = type(value).__module__.partition(".")[0], type(value).__name__
        given = given if package == "builtins" else f"{package}.{given}"  # pandas has a Series, too
        raise UserError(where, f"is given {given}, not {names}", cure)


def _of_faults(faults: Sequence[UserError]) -> UserError:
    first, *more = faults
    return UserError(first.where, first.what, first.cure, more)


@contextmanager
def retelling(tell: Callable[[UserError], UserError]) -> Iterator[None]:
    """Tell every fault of the block otherwise, as `tell` does with each."""
    try:
        yield
    except UserError as error:
        raise error.retold(tell) from None


def cured(cure: str) -> AbstractContextManager[None]:
    """Tell every fault of the block with another cure, e.g. for a file that no card describes."""
    return retelling(lambda fault: UserError(fault.where, fault.what, cure))


@contextmanager
def told_by_line(where: str, cure: str = "", *, own: bool = False) -> Iterator[None]:
    """Tell an error that comes out of a user's own file by the lines that raised it.

    Args:
        where: the file or name to tell first.
        cure: what to do about it.
        own: whether a class of the user's is at work: then an error that comes through no line of
            its file is told, too, as where a method takes other arguments than it is given.

    Raises:
        UserError: such an error, in its own words; any other stays what it is.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # from which a few packages derive what they raise
        if not (own or _own_lines(error)):
            raise
        raise UserError(where, text_by_line(error), cure) from error


def text_by_line(error: BaseException) -> str:
    """Put an exception into a line with those of the user's own files that it came through."""
    lines = _own_lines(error)
    if not lines:
        return error_text(error)
    said = error
    if isinstance(error, SyntaxError):  # names the line once more
        said = type(error)(error.msg)
    at = ", called at ".join(reversed(lines[-MOST_LINES:]))
    return f"{error_text(said).rstrip('.')}, at {at}"


@contextmanager
def backward_faults(fault: Callable[[str, str], Exception]) -> Iterator[None]:
    """Go backward in the block, through what a cell or a forecaster has computed forward.

    Of a mistake there that shows only backward, no line of it is in the traceback.

    Args:
        fault: makes what is raised then, of what is wrong and its cure.
    """
    try:
        yield
    except RuntimeError as error:
        for words, (what, cure) in _BACKWARD.items():
            if words in str(error):
                raise fault(what, cure) from error
        raise


@contextmanager
def no_exit() -> Iterator[None]:
    """Make sys.exit() in the block an error like any other: a model ends no more than its run.

    Raises:
        RuntimeError: the block would have ended the program.
    """
    try:
        yield
    except SystemExit as end:
        error = RuntimeError(f"the model ended the program: sys.exit({end.code!r})")
        raise error.with_traceback(end.__traceback__) from end


@contextmanager
def no_stop() -> Iterator[None]:
    """Make a StopIteration in the block an error like any other: it would end the loop around it.

    Raises:
        RuntimeError: a `next` in the block found nothing more.
    """
    try:
        yield
    except StopIteration as stop:
        error = RuntimeError("the model raised StopIteration")
        # of no cause: contextlib would take it for Python's own, and let the other pass
        raise error.with_traceback(stop.__traceback__) from None


def _own_lines(error: BaseException) -> list[str]:
    """Lines of the user's own files through which an error came, the outermost first."""
    frames = [(f.filename, f.lineno, f.line) for f in extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno, error.text))
    return [
        f"line {number} of {_shown(file)}" + (f", {line.strip()!r:.100}" if line else "")
        for file, number, line in frames
        if is_a_users(Path(file))
    ]


def is_a_users(file: Path) -> bool:
    """Whether a file is code of the user's: neither ours, nor Python's, nor a package's."""
    installed = {"site-packages", "dist-packages"} & set(file.parts)
    within = any(file.is_relative_to(folder) for folder in (_PACKAGE, _PYTHON))
    return file.is_file() and not installed and not within


def _shown(file: str) -> str:
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def reason_of(error: BaseException) -> str:
    """Say what ended a run: in its own words where they are meant for the user."""
    return str(error) if isinstance(error, UserError) else error_text(error)


def error_text(error: BaseException) -> str:
    """Put an exception into one printable line of a bearable length."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= LONGEST else printable[: LONGEST - 3] + "..."
