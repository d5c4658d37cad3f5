"""Configuration machinery: a strict YAML 1.2 reader, strict models, overrides, error text.

No field of any domain is known here; each specification lives in the room that uses it.

PyYAML reads YAML 1.1, in which ``1e-4`` is a string, ``NO`` is false, ``12:30`` is 750 and a
repeated key silently wins. The loader here follows YAML 1.2's rules for plain words and decimal
numbers instead, and refuses repeated keys, aliases and tags.
"""

from __future__ import annotations

import difflib
import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import isinf
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from benchmark.errors import UserError

MAX_YAML_LENGTH = 250_000
"""Characters in a configuration file: more is no configuration, and takes seconds to parse."""

MAX_DEPTH = 40
"""Levels of nesting in a configuration file."""

MAX_DIGITS = 18
"""Characters in a whole number: what 64 bits hold."""


LONGEST_NAME = 200  # characters
MOST_COMPARED = 2_000
"""Of names, where the nearest one is searched for: comparing more takes long, for a hint."""


class Strict(BaseModel):
    """Base of every specification: unknown keys are errors, nothing is coerced, nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


Positive = Annotated[int, Field(gt=0)]
"""A whole number, one or more."""

Probability = Annotated[float, Field(ge=0, lt=1)]
"""A share, from 0 up to but not including 1."""

StrictModel = TypeVar("StrictModel", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 scalars; refuses duplicate and odd keys, aliases and tags."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _fault("aliases (*name) are not allowed", event)
        if event.tag is not None:  # !!binary and the like: none of them is a plain value
            raise _fault("tags (!name) are not allowed", event)
        if self.depth == MAX_DEPTH:
            raise _fault(f"nested more than {MAX_DEPTH} levels deep", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _fault("a key must be a plain word", key)
            if key.value in mapping:
                raise _fault(f"duplicate key {key.value!r}", key)
            mapping[key.value] = self.construct_object(value, deep=True)
        return mapping

    def construct_int(self, node: Any) -> int:
        if len(node.value) > MAX_DIGITS:
            raise _fault(f"{node.value!r:.40} is too large a number", node)
        return int(node.value)  # decimal whatever it starts with: YAML 1.1 reads 012 as ten

    def construct_float(self, node: Any) -> float:
        number = float(node.value)
        if isinf(number):
            raise _fault(f"{node.value!r:.40} is too large a number", node)
        return number


def _fault(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


_TAG = "tag:yaml.org,2002:"
_KEPT = {_TAG + "null"}  # the rest is YAML 1.1: yes and no, 12:30, dates, merge keys (<<), a bare =
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor(_TAG + "int", _Loader.construct_int)
_Loader.add_constructor(_TAG + "float", _Loader.construct_float)


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML 1.2 text into plain Python values.

    Args:
        text: the document.
        where: what to call it in an error, usually the file's path.

    Raises:
        UserError: the text is not YAML, repeats a key, uses an alias or a tag, or holds a number
            too large; names the line.
    """
    if len(text) > MAX_YAML_LENGTH:
        raise UserError(
            where, f"is longer than {MAX_YAML_LENGTH:,} characters", "name a configuration file"
        )
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(where, f"not valid YAML: {error.problem}{line}", "mend that line") from None
    except yaml.reader.ReaderError as error:
        line = f" at line {text.count(chr(10), 0, error.position) + 1}"
        what = f"not valid YAML: the character {chr(error.character)!r}{line}"
        raise UserError(where, what, "remove it") from None
    except (ValueError, OverflowError):  # PyYAML lets these out for an escape beyond Unicode
        line = f" at line {loader.line + 1}" if loader else ""
        raise UserError(
            where, f"not valid YAML: no such character{line}", "mend the escape"
        ) from None


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        UserError: the file is missing, unreadable, not YAML, empty or not a mapping.
    """
    where = str(path)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_YAML_LENGTH + 1)  # enough to see that it is too long
    except FileNotFoundError:
        raise UserError(where, "no such file", "check the path") from None
    except IsADirectoryError:
        raise UserError(where, "is a folder, not a YAML file", "name a file in it") from None
    except UnicodeDecodeError:
        raise UserError(where, "is not UTF-8 text", "name a YAML file") from None
    except OSError as error:
        raise UserError(where, f"cannot be read ({error.strerror})", "check permissions") from None
    except ValueError:
        raise UserError(repr(where), "is not a file name", "remove the null character") from None
    data = parse_yaml(text, where)
    if data is None:
        raise UserError(where, "is empty", "write its keys, one 'key: value' a line")
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else f"a single value ({data!r:.40})"
        raise UserError(where, f"holds {kind}", "it must be a mapping of 'key: value' lines")
    return data


def apply_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of `data` with ``dotted.key=value`` texts applied; values are YAML.

    Raises:
        UserError: an override has no ``=``, an empty key, or goes through a value that is no
            mapping.
    """
    result: dict[str, Any] = json.loads(json.dumps(data))
    for override in overrides:
        where = f"--set {override}"
        key, equals, value = override.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise UserError(
                where, "is not of the form key=value", "e.g. --set model.hidden_size=64"
            )
        target = result
        for depth, part in enumerate(parts[:-1], start=1):
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise UserError(where, f"'{'.'.join(parts[:depth])}' is a value, not a mapping")
        target[parts[-1]] = parse_yaml(value, where)
    return result


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Say which candidate a misspelt name was probably meant to be, or list a few of them."""
    candidates = sorted(each for each in candidates if len(each) <= LONGEST_NAME)
    name = name[:LONGEST_NAME]  # what is longer was never a name, and takes long to compare
    by_lower_case = {candidate.casefold(): candidate for candidate in candidates}
    few = len(candidates) <= MOST_COMPARED
    matches = few and difflib.get_close_matches(name.casefold(), by_lower_case, n=1, cutoff=0.5)
    if matches:
        return f"did you mean '{by_lower_case[matches[0]]}'?"
    shown = ", ".join(candidates[:30]) + (", ..." if len(candidates) > 30 else "")
    return f"known: {shown}" if candidates else "there are none"


def validate(
    model: type[StrictModel], data: Mapping[str, Any], where: str, prefix: str = ""
) -> StrictModel:
    """Check plain values against a strict model; every fault is reported with its dotted path.

    The values go through JSON, so that YAML lists become tuples and ``true`` is no integer.

    Args:
        model: the specification to build.
        data: plain values, as `load_yaml` returns them.
        where: the file (or command) to name in errors.
        prefix: dotted path of `data` inside that file, e.g. ``model``.

    Raises:
        UserError: one line for each unknown, missing or wrong key.
    """
    try:
        text = json.dumps(data, allow_nan=False)
    except ValueError:
        raise UserError(
            where, "holds an infinite or undefined number", "write a finite one"
        ) from None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        inside = {fault["loc"][:end] for fault in faults for end in range(len(fault["loc"]))}
        # A list whose items have faults counts as empty: that it is too short is not the user's.
        told = [fault for fault in faults if fault["loc"] not in inside]
        raise UserError.join(_explain(model, each, where, prefix) for each in told) from None


def signature_schema(cls: type) -> type[BaseModel]:
    """Read a constructor's keyword-only arguments as a strict model: they are its YAML's keys.

    A class stays an ordinary class; its signature is the only place where its options, their
    types and their defaults are written.
    """
    hints = get_type_hints(cls.__init__, include_extras=True)  # type: ignore[misc]
    fields: dict[str, Any] = {
        parameter.name: (
            hints.get(parameter.name, Any),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return create_model(cls.__name__, __base__=Strict, **fields)


def _explain(model: type[BaseModel], fault: Any, where: str, prefix: str) -> UserError:
    path = [str(part) for part in fault["loc"]]
    place = ".".join([prefix, *path] if prefix else path)
    at = ": ".join(part for part in (where, place) if part)
    if fault["type"] == "extra_forbidden":
        return UserError(at, "unknown key", nearest(path[-1], _fields_at(model, path[:-1])))
    if fault["type"] == "missing":
        return UserError(at, "is missing", "add it")
    message = fault["msg"].removeprefix("Value error, ")
    got = "" if isinstance(fault["input"], dict | list) else f", got {fault['input']!r:.60}"
    return UserError(at, message[0].lower() + message[1:] + got)


def _fields_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Names of the keys allowed at a dotted path inside a model."""
    current: type[BaseModel] = model
    for part in path:
        field = current.model_fields.get(part)
        if field is None:
            continue  # an index of a list
        inner = [field.annotation, *get_args(field.annotation)]
        inner += [arg for outer in inner for arg in get_args(outer)]
        models = [t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)]
        if not models:
            return []
        current = models[0]
    return list(current.model_fields)
