"""Results that are committed: what they were in one git revision and are in another.

Git is asked for the content of the files; the working tree is neither changed nor checked out.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import UserError
from benchmark.records.table import parse_results, read_results

if TYPE_CHECKING:
    from pandas import DataFrame

COMMITTED = ("results/**/results.csv",)
"""Where committed results lie."""

_GLOB = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}


def results_between(
    revisions: str, patterns: Sequence[str] = ()
) -> dict[str, tuple[DataFrame, DataFrame]]:
    """Read every results CSV of two revisions of the working directory's repository.

    Args:
        revisions: ``OLD..NEW``, or ``OLD..`` for the working tree beside OLD.
        patterns: paths from the working directory; ``*`` stands for any text in a name, ``**/`` for
            any folders. None are `COMMITTED`.

    Returns:
        By path: the old rows and the new ones. A file that one side lacks has no rows there.

    Raises:
        UserError: no git, no repository, no such revision, a pattern that fits no file, or a file
            that is no results CSV.
    """
    old, new = _split(revisions)
    before = _Tree(revisions, old)
    after = _Tree(revisions, new)
    paths: set[str] = set()
    for pattern in patterns or COMMITTED:
        fitting = set(filter(_matcher(pattern).fullmatch, before.paths | after.paths))
        if not fitting:
            what = f"no file in {old} or {new or 'the working tree'} fits"
            raise UserError(f"--path {pattern}", what, "paths start in the working directory")
        paths |= fitting
    found = {}
    for path in sorted(paths):
        sides = before.read(path), after.read(path)
        there = next(side for side in sides if side is not None)
        first, second = (there.iloc[:0] if side is None else side for side in sides)
        found[path] = first, second
    return found


class _Tree:
    """The files of a revision, or of the working tree, at and below the working directory."""

    def __init__(self, revisions: str, revision: str) -> None:
        self._revision = revision
        if revision:
            commit = _git(revisions, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
            if not commit:
                cure = "check its name; in a shallow clone, fetch it first"
                raise UserError(revisions, f"no such revision: {revision}", cure)
            self._commit = commit.decode().strip()
            listed = _git(revisions, "ls-tree", "-r", "-z", "--name-only", self._commit)
        else:
            command = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
            listed = _git(revisions, *command)
        names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
        self.paths = {name for name in names if revision or Path(name).is_file()}

    def read(self, path: str) -> DataFrame | None:
        """Return the rows of a file; None where it is not there."""
        if path not in self.paths:
            return None
        if not self._revision:
            return read_results(Path(path))
        name = f"{self._revision}:{path}"
        content = _git(name, "cat-file", "blob", f"{self._commit}:./{path}")
        try:
            return parse_results(content.decode("utf-8-sig"), name)
        except UnicodeDecodeError:
            raise UserError(name, "is not UTF-8 text", "name a CSV file") from None


def _split(revisions: str) -> tuple[str, str]:
    old, _, new = revisions.partition("..")
    if not old or new.startswith("."):
        raise UserError(revisions, "is not of the form OLD..NEW", "e.g. main..HEAD, or main..")
    for revision in (old, new):
        if revision.startswith("-"):
            raise UserError(revisions, f"no such revision: {revision}", "none starts with '-'")
    return old, new


def _git(where: str, *arguments: str) -> bytes:
    """Run a git command; nothing where it fails without a word.

    Raises:
        UserError: there is no git, or it refuses.
    """
    try:
        done = subprocess.run(["git", *arguments], capture_output=True)
    except OSError as error:
        what = f"git cannot be run ({error.strerror})"
        raise UserError(where, what, "install it, or name two CSVs") from None
    if done.returncode and done.stderr:
        said = done.stderr.decode(errors="replace").strip().splitlines()[0]
        raise UserError(where, f"git says: {said}", "run it inside the repository")
    return done.stdout


def _matcher(pattern: str) -> re.Pattern[str]:
    parts: Iterable[str] = re.split(r"(\*\*/|\*|\?)", pattern.removeprefix("./"))
    return re.compile("".join(_GLOB.get(part, re.escape(part)) for part in parts))
