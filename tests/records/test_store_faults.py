from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from benchmark import files
from benchmark.errors import UserError
from benchmark.records.checksums import open_checked
from benchmark.records.store import Store, write_record
from benchmark.records.table import read_results


def save(store, record):
    with store.writing(record.run_id) as folder:
        write_record(folder, record)


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def damage(folder, how):
    path = folder / "record.json"
    (folder / "SHA256SUMS").unlink()  # as of an earlier version: what is wrong has to tell itself
    text = path.read_text(encoding="utf-8")
    if how == "cut short":
        path.write_text(text[: len(text) // 2], encoding="utf-8")
    elif how == "empty":
        path.write_text("", encoding="utf-8")
    elif how == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    elif how == "a list":
        path.write_text("[1]", encoding="utf-8")
    elif how == "not a number":
        path.write_text(text.replace("0.5", "NaN"), encoding="utf-8")
    elif how == "of another run":
        path.write_text(text.replace('"a1"', '"c3"'), encoding="utf-8")
    elif how == "without a record":
        path.unlink()
    elif how == "nested deeply":
        path.write_text("[" * 200_000, encoding="utf-8")


@pytest.mark.parametrize(
    "how",
    [
        "cut short",
        "empty",
        "binary",
        "a list",
        "not a number",
        "of another run",
        "without a record",
        "nested deeply",
    ],
)
def test_a_damaged_run_is_set_aside_and_named(store, record, how):
    save(store, record("a1"))
    save(store, record("b2"))
    damage(store.runs / "a1", how)
    warnings: list[str] = []
    store = Store(store.folder, warn=warnings.append)
    assert not store.is_done("a1")
    assert [r.run_id for r in store.records()] == ["b2"]
    assert len(warnings) == 1
    assert str(store.runs / "a1") in warnings[0]
    assert ".damaged-a1" in warnings[0]
    assert (store.runs / ".damaged-a1").is_dir()
    assert not (store.runs / "a1").exists()
    assert [r.run_id for r in store.records()] == ["b2"]
    assert len(warnings) == 1


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EMFILE, errno.EIO, errno.EACCES])
def test_a_run_that_cannot_be_read_at_the_moment_is_left_where_it_is(
    store, record, monkeypatch, number
):
    save(store, record("a1"))
    save(store, record("b2"))
    warnings: list[str] = []
    again = Store(store.folder, warn=warnings.append)

    def refuse(path, most):
        if path.parent.name == "a1":
            raise OSError(number, os.strerror(number), str(path))
        return open_checked(path, most)

    with monkeypatch.context() as patch:
        patch.setattr("benchmark.records.folder.open_checked", refuse)
        assert [r.run_id for r in again.records()] == ["b2"]
        assert len(read_results(again.rebuild_csv())) == 1
    assert str(store.runs / "a1") in warnings[0]
    assert os.strerror(number) in warnings[0]
    assert len(read_results(again.rebuild_csv())) == 2
    assert again.is_done("a1")


def test_damaged_runs_of_one_name_and_foreign_files_are_all_kept_aside(store, record):
    warnings: list[str] = []
    store = Store(store.folder, warn=warnings.append)
    for _ in range(2):
        save(store, record("a1"))
        damage(store.runs / "a1", "cut short")
        assert store.records() == []
    (store.runs / "notes.txt").write_text("mine")
    store.rebuild_csv()
    assert len(list(store.runs.glob(".damaged-a1*"))) == 2
    assert (store.runs / ".damaged-notes.txt").read_text() == "mine"
    assert len(warnings) == 3


def test_a_damaged_run_that_runs_again_is_set_aside_not_deleted(store, record):
    warnings: list[str] = []
    save(store, record("a1"))
    damage(store.runs / "a1", "cut short")
    save(Store(store.folder, warn=warnings.append), record("a1"))
    assert store.is_done("a1")
    assert (store.runs / ".damaged-a1" / "record.json").exists()
    assert len(warnings) == 1


def test_the_default_warning_goes_to_stderr(tmp_path, capsys):
    store = Store(tmp_path)
    (store.runs / "odd").mkdir(parents=True)
    assert store.records() == []
    assert capsys.readouterr().err.startswith(f"warning: {store.runs / 'odd'}: no run any more")


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_full_disk_is_a_user_error_and_leaves_nothing(store, record, monkeypatch, call):
    save(store, record("a1"))
    before = everything(store.folder)
    target = (os, "fsync") if call == "fsync" else (Path, "rename")
    monkeypatch.setattr(*target, no_space)
    with pytest.raises(UserError, match="the disk is full; free some space"):
        save(store, record("b2"))
    if call == "fsync":
        with pytest.raises(UserError, match="the disk is full"):
            store.rebuild_csv()
    monkeypatch.undo()
    assert everything(store.folder) == before


def test_a_disk_that_fills_inside_the_block_is_a_user_error_too(store, record):
    with pytest.raises(UserError, match="the disk is full"), store.writing("a1"):
        no_space()
    assert everything(store.runs) == []


def test_another_fault_of_the_block_stays_what_it_is(store):
    with pytest.raises(FileNotFoundError), store.writing("a1"):
        Path("no such file").read_text()
    assert everything(store.runs) == []


def test_a_results_folder_that_is_a_file_is_named(tmp_path, record):
    path = tmp_path / "results"
    path.write_text("mine")
    for store in (Store(path), Store(path / "below")):
        with pytest.raises(UserError, match="is a file, or lies below one"):
            save(store, record())
        assert not store.is_done("a1b2")
    with pytest.raises(UserError, match=r"results: is a file, or lies below one; name a folder"):
        Store(path).records()
    assert path.read_text() == "mine"


def test_a_folder_that_may_not_be_written_is_named(store, record, monkeypatch):
    def deny(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", deny)
    with pytest.raises(UserError, match=r"cannot be written \(Permission denied\)"):
        save(store, record())


def test_results_that_may_only_be_read_are_read_as_long_as_their_table_is_up_to_date(
    store, record, monkeypatch
):
    save(store, record("a1"))
    csv = store.csv_of_runs()

    def deny(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", deny)
        assert store.csv_of_runs() == store.rebuild_csv() == csv
    save(store, record("b2"))
    monkeypatch.setattr(Path, "replace", deny)
    with pytest.raises(UserError) as caught:
        store.csv_of_runs()
    assert str(caught.value) == (
        f"{csv}: cannot be written (Permission denied), and is older than the runs; "
        "to read it as it is, name the file itself"
    )
    csv.unlink()
    with pytest.raises(UserError, match=r"cannot be written .*; choose a folder you may write to"):
        store.csv_of_runs()


def test_results_csv_that_is_a_folder_is_named(store, record):
    save(store, record())
    (store.folder / "results.csv").mkdir()
    with pytest.raises(UserError, match="is a folder, not a file"):
        store.rebuild_csv()
    files = ["runs/a1b2/SHA256SUMS", "runs/a1b2/record.json"]
    assert everything(store.folder) == ["results.csv", "runs", "runs/a1b2", *files]


def test_a_text_file_is_the_old_one_when_writing_the_new_one_fails(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    files.write_atomically(path, "old\r\n")
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(UserError, match="the disk is full"):
        files.write_atomically(path, "new")
    assert path.read_bytes() == b"old\r\n"
    assert everything(tmp_path) == ["page.md"]


def test_a_file_system_that_cannot_sync_a_folder_keeps_runs_all_the_same(
    store, record, monkeypatch
):
    fsync = os.fsync

    def only_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    save(store, record(run_id="a1"))
    assert list(read_results(store.rebuild_csv())["run_id"]) == ["a1"]
