"""Data and configuration files of strangers: no size takes the memory or the time."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pytest

from benchmark.config import validate
from benchmark.data import files
from benchmark.data.adoption.look import look
from benchmark.data.card import DatasetCard
from benchmark.data.files import opened_text
from benchmark.data.load import load
from benchmark.data.parse import parse
from benchmark.data.rows import read_rows
from benchmark.errors import MOST_TOLD, UserError
from benchmark.plain_yaml import load_yaml, parse_yaml

HEADER = "date,a,b\n"
ROW = "2020-01-01 00:00:00,1,2\n"


def refusal(read: Any, *arguments: Any, **keywords: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(*arguments, **keywords)
    return str(caught.value)


@pytest.fixture
def card(make_card: Any) -> DatasetCard:
    found: DatasetCard = make_card(channels=["a", "b"])
    return found


# --- data files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", HEADER, HEADER + ROW, HEADER + ROW * 3])
def test_a_line_without_an_end_is_not_read_to_its_end(
    tmp_path: Path, card: DatasetCard, before: str
) -> None:
    path = tmp_path / "toy.csv"
    path.write_text(before)
    with open(path, "ab") as stream:
        stream.truncate(1 << 35)  # sparse: takes no room, and 32 GB if it were read
    line = before.count("\n") + 1
    says = f"{path}: line {line}: is longer than 10,000,000 bytes"
    assert refusal(parse, card, path).startswith(says)
    assert refusal(read_rows, card, ("a", "b"), path, 2, whole=False).startswith(says)
    assert refusal(look, path).startswith(says)


def test_lines_up_to_the_limit_are_read_whatever_the_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 100_000)
    path = tmp_path / "x.txt"
    for length in (99_998, 99_999, 100_000):
        for before in (0, 1, 65_535, 65_536, 65_537):
            content = b"x" * before + b"\n" + b"y" * length + b"\n" + b"z"
            path.write_bytes(content)
            with opened_text(path) as stream:
                assert stream.read() == content
            with opened_text(path) as stream:
                assert [len(line) for line in stream] == [before + 1, length + 1, 1]
    path.write_bytes(b"x\n" + b"y" * 200_000 + b"\n")
    with pytest.raises(UserError, match="line 2: is longer"), opened_text(path) as stream:
        stream.read()


def test_a_small_gzip_that_unpacks_to_very_much_is_refused(
    tmp_path: Path, card: DatasetCard
) -> None:
    path = tmp_path / "toy.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROW * 600_000).encode()))
    size = path.stat().st_size
    assert size < 50_000
    assert f"{path}: holds more than 10,000,000 bytes of text" in refusal(parse, card, path)


def test_a_text_longer_than_the_limit_is_refused(
    tmp_path: Path, card: DatasetCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "toy.csv"
    path.write_text(HEADER + ROW * 100)
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 1_000)
    assert f"{path}: holds more than 1,000 bytes of text" in refusal(parse, card, path)


def test_ten_thousand_wrong_columns_are_told_in_a_few_lines(tmp_path: Path, make_card: Any) -> None:
    path = tmp_path / "toy.csv"
    names = [f"c{n}" for n in range(10_000)]
    path.write_text("date," + ",".join(names) + "\n" + ROW)
    told = refusal(parse, make_card(channels=[f"d{n}" for n in range(10_000)]), path)
    lines = told.splitlines()
    assert lines[0].startswith(f"{path}: line 1: channel 'd0' is missing; known: c0, c1, c10, ")
    assert len(lines) == MOST_TOLD + 1
    assert lines[-1] == f"{path}: has more faults like these"
    path.write_text("date," + ",".join(["same"] * 10_000) + "\n")
    assert "line 1: names column 'same' twice" in refusal(parse, make_card(channels=9_999), path)


def test_ten_thousand_columns_are_read_where_the_card_says_so(folder: Path, make_card: Any) -> None:
    names = ",".join(f"c{n}" for n in range(10_000))
    rows = "".join(f"2020-01-0{day} 00:00:00{',1.5' * 10_000}\n" for day in range(1, 6))
    (folder / "toy.csv").write_text(f"date,{names}\n{rows}")
    splits = {"train": 3, "val": 1, "test": 1}
    series = load(make_card(channels=10_000, frequency="D", splits=splits))
    assert series.values.shape == (5, 10_000)


# --- configuration files -------------------------------------------------------------------------


def test_a_billion_laughs_are_refused_at_the_first() -> None:
    lines = ["a0: &a0 [ha, ha]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    assert "aliases (*name) are not allowed at line 2" in refusal(
        parse_yaml, "\n".join(lines), "x.yaml"
    )


def test_a_yaml_without_an_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with open(path, "wb") as stream:
        stream.truncate(1 << 35)
    assert "is longer than 250,000 characters" in refusal(load_yaml, path)


def test_a_file_of_unknown_keys_is_told_in_a_few_lines() -> None:
    data = {f"key{n}": 1 for n in range(5_000)}
    lines = refusal(validate, DatasetCard, data, "x.yaml").splitlines()
    assert len(lines) == MOST_TOLD + 1
    assert lines[-1] == "x.yaml: has more faults like these"


def test_the_nearest_of_very_long_names_is_not_searched_for() -> None:
    long = "x" * 100_000
    data = {long: 1}
    told = refusal(validate, DatasetCard, data, "x.yaml")
    assert "unknown key" in told


def test_the_bounded_text_is_what_csv_and_pandas_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a\r\nb\n"))
    with opened_text(path) as stream:
        assert stream.readline() == b"a\r\n"
        assert io.TextIOWrapper(stream, newline="").read() == "b\n"


@pytest.mark.parametrize("zoned", ["02:00:00+1", "02:00:00+01", "02:00:00Z", "02:00+0130"])
@pytest.mark.parametrize("other", ["03:00:00", "03:00:00+1", "03:00:00-2"])
def test_times_in_a_zone_are_refused_whatever_the_others(
    tmp_path: Path, card: DatasetCard, zoned: str, other: str
) -> None:
    path = tmp_path / "toy.csv"
    path.write_text(f"date,a,b\n2020-01-01 {zoned},1,2\n2020-01-01 {other},1,2\n")
    for read in (
        lambda: parse(card, path),
        lambda: read_rows(card, ("a", "b"), path, 2, whole=True),
    ):
        assert f"line 2, column 'date': '2020-01-01 {zoned}' has a time zone" in refusal(read)
