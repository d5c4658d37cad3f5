"""What has changed on the disk since a run was written is found, whatever file it is in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.records import checksums
from benchmark.records.checksums import check_file, check_folder, open_checked, write_sums
from benchmark.records.record import RunRecord
from benchmark.records.store import Store, read_record, write_record


@pytest.fixture
def run(tmp_path: Path, record: Callable[..., RunRecord]) -> Path:
    """The folder of a run with two small files beside its record."""
    with Store(tmp_path / "results").writing("a1") as folder:
        (folder / "errors.npz").write_bytes(bytes(range(40)))
        (folder / "run.yaml").write_text("name: a\n")
        write_record(folder, record("a1", mse=0.42))
    return tmp_path / "results" / "runs" / "a1"


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def test_the_checksums_are_those_that_sha256sum_checks(run: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=run, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["errors.npz: OK", "record.json: OK", "run.yaml: OK"]


@pytest.mark.parametrize("name", ["errors.npz", "run.yaml", "record.json", "SHA256SUMS"])
def test_a_flip_of_any_bit_is_found(run: Path, name: str) -> None:
    check_folder(run)
    whole = (run / name).read_bytes()
    for place in range(len(whole)):
        flip(run / name, place, bit=place % 8)
        with pytest.raises(UserError, match=r"is damaged .*a damaged run is made anew"):
            check_folder(run)
        (run / name).write_bytes(whole)
    check_folder(run)


def test_a_score_that_is_another_is_set_aside_and_its_row_is_not_in_the_table(
    run: Path, record: Callable[..., RunRecord]
) -> None:
    path = run / "record.json"
    text = path.read_text()
    assert '"mse": 0.42,' in text
    path.write_text(text.replace('"mse": 0.42,', '"mse": 0.43,'))
    with pytest.raises(UserError, match=r"record\.json: is damaged"):
        read_record(run)
    told: list[str] = []
    assert Store(run.parents[1], told.append).records() == []
    assert len(told) == 1
    assert "set aside as .damaged-a1" in told[0]
    assert (run.parent / ".damaged-a1" / "errors.npz").exists()


@pytest.mark.parametrize("how", ["flipped", "cut short", "gone"])
def test_a_run_with_any_damaged_file_is_not_done_and_is_set_aside_by_name(
    run: Path, how: str
) -> None:
    path = run / "errors.npz"
    if how == "flipped":
        flip(path, 7)
    elif how == "cut short":
        path.write_bytes(path.read_bytes()[:20])
    else:
        path.unlink()
    told: list[str] = []
    store = Store(run.parents[1], told.append)
    assert [row.mse for row in store.records()] == [0.42]  # the row is what was written
    assert told == []
    assert not store.is_done("a1")
    (line,) = told
    assert f"{path}: is damaged" in line
    assert "set aside as .damaged-a1" in line
    assert not run.exists()


def test_a_damaged_run_that_is_replaced_is_kept_aside(
    run: Path, record: Callable[..., RunRecord]
) -> None:
    flip(run / "run.yaml", 2)
    told: list[str] = []
    with Store(run.parents[1], told.append).writing("a1") as folder:
        write_record(folder, record("a1", mse=0.5))
    assert "run.yaml: is damaged" in told[0]
    assert read_record(run).mse == 0.5
    assert (run.parent / ".damaged-a1" / "run.yaml").exists()


def test_files_that_came_with_their_checksums_keep_them(
    run: Path, tmp_path: Path, record: Callable[..., RunRecord]
) -> None:
    told: list[str] = []
    store = Store(tmp_path / "others", told.append)
    with store.writing("a1") as folder:
        for path in run.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        flip(folder / "errors.npz", 3)  # on the way
    assert not store.is_done("a1")
    assert "errors.npz: is damaged" in told[0]


def test_a_run_of_an_earlier_version_is_read_as_it_is(run: Path) -> None:
    (run / "SHA256SUMS").unlink()
    flip(run / "errors.npz", 7)
    check_folder(run)
    check_file(run / "errors.npz")
    assert Store(run.parents[1]).is_done("a1")


def test_a_file_that_was_added_does_no_harm_but_is_not_read_as_the_runs(run: Path) -> None:
    (run / "notes.txt").write_text("mine")
    check_folder(run)
    with pytest.raises(UserError, match=r"notes\.txt: is damaged"):
        check_file(run / "notes.txt")
    with pytest.raises(UserError, match=r"none\.txt: cannot be read \(No such file"):
        check_file(run / "none.txt")


def test_a_list_of_checksums_leads_to_no_file_outside(run: Path, monkeypatch: Any) -> None:
    outside = run.parent.parent / "outside"
    outside.write_bytes(b"x")
    (run / "in").symlink_to(outside)
    sums = (run / "SHA256SUMS").read_text()
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of x
    read: list[Path] = []
    keep = checksums._digest
    monkeypatch.setattr(checksums, "_digest", lambda path: read.append(path) or keep(path))
    for name in ("../../outside", str(outside), "in"):
        (run / "SHA256SUMS").write_text(f"{sums}{digest}  {name}\n")
        with pytest.raises(UserError, match="is damaged"):
            check_folder(run)
    assert outside not in {path.resolve() for path in read}


def test_a_run_that_is_replaced_while_it_is_read_is_not_taken_for_damaged(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = checksums._digest_of

    def replaced_meanwhile(stream: Any) -> str:
        monkeypatch.setattr(checksums, "_digest_of", keep)
        (run / "errors.npz").write_bytes(b"new")
        write_sums(run)
        return keep(stream)

    monkeypatch.setattr(checksums, "_digest_of", replaced_meanwhile)
    with open_checked(run / "errors.npz") as stream:
        assert stream.read() in (b"new", bytes(range(40)))
    monkeypatch.setattr(checksums, "_digest_of", replaced_meanwhile)
    check_folder(run)


def test_a_run_that_is_replaced_and_replaced_back_while_it_is_read_is_not_damaged(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, again = tmp_path / "other", tmp_path / "again"
    for copy in (other, again):
        shutil.copytree(run, copy)
    flip(other / "record.json", 3)
    (other / "SHA256SUMS").unlink()
    write_sums(other)
    swaps = [other, again]  # the second holds what the first one took the place of
    state = checksums._state

    def swapped(folder: Path) -> Any:
        before = state(folder)
        if swaps:
            shutil.rmtree(folder)
            swaps.pop(0).rename(folder)
        return before if swaps else state(folder)

    monkeypatch.setattr(checksums, "_state", swapped)
    with open_checked(run / "record.json") as stream:
        assert stream.read()
    assert not swaps
