"""A strict reader of YAML 1.2: plain values, or one line that says what is wrong and where.

PyYAML reads YAML 1.1, in which ``1e-4`` is a string, ``NO`` is false, ``12:30`` is 750 and a
repeated key silently wins. The loader here follows YAML 1.2's rules for plain words and decimal
numbers instead, and refuses repeated keys, aliases and tags.
"""

from __future__ import annotations

import re
from math import isinf
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import UserError

MAX_YAML_LENGTH = 250_000
"""Characters in a configuration file: more is no configuration, and takes seconds to parse."""

MAX_DEPTH = 40
"""Levels of nesting in a configuration file."""

MAX_DIGITS = 18
"""Characters in a whole number: what 64 bits hold."""


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
