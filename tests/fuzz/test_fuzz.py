"""Whatever a file holds, it is read or refused: nothing but a UserError comes out, and soon."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzz_readers import READERS, attempt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECONDS = 3.0
"""Of the processor for one small file: a hang, not a slow machine."""


@pytest.mark.parametrize("name", READERS)
def test_any_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    reader = READERS[name]

    @settings(
        max_examples=300,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(content=reader.contents)
    def search(content: bytes) -> None:
        begin = time.process_time()
        attempt(reader, content, tmp_path)
        assert time.process_time() - begin < SECONDS

    search()


def test_the_search_that_coverage_leads_says_what_it_needs() -> None:
    code = "import sys; sys.modules['atheris'] = None; import guided"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "error: atheris: is not installed; pip install atheris\n"


@pytest.mark.parametrize("name", READERS)
def test_what_is_tried_is_sound_at_times_and_at_times_not(name: str, tmp_path: Path) -> None:
    """Otherwise the search above sees one side of a reader alone."""
    outcomes = set()

    @settings(max_examples=150, database=None, derandomize=True)
    @given(content=st.data())
    def look(content: st.DataObject) -> None:
        outcomes.add(attempt(READERS[name], content.draw(READERS[name].contents), tmp_path))

    look()
    assert outcomes == {True, False}
