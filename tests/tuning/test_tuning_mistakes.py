"""A user's mistake in a search is one line with its cure, before the first trial."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

MISTAKES = {
    "model.normalis: [last]": "search: model.normalis: unknown key; did you mean 'normalise'?",
    "training.epoch: [1, 2]": "search: training.epoch: unknown key; did you mean 'epochs'?",
    "model.normalise: [none, lst]": "search: model.normalise: input should be 'none', 'last', 'mea",
    "model.individual: [false, 2]": "search: model.individual: input should be a valid boolean",
    "lookback: {low: 0, high: 24}": "search: lookback: input should be greater than 0, got 0",
    "lookback: [36]": "search: lookback: does not hold the value that the search begins with, 24; "
    "add it, or set another: --set lookback=VALUE",
    "lookback: [24, 9999]": "lookback: 9999 + horizon 12 do not fit into the train split of 400 "
    "rows; choose a lookback of at most 388, e.g. --set lookback=24 --set "
    "'search={lookback: [24, 48, 72]}'",
    "lookback: 24": "search.lookback: must be a list of choices, or {low: ..., high: ...}, got 24",
    "lookback: []": "search.lookback: needs at least one choice",
    "lookback: [24, 24]": "search.lookback: holds a choice twice",
    "lookback: [[24]]": "search.lookback.choices.0: must be a plain value",
    "lookback: {low: 36, high: 24}": "search.lookback: low must be below high, got 36 and 24",
    "lookback: {low: a, high: 24}": "search.lookback.low: must be a number, got 'a'",
    "lookback: {low: 1, high: 24, lg: true}": "search.lookback.lg: unknown key; did you mean 'log'",
    "training.weight_decay: {low: 0, high: 1, log: true}": "log needs a low above 0, but it is 0",
    "seed: [1, 2]": "search: 'seed' cannot be searched; search over lookback, model.<option>",
    "training.monitor: [mse, mae]": "search: 'training.monitor' cannot be searched",
    "model.cell_options.depth: [1]": "search: model.cell_options: unknown key",
}


@pytest.mark.parametrize(("search", "message"), MISTAKES.items())
def test_a_mistake_in_a_search_is_found_before_the_first_trial(
    search, message, small, command, no_training
):
    no_training()
    small()
    told = command("tune", "small.yaml", "--set", f"search={{{search}}}")
    assert told.code == 2
    assert message in told.err
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize(
    ("season", "lookbacks"),
    [(52, "[25, 33, 50]"), (50, "[50, 100]"), (30, "[30, 60, 90]"), (90, "[25, 33, 50]")],
)
def test_the_lookbacks_that_are_put_forward_fit_into_a_short_series(
    season, lookbacks, small, command, write_dataset, values
):
    splits = {"train": 113, "val": 30, "test": 30}  # 101 + horizon 12
    write_dataset(values=values[:173], splits=splits, season=season)
    small(search={"lookback": [24, 9999]}, model={"class": "Ridge"}, training={})
    told = command("tune", "small.yaml").err
    cure = told.partition("choose a lookback of at most 101, e.g. ")[2]
    assert f"'search={{lookback: {lookbacks}}}'" in cure
    done = command("tune", "small.yaml", *shlex.split(cure), "--budget", 1)
    assert (done.code, done.err) == (0, "")


def test_a_configuration_without_a_search_or_without_training_is_told_so(small, command):
    small(search={})
    assert command("tune", "small.yaml").err.startswith("error: small.yaml: search: is missing; ")
    small(search={"lookback": [24, 36]})
    told = command("tune", "small.yaml", "--set", "lookback=24")
    assert told.err.endswith(
        "search: leaves nothing to try; leave out --set lookback, or say what to try, too: "
        "--set 'search={lookback: [...]}'\n"
    )
    small(model={"class": "Ridge"})
    fixed = ("--set", "search={training.epochs: [3]}")
    told = command("tune", "small.yaml", *fixed).err
    assert told == (
        "error: small.yaml: search: training.epochs: Ridge is not trained by gradient; "
        "take it out\n"
    )


def test_without_optuna_there_is_a_cure(small, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    told = command("tune", small())
    assert told.code == 2
    assert told.err == ("error: benchmark tune: Optuna is not installed; pip install 'optuna>=4'\n")


def test_a_damaged_file_of_trials_is_told_and_left_alone(small, command, no_training):
    assert command("tune", small(), "--budget", 1).code == 0
    (file,) = Path("results/tune").glob("small-*/trials.json")
    no_training()
    written = file.read_text()
    (trial,) = json.loads(written)["trials"]
    strange = [
        {"score": None},
        {"score": float("nan")},
        {"params": trial["params"] | {"lookback": 25}},
        {"params": trial["params"] | {"training.learning_rate": "fast"}},
        {"params": trial["params"] | {"seed": 1}},
        {"params": {"lookback": 24}},
    ]
    texts = [json.dumps({"trials": [trial | change]}) for change in strange]
    texts.append(written.replace(repr(trial["score"]), repr(trial["score"] / 2)))
    texts.append(written.replace('"finished"', '"pruned"'))
    texts += [written[:-9], json.dumps({"trials": [{"score": 1}]}), "[]", "[" * 100_000]
    for text in texts:
        file.write_text(text)
        told = command("tune", "small.yaml", "--budget", 1)
        assert (
            told.err == f"error: {file.resolve()}: is damaged; remove it; the search begins anew\n"
        )
        assert file.read_text() == text


def test_trials_of_before_there_was_a_checksum_are_gone_on_with(small, command, no_training):
    assert command("tune", small(), "--budget", 1).code == 0
    (file,) = Path("results/tune").glob("small-*/trials.json")
    document = json.loads(file.read_text())
    assert len(document.pop("sha256")) == 64
    file.write_text(json.dumps(document))
    no_training()
    assert command("tune", "small.yaml", "--budget", 1).code == 0


def test_a_folder_in_the_place_of_the_trials_is_told(small, command, no_training):
    assert command("tune", small(), "--budget", 1).code == 0
    (file,) = Path("results/tune").glob("small-*/trials.json")
    file.unlink()
    file.mkdir()
    no_training()
    assert "trials.json: is a folder, not a file" in command("tune", "small.yaml").err


def test_blocks_that_hold_no_window_are_told_before_the_first_trial(small, command, no_training):
    no_training()
    told = command("tune", small(), "--folds", 40)
    assert told.code == 2
    assert told.err.startswith("error: toy: 40 blocks of 550 rows at lookback 36 and horizon 12: ")
    assert told.err.count("\n") == 1
    assert not list(Path("results").glob("tune/*"))


def test_an_output_that_cannot_be_written_is_told_before_the_first_trial(
    small, command, no_training
):
    no_training()
    Path("taken").write_text("a file")
    told = command("tune", small(), "--output", "taken/chosen.yaml")
    assert told.code == 2
    assert "chosen.yaml: is a file, or lies below one" in told.err


def test_several_configurations_need_a_file_and_a_name_each(small, command):
    small()
    small("other.yaml", name="other")
    assert "two configurations are named" in command("tune", "small.yaml", "small.yaml").err
    both = command("tune", "small.yaml", "other.yaml", "--output", "one.yaml")
    assert both.err == (
        "error: --output: is one file for 2 configurations; leave it out, or tune them one by one\n"
    )


def test_more_devices_than_there_are_is_told_and_is_no_trial(small, command, no_training):
    no_training()
    told = command("tune", small(parallel={"devices": 2}), "--device", "cpu", "--threads", 1)
    assert told.code == 2
    assert told.err == (
        "error: parallel.devices: 2 are asked for, this run has 1 CPU thread to share; "
        "ask for fewer, for more --threads, or for fewer --jobs\n"
    )
    assert not list(Path("results").glob("tune/*"))


def test_a_folder_that_cannot_be_written_is_found_before_training(small, command, no_training):
    no_training()
    Path("results").write_text("a file")
    told = command("tune", small())
    assert told.code == 2
    assert "small.yaml: is a file, or lies below one" in told.err


def test_a_short_series_is_searched_from_the_value_that_is_set(small, command):
    """What a YAML searches over, and where it begins, may both be too long for a user's series."""
    small(search={"lookback": [24, 9999]})
    told = command("tune", "small.yaml").err
    assert told.count("--set") == 2
    words = shlex.split(told[told.index("--set") :])
    shown = command("tune", "small.yaml", "--budget", 1, *words)
    assert (shown.code, shown.err) == (0, "")
    assert "trial 0   finished" in shown.out
    assert " lookback=24" in shown.out
