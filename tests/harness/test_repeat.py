from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.harness.repeat import origin_of
from benchmark.harness.spec import config_names, design_names, find_config, load_run
from benchmark.plain_yaml import load_yaml
from benchmark.records.checksums import write_sums

NAMES = [*config_names("models"), *design_names()]
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "dataset": st.sampled_from(["ETTh2", "my data/card.yaml", "it's", "007", "true", "1e-4"]),
        "horizon": st.integers(1, 720),
        "lookback": st.integers(1, 720),
        "seed": st.integers(0, 2**32 - 1),
        "name": st.sampled_from(["other", "v1.0", "3"]),
        "description": st.text("ab ", max_size=3),
        "model.hidden_size": st.integers(1, 9),
        "model.note": st.one_of(st.text(max_size=8), st.booleans(), st.none(), st.floats(-1, 1)),
        "model.seasons": st.lists(st.integers(0, 9), max_size=3),
        "model.options": st.dictionaries(st.sampled_from("xyz"), st.integers(-9, 9), max_size=3),
        "training.epochs": st.integers(1, 99),
        "training.learning_rate": st.floats(1e-7, 1.0),
        "training.schedule.kind": st.sampled_from(["constant", "cosine"]),
    },
)


def write(results: Path, document: dict[str, Any]) -> Path:
    folder = results / "runs" / "one"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.yaml").write_text(json.dumps(document), encoding="utf-8")
    return folder


def changed(document: dict[str, Any], changes: dict[str, Any], drop: list[str]) -> dict[str, Any]:
    for key, value in changes.items():
        *outer, last = key.split(".")
        inner = document
        for part in outer:
            inner = inner[part]
        inner[last] = value
    for key in drop:
        document["model"].pop(key, None)
    return document


@settings(max_examples=60)
@given(st.sampled_from(NAMES), CHANGES, st.lists(st.sampled_from(["cell", "normalise", "patch"])))
def test_the_command_makes_the_very_same_configuration(tmp_path_factory, name, changes, drop):
    ours = load_run(find_config("models", name)).model_dump(mode="json", exclude={"search"})
    folder = write(tmp_path_factory.getbasetemp(), changed(ours, changes, drop))
    wanted = load_run(folder / "run.yaml")
    program, verb, config, *words = shlex.split(origin_of(folder, "mine", "gradient").command)
    assert (program, verb) == ("benchmark", "run")
    pairs = list(zip(words[::2], words[1::2], strict=True))
    overrides = [value if option == "--set" else f"seed={value}" for option, value in pairs]
    made = load_run(find_config("models", config), overrides)
    untold = {"description", "search", "tuned"}
    assert made.model_dump(exclude=untold) == wanted.model_dump(exclude=untold)


@pytest.mark.parametrize("name", NAMES)
def test_one_of_ours_as_it_is_needs_no_option(tmp_path, name):
    ours = load_run(find_config("models", name)).model_dump(mode="json", exclude={"search"})
    assert origin_of(write(tmp_path, ours), "mine", "gradient").command == f"benchmark run {name}"


def test_only_what_differs_is_told_in_words_that_need_no_quotes(tmp_path):
    ours = load_run(find_config("models", "gru")).model_dump(mode="json", exclude={"search"})
    changes = {"dataset": "ETTh2", "seed": 3, "model.hidden_size": 64, "training.epochs": 2}
    assert origin_of(write(tmp_path, changed(ours, changes, [])), "mine", "gradient").command == (
        "benchmark run gru --set dataset=ETTh2 --set model.hidden_size=64 --set training.epochs=2 "
        "--seed 3"
    )


def test_a_users_class_is_repeated_from_its_own_run(tmp_path):
    document = {"name": "mine", "model": {"class": "my_module.Mine"}}
    folder = write(tmp_path / "my results", document)
    assert origin_of(folder, "mine", "gradient") == (
        "own",
        "benchmark run 'my results/runs/one/run.yaml'",
    )


def test_a_users_class_is_repeated_where_the_results_folder_is_the_working_directory(
    tmp_path, monkeypatch
):
    document = {"name": "mine", "model": {"class": "my_module.Mine"}}
    write(tmp_path / "here", document)
    monkeypatch.chdir(tmp_path / "here")
    assert origin_of(Path("runs/one"), "mine", "gradient") == (
        "own",
        "benchmark run here/runs/one/run.yaml",
    )
    monkeypatch.chdir("runs")
    assert (
        origin_of(Path("one"), "mine", "gradient").command == "benchmark run here/runs/one/run.yaml"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: [",
        "name: x\nmodel: {class: Linear}\nretired: 1\n",
        "name: x\nmodel: {}\n",
        "name: x\nmodel: {class: [Linear]}\n",
    ],
)
def test_what_this_version_does_not_read_has_no_command(tmp_path, text):
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(text)
    assert origin_of(folder, "mine", "gradient") == ("own", "")
    assert origin_of(folder, "mine", "none") == ("naive", "")
    assert origin_of(tmp_path, "mine", "closed_form") == ("closed form", "")


def test_a_run_whose_folder_is_elsewhere_is_of_the_family_that_its_name_has_here(tmp_path):
    assert origin_of(tmp_path, "gru", "gradient") == ("recurrent", "")
    assert origin_of(tmp_path, "segrnn", "gradient") == ("design", "")
    assert origin_of(tmp_path, "ridge", "closed_form") == ("closed form", "")
    assert origin_of(tmp_path, "mine", "gradient") == ("own", "")


def test_an_endless_configuration_is_not_read_to_its_end(tmp_path):
    path = write(tmp_path, {"name": "x", "model": {"class": "Linear"}}) / "run.yaml"
    write_sums(path.parent)
    assert origin_of(path.parent, "mine", "gradient").command
    with open(path, "ab") as stream:
        stream.truncate(1 << 36)  # sparse: takes no room, and minutes if it were read
    assert origin_of(path.parent, "mine", "gradient") == ("own", "")


@pytest.mark.parametrize(
    ("name", "fitted", "family"),
    [
        ("seasonal_naive", "none", "naive"),
        ("ridge", "closed_form", "closed form"),
        ("dlinear", "gradient", "linear"),
        ("rlinear", "gradient", "linear"),
        ("mamba2", "gradient", "recurrent"),
        ("designs/patchtst", "gradient", "design"),
        ("designs/segrnn", "gradient", "design"),  # made of a recurrent class
    ],
)
def test_the_family_is_where_the_class_and_the_configuration_lie(tmp_path, name, fitted, family):
    document = load_yaml(find_config("models", name))
    document.pop("search", None)
    assert origin_of(write(tmp_path, document), "mine", fitted).family == family
