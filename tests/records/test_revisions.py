from __future__ import annotations

import os
import re
import subprocess

import pytest

from benchmark.errors import UserError
from benchmark.records.revisions import results_between
from benchmark.records.table import csv_text, write_csv


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty git repository, which is the working directory; returns a function to commit."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for key, value in {"AUTHOR": "a", "COMMITTER": "c"}.items():
        monkeypatch.setenv(f"GIT_{key}_NAME", value)
        monkeypatch.setenv(f"GIT_{key}_EMAIL", f"{value}@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def git(*words):
        subprocess.run(["git", *words], check=True, capture_output=True)

    def commit(tag):
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "-m", tag)
        git("tag", tag)

    git("init", "--quiet")
    commit.folder = folder
    return commit


@pytest.fixture
def write(repository, record):
    def put(path, *scores):
        file = repository.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_csv(file, [record(f"run{n}", mse=mse) for n, mse in enumerate(scores)])

    return put


def scores(found):
    return {path: tuple(side["mse"].tolist() for side in sides) for path, sides in found.items()}


def test_every_committed_results_file_is_read_in_both_revisions(repository, write):
    write("results/results.csv", 0.5)
    write("results/reference/a/results.csv", 0.1, 0.2)
    write("results/gone/results.csv", 0.9)
    write("results/reference/a/leaderboard.csv", 0.7)
    write("elsewhere/results.csv", 0.7)
    repository("old")
    write("results/results.csv", 0.6)
    (repository.folder / "results/gone/results.csv").unlink()
    write("results/new results/results.csv", 0.3)
    repository("new")
    write("results/results.csv", 0.8)
    expected = {
        "results/gone/results.csv": ([0.9], []),
        "results/new results/results.csv": ([], [0.3]),
        "results/reference/a/results.csv": ([0.1, 0.2], [0.1, 0.2]),
        "results/results.csv": ([0.5], [0.6]),
    }
    assert scores(results_between("old..new")) == expected
    there = results_between("old..")
    assert scores(there) == expected | {"results/results.csv": ([0.5], [0.8])}
    first, second = results_between("new..old")["results/new results/results.csv"]
    assert list(second.columns) == list(first.columns)


def test_the_working_tree_has_what_git_does_not_ignore(repository, write):
    (repository.folder / ".gitignore").write_text("results/mine/\n")
    write("results/a/results.csv", 0.5)
    repository("old")
    write("results/mine/results.csv", 0.1)
    write("results/b/results.csv", 0.2)
    (repository.folder / "results/a/results.csv").unlink()
    found = {"results/a/results.csv": ([0.5], []), "results/b/results.csv": ([], [0.2])}
    assert scores(results_between("old..")) == found


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a/b/x.csv", ["a/b/x.csv"]),
        ("./a/b/x.csv", ["a/b/x.csv"]),
        ("a/*.csv", ["a/x.csv"]),
        ("a/**/*.csv", ["a/b/c/x.csv", "a/b/x.csv", "a/x.csv"]),
        ("**/x.csv", ["a/b/c/x.csv", "a/b/x.csv", "a/x.csv", "x.csv"]),
        ("?/?.csv", ["a/x.csv"]),
    ],
)
def test_patterns_are_those_of_a_shell(repository, write, pattern, expected):
    for path in ("x.csv", "a/x.csv", "a/b/x.csv", "a/b/c/x.csv", "a/xscsv"):
        write(path, 0.5)
    repository("old")
    assert sorted(results_between("old..old", [pattern])) == expected


def test_paths_start_in_the_working_directory(repository, write, monkeypatch):
    write("results/results.csv", 0.5)
    write("deep/results/results.csv", 0.7)
    repository("old")
    monkeypatch.chdir("deep")
    for revisions in ("old..old", "old.."):
        assert scores(results_between(revisions)) == {"results/results.csv": ([0.7], [0.7])}


@pytest.mark.parametrize(
    ("revisions", "fault"),
    [
        ("nosuch..old", "nosuch..old: no such revision: nosuch; check its name"),
        ("old..nosuch", "old..nosuch: no such revision: nosuch"),
        ("old..HEAD:results", "no such revision: HEAD:results"),
        ("..old", "..old: is not of the form OLD..NEW; e.g. main..HEAD"),
        ("old...old", "old...old: is not of the form OLD..NEW"),
        ("--output=x..old", "no such revision: --output=x; none starts with '-'"),
        ("old..--all", "no such revision: --all"),
    ],
)
def test_a_revision_that_is_none_is_told(repository, write, revisions, fault):
    write("results/results.csv", 0.5)
    repository("old")
    with pytest.raises(UserError, match=re.escape(fault)):
        results_between(revisions)
    assert not (repository.folder / "x..old").exists()


def test_a_file_that_is_none_is_told_with_its_revision(repository, write):
    write("results/results.csv", 0.5)
    repository("old")
    with pytest.raises(UserError, match=r"--path res.csv: no file in old or the working tree fits"):
        results_between("old..", ["res.csv"])
    path = repository.folder / "results/results.csv"
    path.write_text(path.read_text().replace("0.5", "half"))
    repository("new")
    with pytest.raises(UserError, match=r"new:results/results.csv: line 2, column mse: must be"):
        results_between("old..new")
    path.write_bytes(b"\xff\xfe")
    repository("binary")
    with pytest.raises(UserError, match=r"binary:results/results.csv: is not UTF-8 text"):
        results_between("old..binary")


def test_no_repository_and_no_git_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(
        UserError, match=r"a..b: git says: fatal: not a git repository.*; run it in"
    ):
        results_between("a..b")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"a..b: git cannot be run"):
        results_between("a..b")


def test_revisions_are_read_bit_for_bit(repository, record):
    (repository.folder / "results").mkdir()
    expected = {"one": 1 / 3, "two": 0.1 + 0.2}
    for tag, mse in expected.items():
        text = csv_text([record(mse=mse, model='a, "b"')])
        (repository.folder / "results/results.csv").write_bytes(text.encode())
        repository(tag)
    for old, new in (("one", "two"), ("two", "one")):
        sides = results_between(f"{old}..{new}")["results/results.csv"]
        assert [side["mse"].item() for side in sides] == [expected[old], expected[new]]
        assert [side["model"].item() for side in sides] == ['a, "b"'] * 2
