"""What reads files of strangers, and how such files are made up: sound ones, cut, mixed and mended.

A reader may return or raise UserError; whatever else comes out of it, a hang and a blow-up of
memory are faults. `test_fuzz.py` tries some hundred inputs, ``run.py`` as many as it is told.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from benchmark.config import validate
from benchmark.data.card import DatasetCard, load_card
from benchmark.data.parse import parse
from benchmark.data.rows import read_rows
from benchmark.errors import MOST_TOLD, UserError
from benchmark.harness.spec import CONFIGS, load_run, load_suite
from benchmark.plain_yaml import load_yaml
from benchmark.records.arrays import read_arrays
from benchmark.records.csv_rows import MAX_CHARACTERS
from benchmark.records.losses import read_losses
from benchmark.records.record import RunRecord
from benchmark.records.store import read_record
from benchmark.records.table import csv_text, read_results

Content = st.SearchStrategy[bytes]

CARD: dict[str, Any] = {
    "name": "toy", "title": "t", "file": "toy.csv", "licence": "none", "citation": "none",
    "frequency": "h", "time_column": "date", "channels": ["a", "b"], "season": 2,
    "splits": {"train": 3, "val": 2, "test": 2},
}  # fmt: skip
HOURS = [f"2020-01-01 {hour:02}:00:00" for hour in range(8)]
DATA = "date,a,b\n" + "".join(f"{time},{n}.5,-{n}e3\n" for n, time in enumerate(HOURS))
RECORD: dict[str, Any] = {
    "run_id": "a1", "status": "done", "dataset": "ETTh1", "lookback": 336, "horizon": 96,
    "model": "gru", "seed": 0, "config": "c0ffee0000", "mse": 0.5, "mae": 0.5, "fitted": "gradient",
    "device": "cpu", "fingerprint": "f" * 16, "started": "2026-01-31T12:00:00+00:00",
    "benchmark_version": "0.1.0", "python_version": "3.11.9", "torch_version": "2.9.0",
    "lightning_version": "2.5.0",
}  # fmt: skip

YAML_WORDS = (
    "- ", ": ", "? ", "[", "]", "{", "}", ",", "\n", "  ", "\t", "'", '"', "|", ">", "|2-", "#",
    "&a ", "*a", "!!int ", "!x ", "---\n", "...\n", "%YAML 1.1\n", "<<: ", "~", "null", "true",
    "1e999", "0x1f", "-", "=", "\\", '"\\x', '"\\U0011ffff"', "\r\n", "\x85", "\u2028", "\ufeff",
    "\x00", "1" * 30, "a: 1\n", "model: ", "class: Ridge\n", "grids: ", "é", "😀", "[[[[[[[[",
    "{a: {a: ",
)  # fmt: skip
CSV_WORDS = (
    ",", "\n", "\r\n", "\r", '"', '""', "'", ";", "\t", " ", "nan", "NA", "inf", "-inf", "1e999",
    "1_0", "0x1", "true", "False", "date", "a", "b", "2020-01-01", "2020-01-01 00:00:00",
    "2020-01-01T01:00Z", "2020/01/01 1:00", "9999-12-31 23:00:00", "0001-01-01", "\ufeff", "\x00",
    "é", "😀", "1e-320", "9" * 400, "-0", "+1", ".", "-", "=1+1", "../../x", "done", "failed",
    "," * 50, "\n" * 3, "\x85",
)  # fmt: skip


def mended(sound: bytes, words: tuple[str, ...]) -> Content:
    """A sound file with some pieces cut out, doubled, or replaced by words or any bytes."""
    length = len(sound)
    piece = st.sampled_from(words).map(lambda word: word.encode("utf-8")) | st.binary(max_size=6)
    edit = st.tuples(st.integers(0, length), st.sampled_from([0, 0, 1, 2, 5, 40]), piece)

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        content = sound
        for place, cut, new in edits:
            content = content[:place] + new + content[place + cut :]
        return content

    return st.lists(edit, min_size=1, max_size=3).map(apply)


def mixed(words: tuple[str, ...]) -> Content:
    """Words of a format in any order."""
    return st.lists(st.sampled_from(words) | st.text(max_size=3), max_size=40).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    )


def anything() -> st.SearchStrategy[Any]:
    """Any JSON value, with texts that have bitten before among them."""
    odd = st.sampled_from(
        ["", "a", "../x", "NO", "1e-4", "=x", "\n", "h", "99999min", "rot13", "x" * 300]
    )
    numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    leaves = st.none() | st.booleans() | numbers | odd | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(odd | st.text(max_size=3), inner)
        ),
        max_leaves=6,
    )


def changed(fields: dict[str, Any]) -> Content:
    """A mapping as JSON, which is YAML, with some fields replaced by anything, or added."""
    keys = st.sampled_from(sorted(fields)) | st.text(max_size=4)
    return st.dictionaries(keys, anything(), min_size=1, max_size=3).map(
        lambda new: json.dumps(fields | new).encode("utf-8", "surrogatepass")
    )


@dataclass(frozen=True)
class Reader:
    """One way into the program.

    Attributes:
        contents: the files it is tried on.
        read: takes such a file's content and a folder to lay it in.
    """

    contents: Content
    read: Callable[[bytes, Path], object]


def _yaml(content: bytes, folder: Path) -> object:
    path = folder / "x.yaml"
    path.write_bytes(content)
    data = load_yaml(path)
    load = load_suite if "grids" in data else load_run
    return load(path)


def _card(content: bytes, folder: Path) -> object:
    path = folder / "toy.yaml"
    path.write_bytes(content)
    card = load_card(path)
    try:
        return card.splits.borders(100), card.step, card.reading()
    except ValueError as error:
        raise UserError("splits", str(error)) from None  # as `load` tells it


@cache
def _cards() -> list[DatasetCard]:
    """Cards that read one file in different ways."""
    changes: list[dict[str, Any]] = [
        {}, {"missing": "mask"}, {"missing": "interpolate", "interpolate_limit": 2},
        {"channels": 2}, {"channels": ["a"], "left_out": ["b"]}, {"encoding": "latin-1"},
        {"time_column": None, "start": "2020-01-01"}, {"irregular_steps": 1},
        {"time_column": None, "start": "2020-01-01", "header": False},
    ]  # fmt: skip
    return [validate(DatasetCard, CARD | change, "toy.yaml") for change in changes]


def _data(content: bytes, folder: Path) -> object:
    path = folder / "toy.csv"
    path.write_bytes(content)
    card = _cards()[sum(content) % len(_cards())]
    whole = bool(sum(content) & 1)
    if len(content) % 3 == 0:
        return read_rows(card, ("a", "b"), path, 2, whole=whole)
    table = parse(card, path)
    assert np.isfinite(table.values).all() or card.missing != "error"
    return table


def _results(content: bytes, folder: Path) -> object:
    path = folder / "results.csv"
    path.write_bytes(content)
    frame = read_results(path)
    assert frame["mse"].notna().equals(frame["status"] == "done")
    return read_losses(path, frame)


def _record(content: bytes, folder: Path) -> object:
    run = folder / "a1"
    run.mkdir(exist_ok=True)
    (run / "record.json").write_bytes(content)
    return read_record(run)


def _arrays(content: bytes, folder: Path) -> object:
    path = folder / "errors.npz"
    path.write_bytes(content)
    return read_arrays(path, {"squared": "f2"}, {"known": "iu2", "channels": "U1"})


def _npz() -> bytes:
    stream = io.BytesIO()
    squared = np.ones((3, 2), dtype=np.float32)
    np.savez(stream, squared=squared, known=np.ones((3, 2), dtype=np.int64))
    return stream.getvalue()


def _sound_yamls() -> list[bytes]:
    names = ("models/gru", "models/dlinear", "suites/cells", "suites/ci")
    return [(CONFIGS / f"{name}.yaml").read_bytes() for name in names]


_LINE = csv_text([RunRecord(**RECORD), RunRecord(**RECORD | {"run_id": "b2", "mse": 0.25})])
_YAML = [mended(sound, YAML_WORDS) for sound in _sound_yamls()]
_SUITE: dict[str, Any] = {
    "name": "x", "models": ["gru"], "grids": [{"datasets": ["a"], "horizons": [1]}],
}  # fmt: skip
_RUN = {"name": "x", "model": {"class": "Ridge"}, "training": {"epochs": 1}}

READERS = {
    "yaml": Reader(
        st.one_of(*_YAML, mixed(YAML_WORDS), st.binary(), changed(_RUN), changed(_SUITE)), _yaml
    ),
    "card": Reader(changed(CARD) | mended(json.dumps(CARD).encode(), YAML_WORDS), _card),
    "data": Reader(mended(DATA.encode(), CSV_WORDS) | mixed(CSV_WORDS) | st.binary(), _data),
    "results": Reader(mended(_LINE.encode(), CSV_WORDS) | mixed(CSV_WORDS), _results),
    "record": Reader(changed(RECORD) | mended(json.dumps(RECORD).encode(), CSV_WORDS), _record),
    "arrays": Reader(mended(_npz(), ("PK", "\x93NUMPY", "'O'", "(9,)", "\x00" * 9)), _arrays),
}


def attempt(reader: Reader, content: bytes, folder: Path) -> bool:
    """Read one file; say whether it was sound.

    Raises:
        Exception: anything but a UserError that is fit to be shown.
    """
    assert len(content) < MAX_CHARACTERS
    try:
        reader.read(content, folder)
    except UserError as error:
        lines = str(error).split("\n")
        assert 1 <= len(lines) <= MOST_TOLD + 1
        assert max(map(len, lines)) < 3_000, "an error is a line to read"
        return False
    return True
