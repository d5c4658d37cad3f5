"""Configuration machinery: strict models, overrides, error text.

No field of any domain is known here; each specification lives in the room that uses it.
"""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from benchmark.errors import UserError
from benchmark.plain_yaml import parse_yaml
from benchmark.words import listed

LONGEST_NAME = 200  # characters
ALIKE = 0.6  # of keys, as there are few and short ones
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


def nearest(name: str, candidates: Iterable[str], alike: float = 0.5) -> str:
    """Say which candidate a misspelt name was probably meant to be, or list a few of them.

    Args:
        name: as it was written.
        candidates: what there is.
        alike: share of letters in common, and in order, from which one is meant.
    """
    candidates = sorted(each for each in candidates if len(each) <= LONGEST_NAME)
    name = name[:LONGEST_NAME]  # what is longer was never a name, and takes long to compare
    by_lower_case = {candidate.casefold(): candidate for candidate in candidates}
    few = len(candidates) <= MOST_COMPARED
    matches = few and difflib.get_close_matches(name.casefold(), by_lower_case, n=1, cutoff=alike)
    if matches:
        return f"did you mean '{by_lower_case[matches[0]]}'?"
    return f"known: {listed(candidates, most=30)}" if candidates else "there are none"


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
        raise UserError.join(_explain(model, data, each, where, prefix) for each in told) from None


def signature_schema(cls: type) -> type[BaseModel]:
    """Read a constructor's keyword-only arguments as a strict model: they are its YAML's keys.

    A class stays an ordinary class; its signature is the only place where its options, their
    types and their defaults are written.

    Raises:
        UserError: an option's annotation names what its module has not, or what no YAML holds; or
            an option has a name that cannot be read.
    """
    init: Any = cls.__init__  # type: ignore[misc]
    parameters = inspect.signature(init).parameters.values()
    options = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
    if any(each.name == "model_config" for each in options):  # Pydantic's own, of any model
        what = "has an option named model_config, which has another meaning where options are read"
        raise UserError(f"{cls.__module__}.{cls.__name__}", what, "rename it")
    hints = _evaluated(cls, {each.name: each.annotation for each in options})
    fields: dict[str, Any] = {
        each.name: (hints[each.name], ... if each.default is each.empty else each.default)
        for each in options
    }
    try:
        return create_model(cls.__name__, __base__=Strict, **fields)
    except PydanticSchemaGenerationError as error:
        kind = str(error).partition("schema for ")[2].partition(". ")[0]
        what = f"has an option of a type that no YAML holds ({kind:.200})"
        cure = "make it a bool, int, float, str, list or dict, and build the rest in __init__"
        raise UserError(f"{cls.__module__}.{cls.__name__}", what, cure) from error


def _evaluated(cls: type, annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate the annotations of a constructor's options, and of nothing beside them.

    Those of other arguments may be there for a type checker alone.
    """
    empty = inspect.Parameter.empty
    given = {name: note for name, note in annotations.items() if note is not empty}
    init = inspect.unwrap(cls.__init__)  # type: ignore[misc]
    holder: Any = SimpleNamespace(__annotations__=given)
    try:
        hints = get_type_hints(holder, getattr(init, "__globals__", {}), include_extras=True)
    except NameError as error:
        what = f"has an option whose annotation cannot be evaluated ({error})"
        cure = "import it where it runs, not under `if TYPE_CHECKING:` alone"
        raise UserError(f"{cls.__module__}.{cls.__name__}", what, cure) from error
    return dict.fromkeys(annotations, Any) | hints


def _explain(
    model: type[BaseModel], data: Mapping[str, Any], fault: Any, where: str, prefix: str
) -> UserError:
    path = [str(part) for part in fault["loc"]]
    place = ".".join([prefix, *path] if prefix else path)
    at = ": ".join(part for part in (where, place) if part)
    if fault["type"] == "extra_forbidden":
        return UserError(at, "unknown key", _right_key(path, model, data, prefix))
    if fault["type"] == "missing":
        return UserError(at, "is missing", "add it")
    message = fault["msg"].removeprefix("Value error, ")
    got = "" if isinstance(fault["input"], dict | list) else f", got {fault['input']!r:.60}"
    what, _, cure = message.partition("; ")
    if fault["type"] == "string_type" and isinstance(fault["input"], int | float):
        cure = f'put it in quotes: "{json.dumps(fault["input"])}"'
    return UserError(at, what[0].lower() + what[1:] + got, cure)


def _right_key(
    path: Sequence[str], model: type[BaseModel], data: Mapping[str, Any], prefix: str
) -> str:
    """Say what an unknown key may have been meant to be.

    That is the same one elsewhere, one of which it has the initials (lr), or a like one.
    """
    *around, key = path
    tree = _tree(model)
    free = [home for home in _paths(data) if _is_free(tree, home)]  # e.g. a model's options
    for home in (*_paths(tree), *free):
        initials = "".join(word[:1] for word in home[-1].split("_"))
        if (home[-1] == key and home != path) or (len(key) > 1 and initials == key):
            return f"did you mean '{'.'.join([prefix, *home] if prefix else home)}'?"
    for part in around:
        tree = tree.get(part, tree)  # an index of a list has no keys of its own
    return nearest(key, tree, ALIKE)


def _is_free(tree: Mapping[str, Any], home: Sequence[str]) -> bool:
    """Say whether a key lies in a mapping of free keys, such as options, where any name may be."""
    for part in home[:-1]:
        tree = tree.get(part, {})
    return not tree


def _tree(model: type[BaseModel]) -> dict[str, Any]:
    """Keys allowed in a model, each with those of the model inside it."""
    tree: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = [field.annotation, *get_args(field.annotation)]
        inner += [arg for outer in inner for arg in get_args(outer)]
        models = (each for each in inner if isinstance(each, type) and issubclass(each, BaseModel))
        tree[name] = next(map(_tree, models), {})
    return tree


def _paths(tree: Any) -> Iterator[list[str]]:
    """Yield the way to every key of nested mappings."""
    for key, inner in tree.items() if isinstance(tree, Mapping) else ():
        yield [key]
        yield from ([key, *path] for path in _paths(inner))
