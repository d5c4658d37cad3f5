"""From the ``class:`` of a YAML to a class and its schema. There is no list to add a model to.

    Recurrent                a Forecaster defined in any file below ``benchmark/forecasters``
    my_module.MyForecaster   a Forecaster of the user's, importable from the current folder

A dotted path imports and so runs the user's code, by design.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Container, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from torch.nn.parameter import is_lazy

import benchmark.forecasters
from benchmark.cells import Cell
from benchmark.config import nearest, validate
from benchmark.errors import UserError
from benchmark.forecasters.contract import (
    ClosedFormForecaster,
    FitKind,
    Forecaster,
    SeriesShape,
)
from benchmark.forecasters.sources import own_files
from benchmark.imports import find_class, is_concrete, options_of


def known_forecasters() -> dict[str, type[Forecaster]]:
    """Every forecaster of ours by class name."""
    found: dict[str, type[Forecaster]] = {}
    for info in pkgutil.walk_packages(benchmark.forecasters.__path__, "benchmark.forecasters."):
        module = importlib.import_module(info.name)
        for name, member in vars(module).items():
            if is_concrete(member, Forecaster) and member.__module__ == module.__name__:
                found[name] = member
    return found


def find_forecaster(name: str, where: str) -> type[Forecaster]:
    """Return the class that a YAML's ``class:`` names.

    Raises:
        UserError: there is no such class, it is not a concrete `Forecaster`, or an error inside a
            user's module, with its line.
    """
    if "." not in name:
        known = known_forecasters()
        if name not in known:
            raise UserError(where, f"unknown forecaster {name!r}", nearest(name, known))
        return known[name]
    others: dict[type, str] = {Cell: f"try it in one: benchmark check gru --set cell={name}"}
    return find_class(name, where, Forecaster, others)  # type: ignore[type-abstract]


def resolve_model(
    spec: Mapping[str, Any], where: str, place: str = "model"
) -> tuple[type[Forecaster], dict[str, Any]]:
    """Find the class that ``{class: ..., option: value}`` names and check its options.

    Args:
        spec: the class and its options; an option may hold further models, which are checked too.
        where: the file to name in errors.
        place: where `spec` stands in that file.

    Returns:
        The class and all of its options, defaults included.

    Raises:
        UserError: unknown class, or an unknown, missing or mistyped option; as `option_schema`.
    """
    named = spec.get("class")
    if not isinstance(named, str):
        what = "is missing" if named is None else f"is not a name, got {named!r:.60}"
        raise UserError(f"{where}: {place}.class", what, "name the forecaster's class")
    cls = find_forecaster(named, f"{where}: {place}.class")
    given = {key: value for key, value in spec.items() if key != "class"}
    schema = option_schema(cls, given, f"{where}: {place}")
    options = dict(validate(schema, given, where, place))
    for inner_place, inner in _models(given, place):
        resolve_model(inner, where, inner_place)
    return cls, options


def option_schema(cls: type[Forecaster], given: Container[str], place: str) -> type[BaseModel]:
    """Read a forecaster's options off its constructor, as a strict model.

    Args:
        cls: the forecaster's class.
        given: names of the options that it is to be built with.
        place: where they are given, for errors.

    Raises:
        UserError: the constructor takes no shape, or by position what cannot come from a YAML.
    """
    return options_of(cls, ("shape",), given, place)


def build_forecaster(spec: Mapping[str, Any], shape: SeriesShape, where: str) -> Forecaster:
    """Build the forecaster that ``{class: ..., option: value}`` describes.

    Raises:
        UserError: as `resolve_model`, options that do not go together or with `shape`, weights
            that are made later, or nothing to train in what is to be fitted by gradient.
    """
    cls, options = resolve_model(spec, where)
    try:
        built = cls(shape, **options)
    except ValueError as error:
        raise UserError(f"{where}: model", str(error)) from error
    except UserError as error:
        raise error.inside(where) from error
    if "_parameters" not in vars(built):
        what = f"{cls.__name__} does not call super().__init__(shape)"
        raise UserError(f"{where}: model", what, "make that the first line of its __init__")
    if any(is_lazy(tensor) for tensor in (*built.parameters(), *built.buffers())):
        what = f"{cls.__name__} has lazy layers, whose weights are not there before the first batch"
        cure = "give each its size, of shape.lookback, shape.horizon and shape.channels"
        raise UserError(f"{where}: model", what, cure)
    trained = any(parameter.requires_grad for parameter in built.parameters())
    _check_fit(cls, trained, f"{where}: model")
    if not trained and how_fitted(spec, where) == "gradient":
        what = "fitted is 'gradient', but there is no parameter to train"
        raise UserError(f"{where}: model", what, f'set fitted = "none" in {cls.__name__}')
    return built


def _check_fit(cls: type[Forecaster], trained: bool, place: str) -> None:
    """Refuse a fit that nothing would call: the model would be scored as it was built.

    Args:
        cls: the forecaster's class.
        trained: whether it has a parameter to train.
        place: where it is named, for errors.

    Raises:
        UserError: it is to be solved for, and is no `ClosedFormForecaster`.
    """
    meant = cls.fitted == "gradient" and hasattr(cls, "fit") and not trained  # the default
    solved = cls.fitted == "closed_form" or meant
    if solved and not issubclass(cls, ClosedFormForecaster):
        what = f"{cls.__name__} is no ClosedFormForecaster: nothing would call its fit"
        cure = "derive it from benchmark.forecasters.contract.ClosedFormForecaster"
        raise UserError(place, what, cure)


def source_digest(spec: Mapping[str, Any], where: str) -> str:
    """Hash of the files that a model's user classes are made of: editing one makes a new run.

    Those that define them come first, then what these import. Ours are told apart by the package's
    version; of them alone the digest is empty.

    Args:
        spec: ``{class: ..., option: value}``; an option may hold further models.
        where: the file to name in errors.

    Raises:
        UserError: a class cannot be found.
    """
    files = [own_files(cls) for cls in _users_classes(spec, where)]
    paths = [own for first in files for own in first[:1]]
    paths += dict.fromkeys(path for all_ in files for path in all_[1:] if path not in paths)
    sources = b"".join(path.read_bytes() for path in paths)
    return hashlib.sha256(sources).hexdigest()[:16] if sources else ""


def how_fitted(spec: Mapping[str, Any], where: str) -> FitKind:
    """How a model is fitted; an ensemble as its members are, by gradient if any of them is.

    Args:
        spec: ``{class: ..., option: value}``; an option may hold further models.
        where: the file to name in errors.

    Raises:
        UserError: a class cannot be found.
    """
    cls = find_forecaster(spec["class"], where)
    members = list(_models(list(spec.values()))) if cls.fitted_by_member else []
    if cls.fitted not in get_args(FitKind):
        what = f"{cls.__name__}.fitted is {cls.fitted!r:.60}"
        cure = f"set it to {', '.join(map(repr, get_args(FitKind)))}"
        raise UserError(f"{where}: model", what, cure)
    kinds = {how_fitted(member, where) for _, member in members} or {cls.fitted}
    return next(kind for kind in get_args(FitKind) if kind in kinds)


def depends_on_seed(spec: Mapping[str, Any], where: str) -> bool:
    """Whether a model's numbers depend on its seed: one run is all that there is of others.

    Of ours all that is fitted by gradient do, and nothing else; a user's, unless it says otherwise.

    Args:
        spec: ``{class: ..., option: value}``; an option may hold further models.
        where: the file to name in errors.

    Raises:
        UserError: a class cannot be found.
    """
    users = _users_classes(spec, where)
    return how_fitted(spec, where) == "gradient" or any(getattr(c, "seeded", True) for c in users)


def trainings(spec: Mapping[str, Any], where: str) -> int:
    """How often a fit trains by gradient, as `Forecaster.trainings`.

    Args:
        spec: ``{class: ..., option: value}``.
        where: the file to name in errors.

    Raises:
        UserError: a class cannot be found.
    """
    return find_forecaster(spec["class"], where).trainings(spec)


def _users_classes(spec: Mapping[str, Any], where: str) -> list[type]:
    return [cls for cls in _code_of(spec, where) if not cls.__module__.startswith("benchmark.")]


def _code_of(part: Any, where: str) -> Iterator[type]:
    """Every class that a model or one of its options names, outer ones first."""
    for _, model in _models(part):
        cls = find_forecaster(model["class"], f"{where}: model.class")
        yield cls
        try:
            yield from cls.named_classes(model)
        except UserError as error:
            raise error.inside(where) from None
        yield from _code_of(list(model.values()), where)


def _models(part: Any, place: str = "model") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The outermost mappings that name a class, and where each stands."""
    if isinstance(part, Mapping) and isinstance(part.get("class"), str):
        yield place, part
        return
    if isinstance(part, list):
        part = dict(enumerate(part))
    for key, inner in part.items() if isinstance(part, Mapping) else ():
        yield from _models(inner, f"{place}.{key}")
