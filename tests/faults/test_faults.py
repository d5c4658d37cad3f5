"""Faults of the disk, each once and for real; `run.py` tries them, and the others, many times.

The others are tested once where they belong: kills, Ctrl-C twice and two suites at once in
``suites/test_resume.py``, kills in a training in ``harness/test_unfinished_run.py``, Ctrl-C once in
``test_conduct.py``, models that fail in ``test_failures.py``, hanging runs, jumps of the clock and
killed workers in ``test_processes.py`` and ``test_cluster.py``, each damaged bit of a run's folder
in ``records/test_checksums.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import storage
from outcome import Outcome, Skipped


@pytest.mark.slow
@pytest.mark.parametrize("fault", [storage.full, storage.read_only])
def test_a_suite_survives_a_faulty_disk(fault: Callable[..., Outcome], tmp_path: Path) -> None:
    try:
        found = fault(tmp_path, 1, random.Random(1))
    except Skipped as why:
        pytest.skip(str(why))
    assert (found.tried, found.survived, found.lost) == (1, 1, 0)
