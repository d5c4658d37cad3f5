"""A revision in a table is not read as a number."""

from __future__ import annotations

import re

import pytest

from benchmark.harness import revision

git_revision = revision.git_revision.__wrapped__


@pytest.fixture(autouse=True)
def of_a_working_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "is_installed", lambda path: False)


@pytest.mark.parametrize(
    ("short", "shown"),
    [("3e93694", "full"), ("9797459", "full"), ("9797459+", "full"), ("3e9369a", "3e9369a")],
)
def test_a_revision_that_reads_as_a_number_is_written_in_full(
    monkeypatch: pytest.MonkeyPatch, short: str, shown: str
) -> None:
    described = revision._described
    monkeypatch.setattr(
        revision, "_described", lambda *options: "full" if options == ("--abbrev=40",) else short
    )
    assert git_revision() == shown
    full = described("--abbrev=40")
    assert full is None or re.fullmatch(r"[0-9a-f]{40}\+?", full)


def test_without_git_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_revision() is None
