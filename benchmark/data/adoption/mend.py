"""Writing a user's file anew: every rewriting that a fault is told with, one after the other.

What needs a decision, as a date that can be read either way, is left to the user.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.data.adoption.look import look, survey
from benchmark.data.files import opened_text
from benchmark.data.rewrite import Rewriting
from benchmark.errors import UserError, error_text
from benchmark.files import storage_faults, writing


@dataclass(frozen=True)
class Mended:
    """One fault and what was done about it.

    Attributes:
        place: where in the table it was found; empty where it was all of it.
        what: the fault.
        how: the rewriting.
    """

    place: str
    what: str
    how: Rewriting


def mend(
    path: Path,
    new: Path,
    time_column: str | None = None,
    on_done: Callable[[Mended], None] = lambda one: None,
) -> list[Mended]:
    """Write a file anew so that it can be added, or forecast from; what is fine is but copied.

    Args:
        path: the CSV, plain or gzipped.
        new: the CSV to write, which replaces what was there.
        time_column: its column of times; None finds it.
        on_done: told of each thing as it is done, as what is left after it is an error.

    Returns:
        What was done, in that order.

    Raises:
        UserError: a fault that only the user can mend is left; told of `new`, which then has
            everything else mended, or of `path` if nothing was. Or `new` cannot be written.
    """
    done: list[Mended] = []
    with TemporaryDirectory() as folder:
        table, work = path, Path(folder) / new.name
        while fault := _fault(table, time_column):
            if done and fault.where == "--time-column":
                time_column = None  # was joined to another
                continue
            found = [(one, one.cure) for one in fault.faults if isinstance(one.cure, Rewriting)]
            if not found:
                break
            one, how = found[0]
            place = one.where.removeprefix(str(table)).removeprefix(": ")
            if any((m.place, m.what) == (place, one.what) for m in done):
                break
            try:
                how.table(table).to_csv(work, index=False)
            except (ValueError, LookupError, TypeError, Warning) as error:  # of pandas
                what = f"{one.what}, and pandas fails to mend it ({error_text(error)})"
                fault = UserError(one.where, what, "mend it by hand")
                break
            done.append(Mended(place, one.what, how))
            on_done(done[-1])
            table = work
        if fault and not done:
            raise fault
        with storage_faults(new), opened_text(table) as stream, writing(new) as copy:
            shutil.copyfileobj(stream, copy)
        if fault:
            raise fault.retold(lambda left: _told_of(left, work.parent, new.parent))
    return done


def refusal(table: Path, time_column: str | None = None) -> UserError | None:
    """Say what keeps a file that was mended from being added; None where nothing does.

    A few rows, or rows by no rule, may do to forecast from: so it is no fault to be mended.

    Args:
        table: the CSV.
        time_column: as it was called before; None finds it.
    """
    for column in dict.fromkeys((time_column, None)):
        try:
            look(table, column)
        except UserError as error:
            if error.where == "--time-column":  # was joined to another
                continue
            return error
        break
    return None


def _fault(table: Path, time_column: str | None) -> UserError | None:
    try:
        survey(table, time_column)
    except UserError as error:
        return error
    return None


def _told_of(fault: UserError, work: Path, home: Path) -> UserError:
    home_of = str(home / "_")[:-1]  # without ./ where a user writes none
    where, cure = (text.replace(f"{work}/", home_of) for text in (fault.where, fault.cure))
    return UserError(where, fault.what, cure)
