"""Which runs need not run again, and how one that must is told by its code."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cache
from pathlib import Path

import benchmark
from benchmark.harness.identity import source_files
from benchmark.harness.plan import Plan
from benchmark.harness.spec import Execution
from benchmark.records.layout import WEIGHTS
from benchmark.records.store import Store

PACKAGE = Path(benchmark.__file__).parent
DECISIVE = ("cells", "data", "evaluation", "forecasters", "training")
"""Folders of the package whose files decide a run's numbers."""


def is_done(planned: Plan, execution: Execution) -> bool:
    """Whether a run is there, with its weights where they are wanted, and need not run again."""
    store = Store(execution.results)
    if execution.force or not store.is_done(planned.run_id):
        return False
    return not execution.checkpoint or (store.runs / planned.run_id / WEIGHTS).exists()


def newer_source(started: Collection[str]) -> tuple[str, int] | None:
    """Compare runs with the package's own files, which are no part of a run's name.

    So a cell or a model that is being worked on would give its old numbers, and nobody would know.

    Args:
        started: when each run began, in ISO format.

    Returns:
        The newest file, and how many of the runs are older than it; None where none is.
    """
    edited, path = _newest()
    older = sum(datetime.fromisoformat(time).timestamp() < edited for time in started)
    return (path, older) if older else None


@cache
def _newest() -> tuple[float, str]:
    files = (path for folder in DECISIVE for path in source_files(PACKAGE / folder))
    edited, newest = max((path.stat().st_mtime, path) for path in files)
    return edited, newest.relative_to(PACKAGE.parent).as_posix()
