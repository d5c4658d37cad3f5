"""Overrides, strict models and error text: every user's mistake is one clear UserError."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from benchmark.config import (
    Positive,
    Probability,
    Strict,
    apply_overrides,
    nearest,
    signature_schema,
    validate,
)
from benchmark.errors import MOST_TOLD, UserError, cured
from benchmark.plain_yaml import parse_yaml


class Optimiser(Strict):
    learning_rate: float = 1e-3
    kind: Literal["adam", "adamw"] = "adam"


class Split(Strict):
    train: Positive
    test: Positive


class Spec(Strict):
    name: str
    lookback: Positive = 96
    dropout: Probability = 0.0
    kernel: tuple[int, ...] = ()
    optimiser: Optimiser = Optimiser()
    split: Split | None = None
    grids: tuple[Split, ...] = ()
    blocks: Annotated[tuple[Split, ...], Field(min_length=1)] = (Split(train=1, test=1),)
    options: dict[str, Any] = Field(default={})


# --- overrides -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("lookback=192", {"lookback": 192, "model": {"class": "GRU"}}),
        ("model.layers=2", {"lookback": 96, "model": {"class": "GRU", "layers": 2}}),
        ("model.lr=1e-4", {"lookback": 96, "model": {"class": "GRU", "lr": 1e-4}}),
        ("a.b.c=x", {"lookback": 96, "model": {"class": "GRU"}, "a": {"b": {"c": "x"}}}),
        ("model={class: Ridge}", {"lookback": 96, "model": {"class": "Ridge"}}),
        ("lookback=[1, 2]", {"lookback": [1, 2], "model": {"class": "GRU"}}),
        ("lookback=NO", {"lookback": "NO", "model": {"class": "GRU"}}),
        ("lookback=a=b", {"lookback": "a=b", "model": {"class": "GRU"}}),
        ("lookback=", {"lookback": None, "model": {"class": "GRU"}}),
    ],
)
def test_an_override_sets_a_dotted_key_to_a_yaml_value(
    override: str, expected: dict[str, object]
) -> None:
    data = {"lookback": 96, "model": {"class": "GRU"}}
    assert apply_overrides(data, [override]) == expected


def test_the_last_override_wins_and_the_file_is_left_alone() -> None:
    data: dict[str, Any] = {"model": {"layers": 1}}
    changed = apply_overrides(data, ["model.layers=2", "model.layers=3", "model.size=8"])
    assert changed == {"model": {"layers": 3, "size": 8}}
    assert data == {"model": {"layers": 1}}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("lookback", "is not of the form key=value"),
        ("=3", "is not of the form key=value"),
        ("a..b=3", "is not of the form key=value"),
        ("a.=3", "is not of the form key=value"),
        (".a=3", "is not of the form key=value"),
        ("lookback.x=3", "'lookback' is a value, not a mapping"),
        ("model.layers.x.y=3", "'model.layers' is a value, not a mapping"),
        ("grids.0=3", "'grids' is a value, not a mapping"),
        ("lookback=[1, 2", "not valid YAML"),
        ("lookback=a: b: c", "not valid YAML"),
        ("lookback=1e999", "too large a number"),
    ],
)
def test_an_override_that_cannot_be_applied_is_named(override: str, says: str) -> None:
    data = {"lookback": 96, "model": {"layers": 1}, "grids": [1]}
    with pytest.raises(UserError) as caught:
        apply_overrides(data, [override])
    assert str(caught.value).startswith(f"--set {override}: ")
    assert says in str(caught.value)


# --- validation ----------------------------------------------------------------------------------


def faults(data: dict[str, Any], prefix: str = "") -> list[str]:
    with pytest.raises(UserError) as caught:
        validate(Spec, data, "gru.yaml", prefix)
    return str(caught.value).split("\n")


def test_every_fault_of_a_file_is_told_at_once_each_with_its_path() -> None:
    data = {
        "lookbak": 96,
        "lookback": 0,
        "optimiser": {"learning_rte": 1, "kind": "sgd"},
        "grids": [{"train": 1, "test": 1}, {"train": 1, "tset": 1}],
    }
    assert sorted(faults(data)) == [
        "gru.yaml: grids.1.test: is missing; add it",
        "gru.yaml: grids.1.tset: unknown key; did you mean 'test'?",
        "gru.yaml: lookback: input should be greater than 0, got 0",
        "gru.yaml: lookbak: unknown key; did you mean 'lookback'?",
        "gru.yaml: name: is missing; add it",
        "gru.yaml: optimiser.kind: input should be 'adam' or 'adamw', got 'sgd'",
        "gru.yaml: optimiser.learning_rte: unknown key; did you mean 'learning_rate'?",
    ]


def test_a_list_that_may_not_be_empty_is_so_called_only_where_it_is() -> None:
    data = {"name": "x", "blocks": [{"train": 0, "test": 1}]}
    assert faults(data) == ["gru.yaml: blocks.0.train: input should be greater than 0, got 0"]
    assert faults({"name": "x", "blocks": []}) == [
        "gru.yaml: blocks: tuple should have at least 1 item after validation, not 0"
    ]


def test_an_unknown_key_in_an_optional_model_gets_that_models_nearest_name() -> None:
    data = {"name": "x", "split": {"train": 1, "test": 2, "trian": 3}}
    assert faults(data) == ["gru.yaml: split.trian: unknown key; did you mean 'train'?"]


@pytest.mark.parametrize(
    ("given", "prefix", "key", "meant"),
    [
        ({"kind": "adam"}, "", "kind", "optimiser.kind"),
        ({"kind": "adam"}, "model", "model.kind", "model.optimiser.kind"),
        ({"optimiser": {"dropout": 0.1}}, "", "optimiser.dropout", "dropout"),
        ({"size": 3}, "", "size", "options.size"),
        ({"optimiser": {"size": 3}}, "", "optimiser.size", "options.size"),
    ],
)
def test_a_key_in_the_wrong_place_is_told_the_right_one(
    given: dict[str, Any], prefix: str, key: str, meant: str
) -> None:
    told = faults({"name": "x", "options": {"size": 2}, **given}, prefix)
    assert told == [f"gru.yaml: {key}: unknown key; did you mean '{meant}'?"]


def test_a_key_that_is_misspelt_in_two_places_is_not_told_the_other_mistake() -> None:
    data = {"name": "x", "trian": 1, "split": {"train": 1, "test": 2, "trian": 3}}
    assert "gru.yaml: split.trian: unknown key; did you mean 'train'?" in faults(data)
    assert not [fault for fault in faults(data) if "mean 'trian'" in fault or ".trian'?" in fault]


def test_a_key_like_no_other_is_told_what_there_is() -> None:
    known = "blocks, dropout, grids, kernel, lookback, name, optimiser, options, split"
    assert faults({"name": "x", "batch": 3}) == [f"gru.yaml: batch: unknown key; known: {known}"]


def test_a_prefix_says_where_the_values_stand_in_the_file() -> None:
    assert faults({}, prefix="model") == ["gru.yaml: model.name: is missing; add it"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("lookback", True, "valid integer, got True"),
        ("lookback", "96", "valid integer, got '96'"),
        ("lookback", 96.0, "valid integer, got 96.0"),
        ("lookback", None, "valid integer, got None"),
        ("lookback", [96], "valid integer"),
        ("dropout", "0.1", "valid number, got '0.1'"),
        ("dropout", True, "valid number, got True"),
        ("dropout", 1, "less than 1, got 1"),
        ("dropout", -0.1, "greater than or equal to 0, got -0.1"),
        ("dropout", ".inf", "valid number, got '.inf'"),
        ("dropout", ".nan", "valid number, got '.nan'"),
        ("name", 3, "valid string, got 3"),
        ("kernel", 3, "valid array, got 3"),
        ("kernel", "12", "valid array, got '12'"),
        ("optimiser", "adam", "object"),
    ],
)
def test_nothing_is_coerced(key: str, value: object, says: str) -> None:
    (message,) = faults({"name": "x", key: value})
    assert message.startswith(f"gru.yaml: {key}")
    assert says in message


def test_lists_become_tuples_and_whole_numbers_may_stand_for_floats() -> None:
    spec = validate(Spec, {"name": "x", "kernel": [1, 2], "dropout": 0}, "gru.yaml")
    assert spec.kernel == (1, 2)
    assert spec.dropout == 0.0


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    (message,) = faults({"name": "x", "dropout": number})
    assert "infinite or undefined" in message


def test_a_lone_surrogate_is_refused_and_not_let_out_as_another_error() -> None:
    data = parse_yaml('name: "\\ud800"', "gru.yaml")
    assert faults(data)[0].startswith("gru.yaml: ")


def test_a_specification_cannot_be_changed() -> None:
    spec = validate(Spec, {"name": "x"}, "gru.yaml")
    with pytest.raises(ValueError, match="frozen"):
        spec.lookback = 3


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Spec.model_fields, "lookbak"]), VALUES, max_size=4))
def test_any_values_are_valid_or_refused_as_a_users_mistake(data: dict[str, Any]) -> None:
    try:
        name = validate(Spec, data, "gru.yaml").name
    except UserError as error:
        message = str(error)
    else:
        message = "gru.yaml: valid"
        assert name == data["name"]
    assert message.startswith("gru.yaml: ")


# --- a signature is a schema ---------------------------------------------------------------------


class Forecaster:
    def __init__(
        self,
        shape: object,
        *,
        hidden_size: Positive,
        layers: Annotated[int, Field(gt=0, le=4)] = 1,
        kind: Literal["a", "b"] = "a",
        taps: tuple[int, ...] = (),
    ) -> None: ...


def test_keyword_only_arguments_are_the_keys_with_their_types_and_defaults() -> None:
    schema = signature_schema(Forecaster)
    assert list(schema.model_fields) == ["hidden_size", "layers", "kind", "taps"]
    built = validate(schema, {"hidden_size": 8, "taps": [1, 2]}, "gru.yaml")
    assert dict(built) == {"hidden_size": 8, "layers": 1, "kind": "a", "taps": (1, 2)}


class ForTheChecker:
    def __init__(self, shape: Unknown, *, size: Positive = 1, other=2) -> None: ...  # noqa: F821


class WithoutTheName:
    def __init__(self, shape: object, *, size: Unknown = 1) -> None: ...  # noqa: F821


def test_an_annotation_for_a_type_checker_alone_may_not_be_an_option_s() -> None:
    assert dict(validate(signature_schema(ForTheChecker), {"other": "x"}, "my.yaml")) == {
        "size": 1,
        "other": "x",
    }
    with pytest.raises(UserError, match=r"WithoutTheName: has an option .*'Unknown'.*; import it"):
        signature_schema(WithoutTheName)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "model.hidden_size: is missing"),
        ({"hidden_size": 0}, "model.hidden_size: input should be greater than 0"),
        ({"hidden_size": 1, "layers": 5}, "model.layers: input should be less than or equal to 4"),
        ({"hidden_size": 1, "kind": "c"}, "model.kind: input should be 'a' or 'b'"),
        ({"hidden_size": 1, "shape": 3}, "model.shape: unknown key"),
        ({"hidden_sise": 1}, "model.hidden_sise: unknown key; did you mean 'hidden_size'?"),
    ],
)
def test_options_that_do_not_fit_the_signature_are_refused(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as caught:
        validate(signature_schema(Forecaster), options, "gru.yaml", "model")
    assert says in str(caught.value)


# --- names and errors ----------------------------------------------------------------------------


def test_nearest_tells_the_name_meant_or_lists_a_few() -> None:
    assert nearest("gur", ["lstm", "gru"]) == "did you mean 'gru'?"
    assert nearest("zzz", ["lstm", "gru"]) == "known: gru, lstm"
    assert nearest("zzz", []) == "there are none"
    many = nearest("zzz", [f"model_{i:02}" for i in range(40)])
    assert many.endswith("model_29 and 10 more")


def test_an_error_reads_where_what_cure() -> None:
    assert str(UserError("gru.yaml", "is empty", "fill it")) == "gru.yaml: is empty; fill it"
    assert str(UserError("gru.yaml", "is empty")) == "gru.yaml: is empty"


def test_an_error_told_from_outside_names_the_place_on_every_line() -> None:
    joined = UserError.join([UserError("a", "x", "y"), UserError("b", "z")])
    assert str(joined) == "a: x; y\nb: z"
    assert str(joined.inside("f.yaml")) == "f.yaml: a: x; y\nf.yaml: b: z"
    assert str(joined.inside("f").inside("g")) == "g: f: a: x; y\ng: f: b: z"


def test_an_error_that_is_told_otherwise_keeps_all_of_its_faults() -> None:
    joined = UserError.join([UserError("a", "x", "y"), UserError("b", "z")])
    assert str(UserError.join([joined, UserError("c", "w")])) == "a: x; y\nb: z\nc: w"
    with pytest.raises(UserError) as caught, cured("mend it"):
        raise joined
    assert str(caught.value) == "a: x; mend it\nb: z; mend it"
    many = UserError.join(UserError(f"a: line {n}", "x") for n in range(1_000)).inside("f")
    assert len(many.faults) == MOST_TOLD + 1
    assert str(many.faults[-1]) == "f: a: has more faults like these"
