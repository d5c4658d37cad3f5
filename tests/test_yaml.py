"""The YAML reader: YAML 1.2's plain values or one clear line that names file and line."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import Strict, apply_overrides, validate
from benchmark.errors import UserError
from benchmark.plain_yaml import MAX_DEPTH, MAX_YAML_LENGTH, load_yaml, parse_yaml


def fault(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "gru.yaml")
    message = str(caught.value)
    assert message.startswith("gru.yaml: ")
    assert "\n" not in message
    return message


# --- scalars: YAML 1.2, not 1.1 ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-2.5e+3", -2500.0),
        ("7", 7),
        ("-7", -7),
        ("012", 12),  # YAML 1.1: ten, an octal number
        ("089", 89),  # YAML 1.1: an error
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("NO", "NO"),
        ("no", "no"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("12:30", "12:30"),
        ("12:30:45", "12:30:45"),
        ("2016-07-01", "2016-07-01"),
        ("2016-07-01 00:00:00", "2016-07-01 00:00:00"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("null", None),
        ("~", None),
        ("", None),
        ("=", "="),
        ("'1'", "1"),
        ("'true'", "true"),
        ('"null"', "null"),
        ("[1, a, 0.5]", [1, "a", 0.5]),
        ("{b: {c: []}}", {"b": {"c": []}}),
    ],
)
def test_a_scalar_is_what_it_looks_like(text: str, value: object) -> None:
    read = parse_yaml(f"a: {text}", "gru.yaml")["a"]
    assert read == value
    assert type(read) is type(value)


def test_keys_stay_words_whatever_they_look_like() -> None:
    text = "1: a\n01: b\nnull: c\n~: d\ntrue: e\n<<: {x: 1}\n2016-07-01: f"
    read = parse_yaml(text, "gru.yaml")
    assert list(read) == ["1", "01", "null", "~", "true", "<<", "2016-07-01"]
    assert read["<<"] == {"x": 1}, "a merge key must not merge: it would hide a repeated key"


# --- what is refused, with its line --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3", 3, "duplicate key 'a'"),
        ("m:\n  a: 1\n  'a': 2", 3, "duplicate key 'a'"),
        ("g:\n- {a: 1, a: 2}", 2, "duplicate key 'a'"),
        ("a: &x 1\nb: *x", 2, "aliases"),
        ("a: &a [*a]", 1, "aliases"),
        ("a: 1\n*x : 2", 2, "aliases"),
        ("? [a, b]\n: 1", 1, "a key must be a plain word"),
        ("x: 1\n? {a: b}\n: 1", 2, "a key must be a plain word"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: b: c", 1, "mapping values"),
        ("a: [1, 2", 1, "expected"),
        ("a: 'open", 1, "found unexpected end of stream"),
        ("a:\n\t- 1", 2, "'\\t'"),
        ("a: @b", 1, "'@'"),
        ("a: 1e999", 1, "too large a number"),
        ("a: 1\nb: -1e999", 2, "too large a number"),
        ("a: " + "9" * 5000, 1, "too large a number"),
        ("a: " + "9" * 19, 1, "too large a number"),
        ("a: !!binary aGk=", 1, "tags"),
        ("a: !!set {x}", 1, "tags"),
        ("a: !!timestamp x", 1, "tags"),
        ("a: !!bool maybe", 1, "tags"),
        ('a: !!int ""', 1, "tags"),
        ("a: !!python/object:os.system x", 1, "tags"),
        ("--- !!omap\n- a: 1", 1, "tags"),
        ("? !!binary aGk=\n: 1", 1, "tags"),
        ("!!map [1]", 1, "tags"),
        ("%YAML 3.0\n---\na: 1", 1, "version"),
        ('a: 1\nb: "\\UFFFFFFFF"', 2, "no such character"),
        ('a: 1\nb: "\\U00110000"', 2, "no such character"),
        ("a: 1\nb: \x00", 2, "'\\x00'"),
        ("a: 1\nb: \ud800", 2, "'\\ud800'"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    message = fault(text)
    assert says in message
    assert f"at line {line}" in message


@pytest.mark.parametrize("nest", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_deep_nesting_is_refused_without_exhausting_the_stack(nest: str) -> None:
    assert "levels deep" in fault(nest * 5000)


def test_the_deepest_allowed_nesting_can_be_read_overridden_and_validated() -> None:
    class Anything(Strict):
        a: Any

    open_, close = "[" * (MAX_DEPTH - 2), "]" * (MAX_DEPTH - 2)
    data = apply_overrides(parse_yaml(f"a: {open_}1{close}", "deep.yaml"), [])
    assert str(validate(Anything, data, "deep.yaml").a).count("[") == MAX_DEPTH - 2
    assert "levels deep" in fault(f"a: [{open_}1{close}]")


def test_a_billion_laughs_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert "aliases (*name) are not allowed at line 2" in fault("\n".join(lines))


@given(st.text() | st.text(alphabet="ab:-?[]{}&*!|>'\"%@`#,.0129eE+~\\uxU \n\t"))
def test_any_text_is_read_or_refused_as_a_users_mistake(text: str) -> None:
    try:
        data = parse_yaml(text, "gru.yaml")
    except UserError as error:
        message = str(error)
    else:
        message = "gru.yaml: read"
        assert apply_overrides({"a": data}, []) == {"a": data}, "values must be plain JSON values"
    assert message.startswith("gru.yaml: ")


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs", "Zl", "Zp"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**16), 10**16)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PRINTABLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PRINTABLE, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_json_is_read_as_json(value: object) -> None:
    """YAML 1.2 is a superset of JSON; PyYAML's own scalars are not."""
    assert parse_yaml(json.dumps(value, ensure_ascii=False), "data.json") == value


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"- a\n- b\n", "holds a list"),
        (b"gru\n", "holds a single value ('gru')"),
        (b"12\n", "holds a single value (12)"),
        (b"name: caf\xe9\n", "is not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n", "is not UTF-8 text"),
        (b"a: 1\na: 2\n", "duplicate key 'a' at line 2"),
        (b"a: .inf .nan 1e999: b\n", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_by_its_name(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "gru.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.yaml", "no such file"),
        (".", "is a folder"),
        ("file.yaml/x.yaml", "cannot be read (Not a directory)"),
        ("x" * 300, "cannot be read (File name too long)"),
        ("a\0b.yaml", "is not a file name"),
    ],
)
def test_a_path_that_is_no_file_is_refused_by_its_name(
    tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "file.yaml").write_text("a: 1")
    with pytest.raises(UserError, match=re.escape(str(tmp_path))) as caught:
        load_yaml(tmp_path / name)
    assert says in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gru.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    with pytest.raises(UserError, match="Permission denied"):
        load_yaml(path)


def test_a_file_beyond_the_limit_is_refused_and_one_just_under_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a: 1 #" + "x" * (MAX_YAML_LENGTH - 6))
    assert load_yaml(path) == {"a": 1}
    path.write_text("a: 1 #" + "x" * (MAX_YAML_LENGTH - 5))
    with pytest.raises(UserError, match="longer than 250,000 characters"):
        load_yaml(path)


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "gru.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: x\r\n")
    assert load_yaml(path) == {"a": 1, "b": "x"}


def test_pyyaml_itself_still_has_the_traps_that_the_loader_avoids() -> None:
    """If this fails, PyYAML has moved to YAML 1.2 and the loader can be simpler."""
    assert yaml.safe_load("1e-4") == "1e-4"
    assert yaml.safe_load("NO") is False
    assert yaml.safe_load("12:30") == 750
    assert yaml.safe_load("{a: 1, a: 2}") == {"a": 2}
