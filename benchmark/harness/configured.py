"""A run's configuration from Python values, as short as a call: a model and options of any home."""

from __future__ import annotations

import json
import sys
from operator import index
from pathlib import Path
from typing import Any

from benchmark.config import apply_overrides, nearest, validate
from benchmark.errors import UserError
from benchmark.forecasters.contract import FitKind, Forecaster
from benchmark.forecasters.resolve import how_fitted, option_schema, resolve_model
from benchmark.harness.spec import RunSpec, find_config, load_run
from benchmark.training.spec import TrainingSpec


def configured(
    model: str | Path | type[Forecaster], settings: dict[str, Any], options: dict[str, Any]
) -> tuple[str, RunSpec]:
    """Return what to call a model in errors, and its configuration with everything set.

    Args:
        model: the name of a YAML of ours, the path of one, or a forecaster's class.
        settings: keys of a `RunSpec`; None leaves one as it is.
        options: of the model, or of its training.

    Raises:
        UserError: an unknown model or option, an option of both, or a value that no YAML holds.
    """
    if isinstance(model, type):
        where, cls = f"fit({model.__qualname__})", model
        own = _settings(where, settings)
        name = _class_name(model, where)
        data = {"name": model.__name__, "model": {"class": name}}
        fitted = how_fitted({"class": name, **options}, where)
        overrides = [*own, *_overrides(where, cls, fitted, options)]
        return where, validate(RunSpec, apply_overrides(data, overrides), where)
    path = find_config("models", str(model))
    own = _settings(str(path), settings)
    spec = load_run(path).model
    cls, _ = resolve_model(spec, str(path))
    fitted = how_fitted(spec, str(path))
    return str(path), load_run(path, [*own, *_overrides(str(path), cls, fitted, options)])


def _class_name(cls: type[Forecaster], where: str) -> str:
    """Return how a YAML would name a class: its source is part of what identifies a run."""
    module = sys.modules.get(cls.__module__)
    file = Path(getattr(module, "__file__", None) or "")  # '<stdin>' of what is piped into python
    if not file.is_file() or vars(module).get(cls.__qualname__) is not cls:
        raise UserError(where, "is no class of a file's own", "write it into a .py and import it")
    ours = cls.__module__.startswith("benchmark.forecasters.")
    return cls.__name__ if ours else f"{cls.__module__}.{cls.__qualname__}"


def _settings(where: str, settings: dict[str, Any]) -> list[str]:
    return [_override(where, key, value) for key, value in settings.items() if value is not None]


def _override(where: str, key: str, value: Any, home: str = "") -> str:
    """Say an option as ``--set`` would; a whole number may be numpy's.

    Raises:
        UserError: no YAML could hold the value.
    """
    try:
        return f"{home}{key}={json.dumps(value, default=index)}"
    except TypeError:
        raise UserError(f"{where}: {key}", f"is no plain value, got {value!r:.60}") from None


def _overrides(
    where: str, cls: type[Forecaster], fitted: FitKind, options: dict[str, Any]
) -> list[str]:
    """Say each option as ``--set`` would: it is the model's or, fitted by gradient, its training's.

    Raises:
        UserError: an option of neither or of both, or one that no YAML could hold; as
            `option_schema`.
    """
    homes = {"model": set(option_schema(cls, options, f"{where}: model").model_fields)}
    if fitted == "gradient":
        homes["training"] = set(TrainingSpec.model_fields)
    overrides = []
    for key, value in options.items():
        found = [home for home, fields in homes.items() if key in fields]
        if not found:
            raise UserError(
                f"{where}: {key}", "unknown option", nearest(key, set().union(*homes.values()))
            )
        if len(found) > 1:
            raise UserError(f"{where}: {key}", "is the model's and its training's", "rename one")
        overrides.append(_override(where, key, value, f"{found[0]}."))
    return overrides
