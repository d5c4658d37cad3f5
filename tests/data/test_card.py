from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.config import validate
from benchmark.data.card import (
    DatasetCard,
    Splits,
    data_folder,
    find_card,
    list_cards,
    load_card,
)
from benchmark.data.fetch import locate
from benchmark.errors import UserError
from benchmark.places import DATASETS

KNOWN_BORDERS = {  # rows of the published file, then the borders the field uses
    "ETTh1": (17420, 8640, 11520, 14400),
    "ETTh2": (17420, 8640, 11520, 14400),
    "ETTm1": (69680, 34560, 46080, 57600),
    "ETTm2": (69680, 34560, 46080, 57600),
    "akl_pedestrians": (14592, 8640, 11520, 14400),
    "weather": (52696, 36887, 42157, 52696),
    "electricity": (26304, 18412, 21044, 26304),
    "traffic": (17544, 12280, 14036, 17544),
    "exchange_rate": (7588, 5311, 6071, 7588),
    "ILI": (966, 676, 773, 966),
}
CARDS = sorted(KNOWN_BORDERS)


def test_every_card_is_valid_and_every_data_set_of_the_suite_has_one():
    assert {path.stem for path in DATASETS.glob("*.yaml")} >= set(CARDS)  # a user's beside
    for name in CARDS:
        assert load_card(name).name == name


@pytest.mark.parametrize("name", CARDS)
def test_borders_are_those_of_the_field(name):
    rows, train, val, test = KNOWN_BORDERS[name]
    assert load_card(name).splits.borders(rows) == {
        "train": range(0, train),
        "val": range(train, val),
        "test": range(val, test),
    }


@pytest.mark.parametrize("name", CARDS)
def test_a_card_survives_being_written_as_json(name):
    card = load_card(name)
    assert validate(DatasetCard, card.model_dump(mode="json"), "again") == card


@pytest.mark.parametrize("name", CARDS)
def test_a_day_or_a_week_or_a_year_is_the_season(name):
    card = load_card(name)
    times = card.step.after(np.datetime64("2000-01-01", "s"), np.array([0, card.season]))
    expected = {"exchange_rate": 7, "ILI": 52 * 7}.get(name, 1)
    assert np.diff(times) == np.timedelta64(expected, "D")


def test_the_card_that_the_readme_shows_is_valid(tmp_path):
    shown = (DATASETS / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "my_series.yaml").write_text(shown)
    assert load_card(tmp_path / "my_series.yaml").channels == ("power", "temperature")


@given(
    rows=st.integers(20, 100_000),
    train=st.integers(10, 80),
    val=st.integers(5, 15),
)
def test_fractions_follow_the_published_loader(rows, train, val):
    fractions = (train / 100, val / 100, (100 - train - val) / 100)
    splits = Splits(train=fractions[0], val=fractions[1], test=fractions[2])
    num_train, num_test = int(rows * fractions[0]), int(rows * fractions[2])
    borders = splits.borders(rows)
    assert (len(borders["train"]), len(borders["test"])) == (num_train, num_test)
    assert [*borders["train"], *borders["val"], *borders["test"]] == list(range(rows))


@pytest.mark.parametrize(
    ("splits", "rows", "message"),
    [
        ((6, 2, 2), 9, "the splits need 10 rows, but there are 9"),
        ((0.7, 0.1, 0.2), 4, "the test split is empty: of 4 rows none"),
        ((0.7, 0.1, 0.2), 1, "the train split is empty: of 1 rows none"),
    ],
)
def test_a_series_too_short_for_the_splits_is_an_error(splits, rows, message):
    train, val, test = splits
    with pytest.raises(ValueError, match=message):
        Splits(train=train, val=val, test=test).borders(rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "../toy.csv"}, "file: is not a plain name"),
        ({"file": "/etc/passwd"}, "file: is not a plain name"),
        ({"file": "..\\toy.csv"}, "file: is not a plain name"),
        ({"file": ".hidden"}, "file: is not a plain name"),
        ({"file": "toy.csv\n"}, "file: is not a plain name"),
        ({"name": "a/b"}, "name: is not a plain name"),
        ({"frequency": "M"}, "frequency: is no step in s, min, h, D, W, MS, ME or B"),
        ({"frequency": "0h"}, "frequency: is no step"),
        ({"encoding": "klingon"}, "encoding: is no text encoding that Python knows"),
        ({"encoding": "utf-16"}, "encoding: is not a superset of ASCII"),
        ({"channels": ["a", "a"]}, "channels are named twice: a"),
        ({"channels": []}, "channels.names: tuple should have at least 1 item"),
        ({"channels": "a, b"}, "channels.names: input should be a valid array, got 'a, b'"),
        ({"channels": True}, "channels.count: input should be a valid integer, got True"),
        ({"channels": ["date", "a"]}, "'date' is both the time column and a channel"),
        ({"time_column": None}, "give time_column, or start"),
        ({"start": "1990-01-01"}, "give time_column, or start"),
        ({"start": "soon", "time_column": None}, "start: is not a time, got 'soon'; write"),
        ({"start": "1990-01-01T00:00:00Z", "time_column": None}, "start: has a time zone"),
        ({"header": False}, "a time_column needs a header"),
        (
            {"header": False, "time_column": None, "start": "1990-01-01", "channels": 3},
            "a file without a header needs its channels named",
        ),
        ({"splits": {"train": 0.7, "val": 0.2, "test": 0.2}}, "add up to 1, these add up to 1.1"),
        ({"splits": {"train": 1.2, "val": -0.4, "test": 0.2}}, "splits: fractions are positive"),
        ({"splits": {"train": 5, "val": 0.2, "test": 0.2}}, "mixes row counts and fractions"),
        ({"splits": {"train": 5, "val": 0, "test": 2}}, "splits: a row count is 1 or more"),
        ({"splits": {"train": 70, "val": 10, "test": 20}}, "add up to 100, as percents do"),
        ({"splits": {"train": 5, "vall": 1, "test": 2}}, "vall: unknown key; did you mean 'val'"),
        ({"source": {"url": "ftp://x"}}, "source.url: "),
        ({"source": {"sha256": "abc"}}, "source.sha256: "),
        ({"source": {"sha256": "0" * 64, "git_blob": "0" * 40}}, "source: give sha256 or git_blob"),
        ({"season": 0}, "season: "),
        ({"missing": "skip"}, "missing: input should be 'error', 'interpolate' or 'mask'"),
        ({"missing": "interpolate"}, "missing: interpolate and interpolate_limit go together"),
        ({"interpolate_limit": 3}, "missing: interpolate and interpolate_limit go together"),
        ({"missing": "interpolate", "interpolate_limit": 0}, "interpolate_limit: "),
        ({"missing": "mask", "irregular_steps": 1}, "irregular_steps needs missing: error"),
        ({"left_out": ["heat"]}, "channels are named twice: heat"),
        ({"irregular_steps": -1}, "irregular_steps: "),
        ({"licence": None}, "licence: is missing"),
    ],
)
def test_a_fault_in_a_card_is_named(changes, message, make_card):
    with pytest.raises(UserError, match=message) as caught:
        make_card(**changes)
    assert str(caught.value).startswith("toy.yaml: ")


@given(st.text(max_size=30))
def test_no_file_name_leaves_its_folder(name):
    fields = load_card("akl_pedestrians").model_dump(mode="json") | {"file": name}
    try:
        card = DatasetCard.model_validate_json(json.dumps(fields))
    except ValidationError:
        return
    assert (Path("/data") / card.file).parent == Path("/data")
    assert not card.file.startswith(".")


@pytest.mark.parametrize(
    ("written", "meant"), [("ETTH1", "ETTh1"), ("etth1", "ETTh1"), ("exchange", "exchange_rate")]
)
def test_a_misspelt_name_is_told_the_nearest_one(written, meant):
    with pytest.raises(
        UserError, match=f"dataset '{written}': no such card; did you mean '{meant}'"
    ):
        load_card(written)


def test_a_card_of_the_working_directory_is_found_first(tmp_path, monkeypatch):
    text = (DATASETS / "ETTh1.yaml").read_text()
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "ETTh1.yaml").write_text(text.replace("season: 24", "season: 12"))
    (tmp_path / "datasets" / "mine.yaml").write_text(text.replace("name: ETTh1", "name: mine"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCHMARK_DATA", raising=False)
    assert load_card("ETTh1").season == 12
    assert load_card("mine").file == "ETTh1.csv"
    assert find_card("ETTh2") == DATASETS / "ETTh2.yaml"
    assert set(list_cards()) >= {*CARDS, "mine"}


@pytest.mark.parametrize("named", [True, False])
def test_a_card_and_its_data_come_from_one_folder(tmp_path, monkeypatch, named):
    text = (DATASETS / "ETTh1.yaml").read_text().replace("name: ETTh1", "name: mine")
    for folder in ("elsewhere", "datasets"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.yaml").write_text(text.replace("ETTh1.csv", "mine.csv"))
        (tmp_path / folder / "mine.csv").write_text("date,a\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCHMARK_DATA", raising=False)
    if named:
        monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path / "elsewhere"))
    expected = (tmp_path / ("elsewhere" if named else "datasets")).resolve()
    assert find_card("mine").resolve().parent == expected
    found = locate(load_card("mine"))
    assert found is not None
    assert found.resolve().parent == expected


def test_a_card_of_the_data_folder_is_found_from_any_directory(tmp_path, monkeypatch):
    text = (DATASETS / "ETTh1.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("name: ETTh1", "name: mine"))
    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path))
    assert find_card("mine") == tmp_path / "mine.yaml"


def test_a_card_is_also_found_by_its_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text((DATASETS / "ETTh1.yaml").read_text().replace("name: ETTh1", "name: mine"))
    assert load_card(path) == load_card(str(path))
    assert load_card(path).name == "mine"
    with pytest.raises(UserError, match=r"none\.yaml: no such file"):
        load_card(tmp_path / "none.yaml")


def test_a_card_must_be_called_as_its_file(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text((DATASETS / "ETTh1.yaml").read_text())
    with pytest.raises(UserError, match=r"other\.yaml: name: is 'ETTh1'"):
        load_card(path)


def test_the_data_folder_is_the_projects_unless_named(tmp_path, monkeypatch):
    monkeypatch.delenv("BENCHMARK_DATA", raising=False)
    assert data_folder() == DATASETS
    monkeypatch.setenv("BENCHMARK_DATA", "")
    assert data_folder() == DATASETS
    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path))
    assert data_folder() == tmp_path


def test_a_data_folder_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"BENCHMARK_DATA=.*none: no such folder; create it"):
        data_folder()
    (tmp_path / "file").touch()
    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match="is not a folder"):
        data_folder()


def test_cards_load_without_anything_heavy():
    code = (
        "import sys, benchmark.data.card as card\n"
        "card.load_card('ETTh1')\n"
        "print([m for m in ('pandas', 'torch', 'pooch', 'requests', 'numpy') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(DATASETS.parent)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.strip() == "[]"
