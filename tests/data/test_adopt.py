"""What is proposed for a user's file, what is written, and every way a file can be wrong."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.config import parse_yaml, validate
from benchmark.data.adopt import adopt, as_csv, card_text, propose
from benchmark.data.card import DatasetCard, load_card
from benchmark.data.load import load
from benchmark.errors import UserError

HEAD = "date,load,heat"


def table(rows: int = 200, step: str = "h", start: str = "2021-03-01") -> pd.DataFrame:
    """Two channels with a day's season, as a user's file would hold them."""
    t = np.arange(rows)
    wave = np.sin(2 * np.pi * t / 24)
    noise = np.random.default_rng(1).normal(size=(rows, 2))
    columns = {"load": 50 + 9 * wave + noise[:, 0], "heat": wave + 0.1 * noise[:, 1]}
    return pd.DataFrame({"date": pd.date_range(start, periods=rows, freq=step), **columns})


@pytest.fixture
def user(folder: Path, tmp_path: Path) -> Path:
    """A folder of a user's files, outside the data folder in use."""
    (tmp_path / "user").mkdir()
    return tmp_path / "user"


@pytest.fixture
def write_csv(user: Path) -> Callable[..., Path]:
    def write(content: pd.DataFrame | Sequence[str], name: str = "my.csv") -> Path:
        path = user / name
        if isinstance(content, pd.DataFrame):
            content.to_csv(path, index=False)
        else:
            path.write_text("\n".join(content) + "\n")
        return path

    return write


def lines_of(frame: pd.DataFrame) -> list[str]:
    return frame.to_csv(index=False).splitlines()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    step=st.sampled_from(["30s", "5min", "15min", "h", "6h", "D", "W"]),
    rows=st.integers(60, 150),
    data=st.data(),
)
def test_frequency_gaps_and_missing_cells_are_found(
    step: str, rows: int, data: st.DataObject, write_csv: Callable[..., Path]
) -> None:
    frame = table(rows, step, "2021-03-07")
    inner = st.sets(st.integers(1, rows - 2), max_size=8)
    absent, empty = data.draw(inner), data.draw(inner)
    frame.loc[sorted(empty), "heat"] = np.nan
    proposal = propose(write_csv(frame.drop(index=sorted(absent))))
    card, found = proposal.card, proposal.found
    assert card.frequency == step
    assert found.absent == len(absent)
    assert card.missing == ("mask" if absent | empty else "error")
    assert len(found.table.values) == rows
    missing = np.isnan(found.table.values)
    assert set(np.flatnonzero(missing[:, 0])) == absent
    assert set(np.flatnonzero(missing[:, 1])) == absent | empty
    assert card.splits.borders(rows)["train"] == range(0, int(0.7 * rows))


def test_columns_that_are_no_channels_are_left_out_with_their_reason(
    write_csv: Callable[..., Path],
) -> None:
    frame = table()
    frame.insert(0, "id", range(1, 201))
    frame["note"] = ["ok"] * 150 + ["42"] * 50
    frame["word"] = ["1.5"] * 10 + ["n.a."] + ["2"] * 189
    frame["void"] = ""
    frame["huge"] = ["1"] * 3 + ["inf"] + ["2"] * 196
    frame["seen"] = frame["date"] + pd.Timedelta("1s")
    frame["late"] = [np.nan] * 170 + [1.0] * 30
    proposal = propose(write_csv(frame))
    assert proposal.found.left_out == {
        "id": "counts the rows",
        "note": "'ok' in line 2 is no number",
        "word": "'n.a.' in line 12 is no number",
        "void": "is empty",
        "huge": "'inf' in line 5 is infinite",
        "seen": "'2021-03-01 00:00:01' in line 2 is no number",
        "late": "no value in the train rows",
    }
    assert proposal.found.table.channels == ("load", "heat")
    assert (proposal.card.time_column, proposal.card.missing) == ("date", "error")
    assert (proposal.card.season, proposal.season.seen) == (24, True)


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        (("made", "when"), {}, "made"),
        (("made", "when"), {"time_column": "when"}, "when"),
        (("made", "date"), {}, "date"),
        (("timestamp", "date"), {}, "timestamp"),
    ],
)
def test_the_first_column_of_times_is_taken_or_one_called_so_or_the_one_named(
    names: tuple[str, str], options: Any, expected: str, write_csv: Callable[..., Path]
) -> None:
    frame = table().rename(columns={"date": names[1]})
    frame.insert(0, names[0], frame[names[1]] + pd.Timedelta("1D"))
    assert propose(write_csv(frame), **options).card.time_column == expected


def test_days_written_as_numbers_are_times_where_they_are_called_so(
    write_csv: Callable[..., Path],
) -> None:
    frame = table(step="D")
    frame["date"] = frame["date"].dt.strftime("%Y%m%d")
    card = propose(write_csv(frame)).card
    assert (card.time_column, card.frequency, card.channels) == ("date", "D", ("load", "heat"))


def test_times_in_utc_are_those_of_the_clock_without_a_zone(
    write_csv: Callable[..., Path],
) -> None:
    frame = table()
    plain = propose(write_csv(frame)).found.table
    frame = frame.assign(date=frame["date"].dt.tz_localize("UTC")).rename(columns={"date": "Zeit"})
    proposal = propose(write_csv(frame))
    assert proposal.card.time_column == "Zeit"
    np.testing.assert_array_equal(proposal.found.table.timestamps, plain.timestamps)


def test_a_card_reads_back_as_it_was_meant_whatever_the_names(make_card: Any) -> None:
    names = [
        "1e5",
        "NO",
        "12:30",
        'say "hi"',
        "Wärme, außen",
        "#1",
        "- x",
        "{a}",
        "~",
        "true",
        "\u20ac",
    ]
    card = make_card(channels=names, left_out=["", " "], missing="interpolate", interpolate_limit=3)
    text = card_text(card)
    assert validate(DatasetCard, parse_yaml(text, "card"), "card") == card
    assert "homepage" not in text


def test_what_is_added_is_loaded_as_it_was(folder: Path, write_csv: Callable[..., Path]) -> None:
    frame = table()
    source = write_csv(frame)
    proposal = propose(source)
    assert adopt(proposal) == "new"
    assert adopt(propose(source)) == "unchanged"
    assert {path.name for path in folder.iterdir()} >= {"my.csv", "my.yaml"}
    source.unlink()  # the copy is what counts
    series = load(load_card("my"))
    np.testing.assert_array_equal(series.values, frame[["load", "heat"]].to_numpy())
    assert series.card.season == 24


def test_a_gzip_is_kept_as_one_and_a_file_in_place_is_not_copied(folder: Path, user: Path) -> None:
    text = table().to_csv(index=False).encode()
    (user / "my data.csv.gz").write_bytes(gzip.compress(text))
    adopt(propose(user / "my data.csv.gz"))
    assert (folder / "my_data.csv.gz").is_file()
    assert len(load(load_card("my_data")).values) == 200
    (folder / "here.csv").write_bytes(text)
    before = (folder / "here.csv").stat().st_mtime_ns
    adopt(propose(folder / "here.csv", name="other"))
    assert not (folder / "other.csv").exists()
    assert (folder / "here.csv").stat().st_mtime_ns == before
    assert load(load_card("other")).digest == load(load_card("my_data")).digest


def test_a_read_only_data_folder_is_passed_over(
    folder: Path, write_csv: Callable[..., Path]
) -> None:
    source = write_csv(table())
    folder.chmod(0o555)
    try:
        assert adopt(propose(source)) == "new"
        assert Path("datasets/my.yaml").is_file()
        assert len(load(load_card("my")).values) == 200
    finally:
        folder.chmod(0o755)


def test_nothing_is_replaced_unless_forced(folder: Path, write_csv: Callable[..., Path]) -> None:
    adopt(propose(write_csv(table())))
    other = propose(write_csv(table()), season=12)
    with pytest.raises(UserError, match=r"my\.yaml: is there and differs in season; --force"):
        adopt(other)
    assert load_card("my").season == 24
    assert adopt(other, force=True) == "replaced"
    assert load_card("my").season == 12
    longer = propose(write_csv(table(300)))
    with pytest.raises(UserError, match=r"my\.csv: is there and holds other data; --force"):
        adopt(longer)
    assert adopt(longer, force=True) == "replaced"
    assert len(load(load_card("my")).values) == 300


def test_a_name_that_is_taken_elsewhere_is_refused_even_by_force(
    folder: Path, write_csv: Callable[..., Path]
) -> None:
    source = write_csv(table())
    with pytest.raises(UserError, match=r"dataset 'ETTh1': there is one of this name: .*--name"):
        adopt(propose(source, name="ETTh1"), force=True)
    Path("datasets").mkdir()
    Path("datasets/new.csv").write_text("other")
    adopt(propose(source, name="new"))  # the data folder comes first
    zipped = source.with_name("zipped.csv.gz")
    zipped.write_bytes(gzip.compress(source.read_bytes()))
    (folder / "zipped.csv").write_text("other")  # as a plain file does
    with pytest.raises(UserError, match=r"data/zipped\.csv: has the name of the new data"):
        adopt(propose(zipped), force=True)


PARQUETS = {
    "a column of times": lambda frame: frame,
    "times as the index": lambda frame: frame.set_index("date"),
    "times as an index without a name": lambda frame: frame.set_index(
        pd.DatetimeIndex(frame["date"], name=None)
    ).drop(columns="date"),
    "an index that is no column": lambda frame: frame.set_index(frame.index + 7),
    "float32 and integers": lambda frame: frame.assign(
        load=frame["load"].astype("float32"), heat=(100 * frame["heat"]).astype(int)
    ),
    "gaps": lambda frame: frame.assign(heat=frame["heat"].where(frame.index != 7)),
}


@pytest.mark.parametrize("kind", PARQUETS)
def test_a_parquet_file_becomes_the_same_series(kind: str, folder: Path, user: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = PARQUETS[kind](table())
    path = user / "my.parquet"
    frame.to_parquet(path)
    with as_csv(path) as csv:
        adopt(propose(csv))
    values = load(load_card("my")).values
    np.testing.assert_array_equal(values, frame[["load", "heat"]].to_numpy(dtype=np.float64))
    with as_csv(path) as csv:
        assert adopt(propose(csv)) == "unchanged"


def test_what_is_wrong_with_a_parquet_file_is_said_of_it(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    path = user / "my.parquet"
    path.write_bytes(b"no parquet at all")
    with (
        pytest.raises(UserError, match=r"user/my\.parquet: cannot be read as Parquet"),
        as_csv(path),
    ):
        pass
    table().assign(date="soon").to_parquet(path)
    with pytest.raises(UserError, match=r"user/my\.parquet: line 2, .*'soon'"), as_csv(path) as csv:
        propose(csv)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow to be read, .*; pip ins"), as_csv(path):
        pass


def changed(line: int, text: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[: line - 1], text, *lines[line:]]


FAULTS: dict[str, tuple[Callable[[list[str]], list[str]], dict[str, Any], str]] = {
    "short line": (changed(5, "2021-03-01 03:00:00,1"), {}, "line 5: has 2 cells, the file has 3"),
    "long line": (changed(5, "2021-03-01 03:00:00,1,2,3"), {}, "line 5: has 4 cells"),
    "blank line": (changed(5, ""), {}, "line 5: is blank; delete the line"),
    "semicolons": (lambda lines: [line.replace(",", ";") for line in lines], {}, "has no comma"),
    "no header": (lambda lines: ["2020,1,2", *lines[1:]], {}, "line 1: holds numbers, where"),
    "name twice": (changed(1, "date,load,load"), {}, "line 1: names column 'load' twice"),
    "no name": (changed(1, "date,load,"), {}, "line 1: column 3 has no name; name it, or take it"),
    "nothing": (lambda lines: [""], {}, "line 1: is empty"),
    "header alone": (lambda lines: lines[:1], {}, "holds no rows"),
    "one row": (lambda lines: lines[:2], {}, "holds a single row"),
    "five rows": (lambda lines: lines[:5], {}, "is too short: the test split is empty"),
    "day first": (
        lambda lines: [lines[0], *(f"13/03/2021 {line[11:]}" for line in lines[1:])],
        {},
        "line 2, column 'date': '13/03/2021 00:00:00' is no time to the second",
    ),
    "one bad time": (changed(9, "soon,1,2"), {}, "line 9, column 'date': 'soon' is no time"),
    "time zone": (changed(9, "2021-03-01 07:00:00Z,1,2"), {}, "line 9, .*has a time zone"),
    "zones, in a column of any name": (
        lambda lines: ["Zeit,load,heat", *(line.replace(",", "+01:00,", 1) for line in lines[1:])],
        {},
        "line 2, column 'Zeit': .* has a time zone; write all times in UTC, with pandas",
    ),
    "no times": (
        lambda lines: [line.partition(",")[2] for line in lines],
        {},
        "line 1: names no column whose cells are times; write times as",
    ),
    "no numbers": (
        lambda lines: [f"{line.partition(',')[0]},a" for line in lines],
        {},
        "has no column of numbers beside its times .'a': 'a' in line 2 is no number",
    ),
    "twice": (changed(9, "2021-03-01 06:00:00,1,2"), {}, "line 9, .*06:00:00 stands there twice"),
    "unordered": (changed(9, "2021-03-01 01:00:00,1,2"), {}, "line 9, .*01:00:00 stands after"),
    "off the grid": (
        changed(9, "2021-03-01 07:10:00,1,2"),
        {},
        "line 9, .*is 1:10:00 after .*, not h; mend the file, or give the step with --frequency",
    ),
    "other step": (list, {"frequency": "2h"}, "line 3, .* is 1:00:00 after .*, not 2h; mend the"),
    "finer step": (list, {"frequency": "min"}, "holds 200 of the 11,941 times .*--frequency"),
    "no step": (list, {"frequency": "month"}, "--frequency: frequency: is not a fixed step"),
    "no such column": (list, {"time_column": "dat"}, "--time-column: .*'dat'; did you mean 'date'"),
    "a column of numbers": (list, {"time_column": "heat"}, "line 2, column 'heat': .* is no time"),
    "season too long": (list, {"season": 140}, "--season: 140 steps do not fit into the train spl"),
    "name": (list, {"name": "a/b"}, "--name: name: is not a plain name"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_file_or_an_option_is_one_line_that_names_it(
    fault: str, folder: Path, write_csv: Callable[..., Path]
) -> None:
    change, options, message = FAULTS[fault]
    path = write_csv(change(lines_of(table())))
    with pytest.raises(UserError, match=message) as caught:
        propose(path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or str(caught.value).startswith("--")
    assert list(folder.iterdir()) == []


def test_rows_a_month_apart_are_told_to_be_no_fixed_step(write_csv: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="column 'date': has a row a month, and months are no"):
        propose(write_csv(table(100, "MS")))


def test_a_file_that_is_not_there_is_named(user: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv: no such file"), as_csv(user / "none.csv"):
        pass
    with pytest.raises(UserError, match="is a folder, not a file"), as_csv(user):
        pass
