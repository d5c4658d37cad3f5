from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmark import files
from benchmark.records import store as stores
from benchmark.records import table
from benchmark.records.checksums import write_sums
from benchmark.records.record import RunRecord
from benchmark.records.store import Store, write_record
from benchmark.records.table import read_results


def save(store, record):
    with store.writing(record.run_id) as folder:
        write_record(folder, record)


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_run_is_visible_only_when_its_block_has_ended(store, record):
    with store.writing("a1") as folder:
        write_record(folder, record("a1"))
        (folder / "forecasts.npz").write_bytes(b"123")
        assert folder.parent == store.runs
        assert re.fullmatch(rf"\.writing-a1-.*-{os.getpid()}-[0-9a-f]{{8}}", folder.name)
        assert not (store.runs / "a1").exists()
        assert not store.is_done("a1")
        assert store.records() == []
    files = ["a1/SHA256SUMS", "a1/forecasts.npz", "a1/record.json"]
    assert everything(store.runs) == ["a1", *files]
    assert store.is_done("a1")
    assert store.records() == [record("a1")]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_block_that_ends_in_an_exception_leaves_nothing(store, record, error):
    def cut_off():
        with store.writing("a1") as folder:
            write_record(folder, record("a1"))
            raise error

    with pytest.raises(error):
        cut_off()
    assert everything(store.runs) == []


def test_a_block_that_wrote_no_record_or_another_runs_is_refused(store, record):
    with (
        pytest.raises(ValueError, match=r"a1 was not written: .*no such file"),
        store.writing("a1"),
    ):
        pass
    with pytest.raises(ValueError, match="of run 'b2'"), store.writing("a1") as folder:
        write_record(folder, record("b2"))
    assert everything(store.runs) == []


@pytest.mark.parametrize("run_id", ["../a", "", "a/b", ".a", "a\n"])
def test_an_unsafe_run_id_writes_nothing(store, tmp_path, run_id):
    with pytest.raises(ValueError, match="folder's name"), store.writing(run_id):
        pass
    assert everything(tmp_path) == []


def test_a_failed_run_is_not_done_and_is_replaced_by_its_repetition(store, record):
    save(store, record("a1", error="ValueError: no"))
    (store.runs / "a1" / "old.txt").write_text("old")
    assert not store.is_done("a1")
    save(store, record("a1", mse=0.25))
    assert everything(store.runs) == ["a1", "a1/SHA256SUMS", "a1/record.json"]
    assert [r.mse for r in store.records()] == [0.25]


def test_a_failed_run_never_replaces_a_done_one(store, record):
    save(store, record("a1", error="ValueError: no"))
    with store.writing("a1") as folder:
        write_record(folder, record("a1", error="MemoryError"))
        save(Store(store.folder), record("a1", mse=0.25))  # by another process, meanwhile
        (store.runs / "a1" / "weights").write_text("of hours")
    assert [(r.status, r.mse) for r in store.records()] == [("done", 0.25)]
    files = ["a1/SHA256SUMS", "a1/record.json", "a1/weights"]
    assert everything(store.runs) == ["a1", *files]


def test_a_run_with_weights_is_replaced_by_one_without_only_by_force(store, record):
    def write(mse, *, weights=False, force=False):
        with store.writing("a1", force) as folder:
            write_record(folder, record("a1", mse=mse))
            if weights:
                (folder / "checkpoint.pt").write_bytes(b"123")
        return [r.mse for r in store.records()]

    assert write(0.1) == [0.1]
    assert write(0.2, weights=True) == [0.2]
    assert write(0.3) == [0.2]
    assert (store.runs / "a1" / "checkpoint.pt").exists()
    assert write(0.4, weights=True) == [0.4]
    assert write(0.5, force=True) == [0.5]
    assert everything(store.runs) == ["a1", "a1/SHA256SUMS", "a1/record.json"]


def test_a_run_put_in_place_meanwhile_is_replaced_too(store, record):
    other = Store(store.folder)
    with store.writing("a1") as folder:
        write_record(folder, record("a1", mse=0.1))
        save(other, record("a1", mse=0.2))
    assert [r.mse for r in store.records()] == [0.1]
    assert everything(store.runs) == ["a1", "a1/SHA256SUMS", "a1/record.json"]


def test_a_run_is_on_the_disk_before_it_gets_its_name(store, record, monkeypatch):
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_fsync(handle):
        events.append(names[os.fstat(handle).st_ino])
        fsync(handle)

    def note_rename(self, target):
        events.append(f"rename to {target.name}")
        return rename(self, target)

    with store.writing("a1") as folder:
        write_record(folder, record("a1"))
        (folder / "forecasts.npz").write_bytes(b"123")
        write_sums(folder)
        names = {path.stat().st_ino: path.name for path in [*folder.iterdir(), folder, store.runs]}
        monkeypatch.setattr(os, "fsync", note_fsync)
        monkeypatch.setattr(Path, "rename", note_rename)
    assert set(events[:3]) == {"record.json", "forecasts.npz", "SHA256SUMS"}
    assert events[3:] == [folder.name, "rename to a1", "runs"]


def test_a_run_that_is_just_being_replaced_is_not_taken_for_damaged(store, record, monkeypatch):
    save(store, record("a1"))
    scandir = os.scandir
    looks: list[Path] = []

    def absent_for_a_moment(folder):
        looks.append(folder)
        if looks.count(store.runs / "a1") == 1 and folder == store.runs / "a1":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", absent_for_a_moment)
    assert store.records() == [record("a1")]
    assert looks.count(store.runs / "a1") == 2


def test_a_run_that_is_being_copied_under_a_dot_is_left_alone_until_it_is_moved(store, record):
    save(store, record("a1"))
    save(store, record("b2"))
    incoming = store.runs / ".incoming"
    incoming.mkdir()
    (store.runs / "b2").rename(incoming / "b2")
    (incoming / "c3").mkdir()
    save(store, record("a1"))
    assert [r.run_id for r in store.records()] == ["a1"]
    (incoming / "b2").rename(store.runs / "b2")
    assert read_results(store.rebuild_csv())["run_id"].tolist() == ["a1", "b2"]
    assert (incoming / "c3").is_dir()


def test_results_csv_is_sorted_and_the_same_whatever_the_order_of_writing(tmp_path, record):
    made = [
        record("r1", dataset="B", horizon=24, model="a"),
        record("r2", dataset="A", horizon=192, model="a"),
        record("r3", dataset="A", horizon=96, model="b"),
        record("r4", dataset="A", horizon=96, model="a", lookback=96, seed=1),
        record("r5", dataset="A", horizon=96, model="a", lookback=96, seed=0),
        record("r6", dataset="A", horizon=96, model="a", lookback=48, seed=2),
        record("r0", dataset="A", horizon=96, model="a", lookback=96, seed=1),
    ]
    texts = []
    for name, records in (("x", made), ("y", made[::-1])):
        store = Store(tmp_path / name)
        for one in records:
            save(store, one)
        texts.append(store.rebuild_csv().read_bytes())
    assert texts[0] == texts[1]
    frame = read_results(tmp_path / "x" / "results.csv")
    assert frame["run_id"].tolist() == ["r6", "r5", "r0", "r4", "r3", "r2", "r1"]
    assert "results.csv" in everything(tmp_path / "x")


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_stay(store, record):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    store.runs.mkdir(parents=True)
    host = files._HOST
    gone = [
        store.runs / f".writing-x-{host}-{dead.pid}-00000000",
        store.runs / f".replaced-x-{host}-{dead.pid}-00000000",
    ]
    kept = [
        store.runs / "x",
        store.runs / f".writing-x-{host}-{os.getppid()}-00000000",
        store.runs / f".writing-x-{host}-{os.getpid()}-00000000",
        store.runs / f".writing-x-{host}.else-{dead.pid}-00000000",
        store.runs / ".damaged-x",
    ]
    for folder in gone + kept:
        folder.mkdir()
        (folder / "part").write_text("half")
    half_csv = store.folder / f".writing-results.csv-{host}-{dead.pid}-00000000"
    half_csv.write_text("half")
    save(store, record("a1"))
    assert sorted(store.runs.iterdir()) == sorted([*kept, store.runs / "a1"])
    assert not half_csv.exists()


def test_a_run_that_a_killed_process_was_about_to_replace_is_put_back(store, record):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for run_id in ("a1", "b2"):
        save(store, record(run_id))
        aside = store.runs / f".replaced-{run_id}-{files._HOST}-{dead.pid}-00000000"
        (store.runs / run_id).rename(aside)
    save(store, record("c3"))
    assert store.is_done("b2"), "not swept, but put back"
    (store.runs / "a1").rename(store.runs / f".replaced-a1-{files._HOST}-{dead.pid}-00000000")
    assert store.records() == [record("a1"), record("b2"), record("c3")]


def test_what_a_killed_process_left_of_a_table_goes_when_the_next_is_written(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        (tmp_path / f".writing-report.html-{files._HOST}-{pid}-00000000").touch()
    files.write_atomically(tmp_path / "leaderboard.md", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f".writing-report.html-{files._HOST}-{os.getpid()}-00000000",
        "leaderboard.md",
    ]


def test_what_cannot_be_put_back_is_not_removed(store, record, monkeypatch):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    save(store, record("a1"))
    aside = store.runs / f".replaced-a1-{files._HOST}-{dead.pid}-00000000"
    (store.runs / "a1").rename(aside)

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(Path, "rename", refuse)
    assert store.records() == []
    monkeypatch.undo()
    assert store.records() == [record("a1")]


def test_what_a_container_writes_that_bears_this_hosts_name_stays(store, record):
    code = "from benchmark.files import private_name; print(private_name('writing', 'x'))"
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]  # ids of its own, as there
    try:
        made = subprocess.run([*apart, sys.executable, "-c", code], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if made.returncode:
        pytest.skip(f"unshare is refused here ({made.stderr.strip()})")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = store.runs / made.stdout.strip().replace("-1-", f"-{dead.pid}-")
    folder.mkdir(parents=True)
    save(store, record("a1"))
    assert folder.exists()


WRITER = """
import sys, time
from pathlib import Path
from benchmark.records.record import RunRecord
from benchmark.records.store import Store, write_record
record = RunRecord.model_validate_json(sys.argv[2])
with Store(Path(sys.argv[1])).writing(record.run_id) as folder:
    write_record(folder, record)
    print("written", flush=True)
    time.sleep(60)
"""


def test_a_process_killed_while_writing_leaves_no_run_and_its_rest_is_swept(store, record):
    args = [sys.executable, "-c", WRITER, str(store.folder), record("a1").model_dump_json()]
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        save(store, record("b2"))  # sweeps, and must leave the living's folder
        assert len(list(store.runs.glob(".writing-a1-*"))) == 1
        process.send_signal(signal.SIGKILL)
    assert not store.is_done("a1")
    assert store.records() == [record("b2")]
    save(store, record("c3"))
    files = [f"{run}/{name}" for run in ("b2", "c3") for name in ("SHA256SUMS", "record.json")]
    assert everything(store.runs) == sorted(["b2", "c3", *files])


def _write_many(folder: str, texts: list[str]) -> None:
    store = Store(Path(folder), warn=lambda message: sys.exit(message))
    for text in texts:
        record = RunRecord.model_validate_json(text)
        with store.writing(record.run_id) as run:
            write_record(run, record)
        store.rebuild_csv()


def test_processes_that_write_at_once_lose_no_row_and_disturb_no_run(store, record):
    shared = [record(f"shared{n % 3}", seed=n).model_dump_json() for n in range(15)]
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(
            target=_write_many,
            args=(
                str(store.folder),
                [*shared, *(record(f"own{k}.{n}").model_dump_json() for n in range(15))],
            ),
        )
        for k in range(3)
    ]
    for process in processes:
        process.start()
    reader = Store(store.folder)
    while any(process.is_alive() for process in processes):
        reader.records()
        csv = store.folder / "results.csv"
        if csv.exists():
            read_results(csv)
        time.sleep(0.01)
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    expected = {f"own{k}.{n}" for k in range(3) for n in range(15)}
    expected |= {"shared0", "shared1", "shared2"}
    assert set(read_results(store.folder / "results.csv")["run_id"]) == expected
    assert set(os.listdir(store.runs)) == expected


@pytest.fixture
def rows_written(monkeypatch):
    """How many rows each results.csv had that anyone wrote."""
    counts: list[int] = []

    def write(path, rows):
        texts = list(rows)
        counts.append(len(texts))
        table.write_rows(path, texts)

    monkeypatch.setattr(stores, "write_rows", write)
    return counts


def test_a_rebuild_waits_for_a_run_that_is_between_its_two_names(
    store, record, monkeypatch, rows_written
):
    save(store, record("a1", mse=0.1))
    another = threading.Thread(target=Store(store.folder).rebuild_csv)
    rename = Path.rename

    def slowly(self, target):
        if target.name == "a1":
            assert not target.exists()
            another.start()
            time.sleep(0.03)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", slowly)
    save(store, record("a1", mse=0.2))
    another.join()
    assert rows_written == [1]
    assert read_results(store.folder / "results.csv")["mse"].tolist() == [0.2]


def test_a_rebuild_does_not_lose_a_run_replaced_between_its_listing_and_its_reading(
    store, record, monkeypatch, rows_written
):
    save(store, record("a1", mse=0.1))
    read = stores.load_record

    def gone_at_first(folder, run_id):
        monkeypatch.setattr(stores, "load_record", read)
        save(Store(store.folder), record("a1", mse=0.2))
        return

    monkeypatch.setattr(stores, "load_record", gone_at_first)
    store.rebuild_csv()
    assert rows_written == [1]
    assert read_results(store.folder / "results.csv")["mse"].tolist() == [0.2]


def test_what_died_between_two_names_is_not_waited_for_forever(store, record):
    save(store, record("a1"))
    (store.runs / ".replaced-b2-elsewhere-1-00000000").mkdir()
    began = time.monotonic()
    assert store.records() == [record("a1")]
    assert time.monotonic() - began < 5


def test_a_run_finished_during_the_rebuild_is_in_results_csv(store, record, monkeypatch):
    save(store, record("a1"))
    replace = Path.replace

    def finish_another_first(self, target):
        monkeypatch.setattr(Path, "replace", replace)
        save(Store(store.folder), record("b2"))
        Store(store.folder).rebuild_csv()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", finish_another_first)
    assert read_results(store.rebuild_csv())["run_id"].tolist() == ["a1", "b2"]


def test_a_run_of_another_version_stays_done_without_the_columns_it_alone_knew(store, record):
    save(store, record("a1", mse=0.25))
    path = store.runs / "a1" / "record.json"
    old = json.loads(path.read_text())
    for column in ("energy_j", "macs", "latency_ms", "throughput"):
        del old[column]
    path.write_text(json.dumps(old | {"inference_us": 17.5}))
    (path.parent / "SHA256SUMS").unlink()  # which it had not either
    assert store.is_done("a1")
    assert "inference_us" not in store.rebuild_csv().read_text()
    assert [(r.mse, r.throughput) for r in store.records()] == [(0.25, None)]
