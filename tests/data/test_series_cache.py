"""A file is parsed once; a cache that is stale, damaged or impossible never changes a series."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import files
from benchmark.data import cache, load
from benchmark.data.load import load as load_series
from benchmark.errors import UserError
from benchmark.places import DATASETS


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is parsed, in order."""
    parsed: list[Path] = []
    real = load.parse
    monkeypatch.setattr(load, "parse", lambda card, path: parsed.append(path) or real(card, path))
    return parsed


def test_a_file_is_parsed_once(make_card, write, rows, parses):
    path = write(rows)
    first, second = load_series(make_card()), load_series(make_card())
    assert parses == [path]
    assert first.digest == second.digest
    np.testing.assert_array_equal(first.values, second.values)


def test_a_changed_file_or_card_is_read_again(make_card, write, rows, parses):
    write(rows)
    load_series(make_card())
    assert load_series(make_card(channels=["heat", "load"])).values[0, 0] == 10
    write([*rows[:-1], "2020-01-01 04:00:00,5.5,51"])  # the same size
    assert load_series(make_card(channels=["heat", "load"])).values[-1, 0] == 51
    assert len(parses) == 3


def test_what_a_card_that_masks_has_cached_is_not_read_by_one_that_refuses(make_card, write, rows):
    rows[2] = rows[2].replace("2.5", "")
    write(rows)
    assert np.isnan(load_series(make_card(missing="mask")).values[1, 0])
    with pytest.raises(UserError):
        load_series(make_card())


def test_splits_and_season_do_not_read_the_file_again(make_card, write, rows, parses):
    write(rows)
    load_series(make_card())
    load_series(make_card(season=3, splits={"train": 1, "val": 1, "test": 1}))
    assert len(parses) == 1


def damages() -> dict[str, object]:
    return {
        "truncated": lambda data: data[:-3],
        "empty": lambda data: b"",
        "one bit": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
        "garbage": lambda data: b"\xff" * len(data),
        "longer": lambda data: data * 2,
        "json of another kind": lambda data: b"[1, 2]",
    }


@pytest.mark.parametrize("part", [".json", ".times.i8", ".values.f8"])
@pytest.mark.parametrize("damage", damages())
def test_a_damaged_cache_is_made_again(part, damage, folder, make_card, write, rows, parses):
    write(rows)
    expected = load_series(make_card())
    digest, values = expected.digest, expected.values.copy()
    (entry,) = (folder / ".cache").glob(f"toy.csv-*{part}")
    entry.write_bytes(damages()[damage](entry.read_bytes()))
    again = load_series(make_card())
    assert again.digest == digest
    np.testing.assert_array_equal(again.values, values)
    load_series(make_card())
    assert len(parses) == 2


def test_a_missing_part_of_the_cache_is_made_again(folder, make_card, write, rows, parses):
    write(rows)
    for part in (".json", ".times.i8", ".values.f8"):
        load_series(make_card())
        next((folder / ".cache").glob(f"toy.csv-*{part}")).unlink()
    assert len(load_series(make_card()).values) == 5
    assert len(parses) == 4


def test_a_read_only_data_folder_is_cached_elsewhere(
    folder, make_card, write, rows, parses, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    write(rows)
    folder.chmod(0o555)
    assert load_series(make_card()).digest == load_series(make_card()).digest
    assert len(parses) == 1
    assert [path.name for path in folder.iterdir()] == ["toy.csv"]
    assert list((tmp_path / "home").rglob("toy.csv-*.json"))


def test_a_cache_that_cannot_be_written_is_done_without(
    folder, make_card, write, rows, parses, tmp_path, monkeypatch
):
    (tmp_path / "blocked").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "blocked"))
    write(rows)
    folder.chmod(0o555)
    for _ in range(2):
        series = load_series(make_card())
        assert series.values[0, 0] == 1.5
        assert not series.values.flags.writeable
        assert not series.timestamps.flags.writeable
    assert len(parses) == 2


def test_a_full_disk_while_caching_leaves_no_half_entry(
    folder, make_card, write, rows, monkeypatch
):
    write(rows)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    assert len(load_series(make_card()).values) == 5
    assert list((folder / ".cache").iterdir()) == []


def test_what_a_killed_process_left_of_an_entry_is_swept(folder, make_card, write, rows):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (folder / ".cache").mkdir()
    names = {
        pid: f".writing-toy.csv-{files._HOST}-{pid}-00000000" for pid in (dead.pid, os.getpid())
    }
    for name in names.values():
        (folder / ".cache" / name).write_bytes(bytes(1_000))
    write(rows)
    load_series(make_card())
    left = {path.name for path in (folder / ".cache").glob(".*")}
    assert left == {names[os.getpid()]}


KILLED = """
import os, signal, sys
from pathlib import Path
from benchmark.files import writing

with writing(Path(sys.argv[1])) as stream:
    stream.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_a_name_that_is_swept(tmp_path):
    path = tmp_path / "toy.csv"
    path.write_bytes(b"old")
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    files.sweep(tmp_path)
    assert [(left.name, left.read_bytes()) for left in tmp_path.iterdir()] == [("toy.csv", b"old")]


def test_a_cache_of_an_older_format_is_not_used(make_card, write, rows, parses, monkeypatch):
    write(rows)
    load_series(make_card())
    monkeypatch.setattr(cache, "CACHE_FORMAT", cache.CACHE_FORMAT + 1)
    load_series(make_card())
    assert len(parses) == 2


SECOND_START = """
import sys
from benchmark.data.card import load_card
from benchmark.data.load import load
series = load(load_card(sys.argv[1]))
print(series.digest, [name for name in ("pandas", "pooch", "torch") if name in sys.modules])
"""


def test_two_first_starts_at_once_agree_and_the_next_imports_no_pandas(
    folder, tmp_path, write, rows
):
    lines = [
        f"{time},1,{i}" for i, time in enumerate(pd.date_range("2020", periods=5000, freq="h"))
    ]
    write([rows[0], *lines])
    card = tmp_path / "toy.yaml"
    card.write_text(
        "name: toy\ntitle: toy\nfile: toy.csv\nlicence: none\ncitation: none\nfrequency: h\n"
        "time_column: date\nchannels: 2\nsplits: {train: 0.7, val: 0.1, test: 0.2}\nseason: 24\n"
    )
    command = [sys.executable, "-c", SECOND_START, str(card)]
    environment = os.environ | {"PYTHONPATH": str(DATASETS.parent)}
    starts = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    digests = {start.communicate()[0].split()[0] for start in starts}
    assert [start.returncode for start in starts] == [0, 0]
    third = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert third.stdout.split() == [*digests, "[]"]
    assert not [path for path in (folder / ".cache").iterdir() if path.name.startswith(".")]
