"""results.csv is made of what was read before only where a run's folder is still the same."""

from __future__ import annotations

import json
import os

import pytest

from benchmark.records import store as stores
from benchmark.records.index import INDEX_FILE
from benchmark.records.store import Store, write_record
from benchmark.records.table import csv_text


@pytest.fixture
def put(store, record):
    def write(run_id, **values):
        with store.writing(run_id) as folder:
            write_record(folder, record(run_id, **values))

    return write


@pytest.fixture
def loaded(monkeypatch):
    """Names of the runs whose records are read from now on."""
    names = []
    load = stores.load_record

    def counted(folder, run_id):
        names.append(run_id)
        return load(folder, run_id)

    def start():
        names.clear()
        monkeypatch.setattr(stores, "load_record", counted)
        return names

    return start


def test_only_new_runs_are_read_and_the_file_is_that_of_reading_all(store, put, record, loaded):
    for number in range(5):
        put(f"a{number}", mse=0.1 * number)
    store.rebuild_csv()
    put("b0", error='ValueError: no, "never"')
    put("a3", mse=7.0)  # replaced
    names = loaded()
    text = store.rebuild_csv().read_text(encoding="utf-8")
    assert sorted(names) == ["a3", "b0"]
    assert text == csv_text(store.records())
    names.clear()
    assert store.rebuild_csv().read_text(encoding="utf-8") == text
    assert names == []


def test_a_run_that_is_gone_edited_or_a_link_is_not_taken_from_the_index(store, put, tmp_path):
    told = []
    for name in ("gone", "edited", "linked", "kept"):
        put(name)
    store.rebuild_csv()
    (store.runs / "gone").rename(tmp_path / "gone")
    (store.runs / "linked").rename(tmp_path / "linked")
    (store.runs / "linked").symlink_to(tmp_path / "linked")
    path = store.runs / "edited" / "record.json"
    times = path.stat()
    path.write_text(path.read_text().replace("0.5", "0.1"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as if nothing had happened
    lines = Store(store.folder, told.append).rebuild_csv().read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["kept"]
    assert len(told) == 2


@pytest.mark.parametrize(
    "content",
    ["", "[", "[1, {}]", "null", "[" * 100_000, '[["x"], {"a0": [[1], [2], "a line"]}]', "\ud800"],
)
def test_a_damaged_index_is_as_none(store, put, content):
    put("a0")
    text = store.rebuild_csv().read_text()
    index = store.folder / INDEX_FILE
    index.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert store.rebuild_csv().read_text() == text
    made_as, rows = json.loads(index.read_text())
    assert list(rows) == ["a0"]
    rows["a0"] = [rows["a0"][0], rows["a0"][1]]
    index.write_text(json.dumps([made_as, rows]))
    assert store.rebuild_csv().read_text() == text
