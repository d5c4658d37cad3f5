"""A run that the package has changed since may have other numbers now, and that is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmark.suites import done

RUNS = [datetime.fromtimestamp(seconds, UTC).isoformat() for seconds in (1000, 3000)]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, float], None]:
    """Write a file of the package at a time, in seconds; it has one that is older than all runs."""
    package = tmp_path / "benchmark"
    monkeypatch.setattr(done, "PACKAGE", package)
    monkeypatch.setattr(done, "_newest", done._newest.__wrapped__)

    def write(file: str, seconds: float) -> None:
        path = package / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (seconds, seconds))

    write("cells/old.py", 0)
    return write


@pytest.mark.parametrize(
    "file",
    [
        "cells/gru.py",
        "cells/cpp/ssd.cpp",
        "cells/cpp/vector.h",
        "data/task.py",
        "evaluation/metrics.py",
        "forecasters/linear.py",
        "training/fit.py",
    ],
)
def test_a_file_that_decides_numbers_makes_runs_before_it_old(
    edit: Callable[[str, float], None], file: str
) -> None:
    assert (Path(done.__file__).parents[1] / file).exists()
    edit(file, 2000)
    assert done.newer_source(RUNS) == (f"benchmark/{file}", 1)


@pytest.mark.parametrize("file", ["reports/tables.py", "harness/run.py", "cells/gru.cpython.pyc"])
def test_a_file_that_decides_none_makes_no_run_old(
    edit: Callable[[str, float], None], file: str
) -> None:
    edit(file, 2000)
    assert done.newer_source(RUNS) is None


def test_an_editor_s_link_that_leads_nowhere_is_no_file(
    edit: Callable[[str, float], None], tmp_path: Path
) -> None:
    edit("cells/gru.py", 2000)
    (tmp_path / "benchmark/cells/.#gru.py").symlink_to("somebody@somewhere.1234")  # Emacs'
    assert done.newer_source(RUNS) == ("benchmark/cells/gru.py", 1)
