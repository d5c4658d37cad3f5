"""Results of strangers: nothing in them is run, leads elsewhere or takes the memory."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.records import arrays, csv_rows
from benchmark.records.arrays import read_arrays
from benchmark.records.losses import read_losses
from benchmark.records.record import RunRecord
from benchmark.records.store import Store, read_record, write_record
from benchmark.records.table import read_results, write_csv

SQUARED = np.full((6, 2), 0.5, dtype=np.float32)


class Harm:
    """Unpickling one makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def run(tmp_path: Path, record: Callable[..., RunRecord]) -> Path:
    """A run's folder with its errors and no checksums, and a results.csv that has it."""
    results = tmp_path / "results"
    with Store(results).writing("a1") as folder:
        np.savez_compressed(folder / "errors.npz", squared=SQUARED, absolute=SQUARED)
        write_record(folder, record("a1", mse=0.5, mae=0.5))
    Store(results).rebuild_csv()
    (results / "runs" / "a1" / "SHA256SUMS").unlink()  # who writes a file may write its checksum
    return results / "runs" / "a1"


def losses(run: Path) -> dict[str, Any]:
    csv = run.parent.parent / "results.csv"
    return read_losses(csv, read_results(csv))


def told(run: Path) -> str:
    """The line that is said of a run whose errors are not read."""
    csv = run.parent.parent / "results.csv"
    lines: list[str] = []
    assert read_losses(csv, read_results(csv), warn=lines.append) == {}
    (line,) = lines
    assert "\n" not in line
    return line


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_errors_that_are_sound_are_read(run: Path) -> None:
    assert losses(run)["a1"].tolist() == [0.5] * 6


# --- nothing is run ------------------------------------------------------------------------------


def test_a_pickle_in_place_of_the_errors_is_not_loaded(run: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (run / "errors.npz").write_bytes(pickle.dumps(Harm(mark)))
    assert "errors.npz: is damaged" in told(run)
    np.savez(run / "errors.npz", squared=np.array([Harm(mark)], dtype=object), absolute=SQUARED)
    assert "allow_pickle" in told(run)
    assert not mark.exists()
    np.load(run / "errors.npz", allow_pickle=True)["squared"]
    assert mark.exists(), "the test itself must be one that could harm"


# --- nothing leads elsewhere ---------------------------------------------------------------------


@pytest.mark.parametrize("run_id", ["../../x", "/etc", "a/../../x", "..", ".a", "a\x00b", "~root"])
def test_a_run_id_of_a_csv_is_no_path(tmp_path: Path, record: Any, run_id: str) -> None:
    path = tmp_path / "results.csv"
    write_csv(path, [record("PLACE")])
    path.write_text(path.read_text().replace("PLACE", run_id))
    message = refusal(lambda: read_results(path))
    assert f"{path}: line 2, column run_id: is no name of a run's folder, got" in message


@pytest.mark.parametrize("name", ["errors.npz", "record.json", "run.yaml"])
def test_a_link_in_a_runs_folder_is_not_followed(run: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / name
    there = run / name
    elsewhere.write_bytes(there.read_bytes() if there.exists() else b"name: x\n")
    there.unlink(missing_ok=True)
    there.symlink_to(elsewhere)
    assert told(run).startswith(f"{there}: is a link")
    assert refusal(lambda: read_record(run)).startswith(f"{there}: is a link")
    warnings: list[str] = []
    assert Store(run.parents[1], warnings.append).records() == []
    assert "set aside" in warnings[0]
    assert elsewhere.exists()


def test_a_runs_folder_that_is_a_link_is_not_followed(run: Path, tmp_path: Path) -> None:
    run.rename(tmp_path / "moved")
    run.symlink_to(tmp_path / "moved")
    assert "is a link" in told(run)
    assert Store(run.parents[1], lambda _: None).records() == []
    assert (tmp_path / "moved" / "record.json").exists(), "what it leads to stays as it is"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_place_of_a_record_is_not_waited_for(run: Path) -> None:
    (run / "record.json").unlink()
    os.mkfifo(run / "record.json")
    assert "is no regular file" in refusal(lambda: read_record(run))


# --- nothing takes the memory --------------------------------------------------------------------


def members(path: Path, **content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(f"{name}.npy", data)


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arrays.MAX_BYTES <= 1 << 30
    monkeypatch.setattr(arrays, "MAX_BYTES", 10_000)
    members(run / "errors.npz", squared=header("(5000, 1)") + bytes(20_000))
    assert (run / "errors.npz").stat().st_size < 1_000
    assert "unpacks to 20,0" in told(run)


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000000000, 2)"),
        header("(-1, 2)"),
        header("(2, 2)", "'O'"),
        header("(2, 2)", "'<U4'") + bytes(64),
        header("(4,)") + bytes(16),
        header("(0, 2)"),
        header("(2, 2)") + bytes(3),
        header("(" * 4000),
        header("__import__('os').getcwd()"),
        b"\x93NUMPY\x09\x00",
        b"no array",
        b"",
    ],
)
def test_an_array_that_is_not_what_it_says_is_damage(run: Path, content: bytes) -> None:
    members(run / "errors.npz", squared=content, absolute=content)
    assert "errors.npz: is damaged (" in told(run)


@pytest.mark.parametrize("known", [[[0, 0]] * 6, [[-1, 1]] * 6, [[1, 1]] * 5])
def test_counts_of_known_targets_that_cannot_be_are_damage(run: Path, known: Any) -> None:
    np.savez(run / "errors.npz", squared=SQUARED, known=np.array(known))
    assert "'known' does not count" in told(run)
    some = np.array([[1, 1]] * 5 + [[0, 2]])  # a window may lack those of a channel
    np.savez(run / "errors.npz", squared=SQUARED, known=some)
    losses(run)


def test_damage_to_any_byte_is_damage_or_does_no_harm(run: Path) -> None:
    path = run / "errors.npz"
    sound = path.read_bytes()
    for place in range(0, len(sound), 3):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x55]) + sound[place + 1 :])
        try:
            read_arrays(path, {"squared": "f2"})
        except UserError as error:
            assert "is damaged" in str(error)  # noqa: PT017 - either outcome is right


def test_a_long_record_is_not_read_to_its_end(run: Path) -> None:
    with open(run / "record.json", "ab") as stream:
        stream.truncate(1 << 33)  # sparse: takes no room
    assert "is longer than 1,000,000 bytes" in refusal(lambda: read_record(run))


@pytest.mark.parametrize(
    ("limit", "value", "what"),
    [
        ("MAX_ROW", 300, "line 1: a row is longer than 300 characters"),
        ("MAX_CHARACTERS", 700, "is longer than 700 characters"),
        ("MAX_ROWS", 2, "has more than 2 rows"),
        ("MAX_COLUMNS", 20, "line 1: has"),
    ],
)
def test_a_results_csv_beyond_a_limit_is_refused_with_that_limit(
    tmp_path: Path, record: Any, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, what: str
) -> None:
    path = tmp_path / "results.csv"
    write_csv(path, [record(f"run{n}") for n in range(3)])
    assert len(read_results(path)) == 3
    assert getattr(csv_rows, limit) > value
    monkeypatch.setattr(csv_rows, limit, value)
    assert what in refusal(lambda: read_results(path))


def test_one_endless_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    with open(path, "wb") as stream:
        stream.truncate(1 << 33)
    assert "a row is longer than 1,000,000 characters" in refusal(lambda: read_results(path))


def test_one_endless_row_over_many_lines_is_not_read_to_its_end() -> None:
    text = io.StringIO("a,b\n" + '"' + "x\n" * 1_000_000)
    message = refusal(lambda: csv_rows.parse_csv_rows(Path("x.csv"), text))
    assert "a row is longer than 1,000,000 characters" in message or "field limit" in message
