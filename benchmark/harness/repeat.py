"""From a run's folder back to the command line that makes the run again. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.errors import UserError
from benchmark.harness.spec import RunSpec, design_names, load_kept_run, load_run, own_models
from benchmark.plain_yaml import parse_yaml
from benchmark.records import layout
from benchmark.records.record import ELSEWHERE
from benchmark.words import command_line

FORECASTERS = Path(__file__).parents[1] / "forecasters"
_FAMILIES = {"none": "naive", "closed_form": "closed form", ELSEWHERE: ELSEWHERE}
_UNTOLD = {"description", "search", "tuned"}  # what is no part of a run


class Origin(NamedTuple):
    """Where a run's numbers come from.

    Attributes:
        family: naive, closed form, linear, recurrent, design, or own where the class is a user's.
        command: makes the run again; empty where its configuration is none that this version reads.
    """

    family: str
    command: str


def origin_of(folder: Path, model: str, fitted: str) -> Origin:
    """Read a run's configuration; where its folder is not there, go by the model's name.

    Args:
        folder: the run's, in the ``runs`` of a results folder.
        model: its name, as the run's record has it.
        fitted: how the model is fitted, as the run's record has it.
    """
    path = folder / layout.CONFIG
    try:
        spec = load_kept_run(path)
    except UserError:
        spec = None
    if spec is None or not isinstance(spec.model.get("class"), str):
        return Origin(_FAMILIES.get(fitted) or _family_of_name(model), "")
    return Origin(_FAMILIES.get(fitted) or _family(spec), _command(spec, path))


def _family(spec: RunSpec) -> str:
    file = _files().get(spec.model["class"])
    if file is None:
        return "own"
    is_design = f"designs/{spec.name}" in design_names() or file.parent.name == "designs"
    return "design" if is_design else file.stem.replace("_", " ")


def _family_of_name(model: str) -> str:
    ours = next((spec for spec in _ours().values() if spec.name == model), None)
    return "own" if ours is None else _family(ours)


def _command(spec: RunSpec, path: Path) -> str:
    """Name the YAML of ours that is nearest, and set what differs; else the run's own."""
    after = _told(spec)
    changes = {
        name: list(_changes(_told(ours), after))
        for name, ours in _ours().items()
        if ours.model["class"] == spec.model["class"]
    }
    if not changes:
        own = path.absolute()
        told = own.relative_to(own.parents[:4][-1])  # from beside the results: no path of a machine
        return command_line("run", told)
    name = min(changes, key=lambda each: len(changes[each]))
    settings = dict(changes[name])
    seed = settings.pop("seed", None)
    sets = [f"{key}={_text(value)}" for key, value in settings.items()]
    return command_line("run", name, set=sets, seed=seed)


def _told(spec: RunSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude=_UNTOLD)


@cache
def _ours() -> dict[str, RunSpec]:
    return {name: load_run(path) for name, path in own_models().items()}


@cache
def _files() -> dict[str, Path]:
    """The file that defines each class of ours, by reading: to import them would load torch."""
    return {
        name: path
        for path in sorted(FORECASTERS.rglob("*.py"))
        for name in re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in after.items():
        old: Any = before.get(key)
        within = isinstance(old, dict) and isinstance(value, dict) and old.keys() <= value.keys()
        if within:  # else: an option cannot be taken back by itself
            yield from ((f"{key}.{inner}", new) for inner, new in _changes(old, value))
        elif key not in before or old != value or type(old) is not type(value):
            yield key, value


def _text(value: Any) -> str:
    """Write a value as YAML; a text without quotes where it is read as the same text."""
    plain = isinstance(value, str) and re.fullmatch(r"[\w./-]+", value) is not None
    return str(value) if plain and parse_yaml(value, "") == value else json.dumps(value)
