"""What is proposed for a user's file, and what is written."""

from __future__ import annotations

import gzip
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from users_table import table

from benchmark.config import validate
from benchmark.data.adoption.adopt import adopt, card_text, propose
from benchmark.data.card import DatasetCard, load_card
from benchmark.data.load import load
from benchmark.errors import UserError
from benchmark.plain_yaml import parse_yaml


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    step=st.sampled_from(["30s", "15min", "h", "6h", "D", "W", "MS", "3MS", "12ME", "ME", "B"]),
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


@pytest.mark.parametrize("cell", ["NA ", "  nan  ", "#N/A", "-nan", "NULL" + 20 * " "])
def test_what_stands_for_missing_may_have_blanks_beside_it(
    cell: str, write_csv: Callable[..., Path]
) -> None:
    frame = table().astype({"heat": str})
    frame.loc[[7, 9], "heat"] = cell
    found = propose(write_csv(frame)).found
    assert found.card.missing == "mask"
    assert np.flatnonzero(np.isnan(found.table.values[:, 1])).tolist() == [7, 9]
    frame.loc[7, "heat"] = "NA" + 30 * " "
    with pytest.raises(UserError, match=r"cannot be read as CSV: .*; write it anew$"):
        propose(write_csv(frame))


@pytest.mark.parametrize("names", [["0", "OT"], ["0", "1"], ["101", "7"], ["0.5", "1"]])
def test_beside_a_column_that_is_called_like_a_time_channels_may_have_numbers_for_names(
    names: list[str], write_csv: Callable[..., Path]
) -> None:
    frame = table()
    frame.columns = pd.Index(["date", *names])
    proposal = propose(write_csv(frame))
    assert proposal.found.table.channels == tuple(names)
    card = validate(DatasetCard, parse_yaml(card_text(proposal.card), "card"), "card")
    assert card.channels == tuple(names)


@pytest.mark.parametrize("names", [["0.5", "1"], ["3", "4"], ["1", "0"], ["-1", "0"]])
def test_a_row_of_numbers_is_no_header(names: list[str], write_csv: Callable[..., Path]) -> None:
    frame = table()
    frame.columns = pd.Index(["a", *names])
    with pytest.raises(UserError, match="line 1: holds numbers, where the columns' names"):
        propose(write_csv(frame))


@pytest.mark.parametrize("name", ["2024", "null", "true", "1e5"])
def test_a_name_that_yaml_takes_for_something_else_is_no_name(
    name: str, write_csv: Callable[..., Path]
) -> None:
    path = write_csv(table())
    path = path.rename(path.with_name(f"{name}.csv"))
    assert propose(path).card.name == f"data_{name}"
    with pytest.raises(UserError, match=f"--name: .*; e.g. --name data_{name}"):
        propose(path, name=name)


def test_columns_that_are_no_channels_are_left_out_with_their_reason(
    write_csv: Callable[..., Path],
) -> None:
    frame = table()
    frame.insert(0, "id", range(1, 201))
    frame["note"] = ["ok"] * 150 + ["42"] * 50
    frame["word"] = ["1.5"] * 10 + ["n.a."] * 21 + ["2"] * 169
    frame["void"] = ""
    frame["huge"] = ["1"] * 3 + ["inf"] * 100 + ["2"] * 97
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


def test_an_elapsed_time_or_an_epoch_is_left_out_and_hides_no_season(
    write_csv: Callable[..., Path],
) -> None:
    frame, t = table(), np.arange(200)
    counts = {
        "tenths": 0.1 * t,
        "days": np.round(t / 24, 6),
        "epoch_ms": 1_614_556_800_000 + 3_600_000 * t,
        "left": 400 - 2 * t,
    }
    bent = 2.0 * t
    bent[100:] += 0.1
    proposal = propose(write_csv(frame.assign(**counts, bent=bent)))
    assert proposal.found.left_out == dict.fromkeys(counts, "counts the rows")
    assert proposal.found.table.channels == ("load", "heat", "bent")
    alone = propose(write_csv(frame[["date"]].assign(tenths=0.1 * t)))  # then it is the data
    assert (alone.found.table.channels, alone.season.seen) == (("tenths",), False)


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
        "a\x7fb\x80c\x85d\u2028e\ufefff\U000e0001g",
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
    (user / "LOUD.CSV.GZ").write_bytes(gzip.compress(text))
    adopt(propose(user / "LOUD.CSV.GZ"))
    assert (folder / "LOUD.csv.gz").is_file()
    assert load(load_card("LOUD")).digest == load(load_card("my_data")).digest
    (folder / "here.csv").write_bytes(text)
    before = (folder / "here.csv").stat().st_mtime_ns
    adopt(propose(folder / "here.csv", name="other"))
    assert not (folder / "other.csv").exists()
    assert (folder / "here.csv").stat().st_mtime_ns == before
    assert load(load_card("other")).digest == load(load_card("my_data")).digest


def test_a_file_in_place_whose_name_no_card_can_say_is_to_be_renamed(folder: Path) -> None:
    table().to_csv(folder / "my data.csv", index=False)
    with pytest.raises(
        UserError, match=r"my data\.csv: .*plain name.*; rename it to my_data\.csv$"
    ):
        propose(folder / "my data.csv")


def test_rows_appended_to_a_file_that_was_added_are_taken_by_the_command_given(
    folder: Path, write_csv: Callable[..., Path]
) -> None:
    adopt(propose(write_csv(table()), name="mine"))
    table(300).to_csv(folder / "mine.csv", index=False)
    with pytest.raises(UserError) as caught:
        load(load_card("mine"))
    words = shlex.split(caught.value.cure.rpartition(": ")[2])
    assert words == [
        "benchmark",
        "datasets",
        "add",
        f"{folder}/mine.csv",
        "--name",
        "mine",
        "--force",
    ]
    adopt(propose(folder / "mine.csv", name="mine"), force=True)
    assert len(load(load_card("mine")).values) == 300


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
