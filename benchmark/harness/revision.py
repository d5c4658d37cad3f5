"""Which revision of the code this is."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from benchmark.places import is_installed


@cache
def git_revision() -> str | None:
    """Short revision of the working copy this package runs from; ``+`` where it is changed.

    None where it is installed: its environment may lie in somebody else's working copy.
    """
    if is_installed(Path(__file__)):
        return None
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
