"""Which revision of the code this is."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from benchmark.places import is_installed

_NUMBER = re.compile(r"\d+(e\d+)?\+?")
"""What a spreadsheet would read as a number: 3e93694 would be infinite."""


@cache
def git_revision() -> str | None:
    """Short revision of the working copy this package runs from; ``+`` where it is changed.

    None where it is installed: its environment may lie in somebody else's working copy.
    """
    if is_installed(Path(__file__)):
        return None
    revision = _described()
    if revision and _NUMBER.fullmatch(revision):
        return _described("--abbrev=40")
    return revision


def _described(*options: str) -> str | None:
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*", *options]
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
