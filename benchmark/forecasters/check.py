"""The contract, checked: what every forecaster must do, ours and a user's alike.

`check_forecaster` is what the tests run over every forecaster of ours and what
``benchmark check my_module.MyForecaster`` runs over a user's.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmark.cells import Cell
from benchmark.errors import UserError, text_by_line, told_by_line
from benchmark.forecasters.beside import beside_state
from benchmark.forecasters.contract import (
    DROP_MISSING,
    ClosedFormForecaster,
    Forecaster,
    NoForecast,
    SeriesShape,
    check_shape,
    going_back,
)
from benchmark.forecasters.noise import NoiseWindows, draw
from benchmark.forecasters.resolve import build_forecaster, how_fitted, source_digest
from benchmark.forecasters.sameness import difference, forecast, off_alone, unreadable, unsaved

Check = Callable[[Forecaster, Mapping[str, Any], torch.Generator], str]
BATCH = 4
CELL_STEPS = 7
DEFAULT_SHAPES = (
    SeriesShape(lookback=336, horizon=48, channels=3, season=24),
    SeriesShape(lookback=336, horizon=400, channels=3, season=24),
    SeriesShape(lookback=336, horizon=1, channels=1, season=24),
)


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: what was checked, as a sentence.
        shape: on which sizes.
        problem: what is wrong; empty where nothing is.
    """

    check: str
    shape: SeriesShape
    problem: str


def check_forecaster(
    spec: Mapping[str, Any],
    where: str,
    shapes: tuple[SeriesShape, ...] = DEFAULT_SHAPES,
) -> list[Finding]:
    """Run every check on every shape.

    Args:
        spec: ``{class: ..., option: value}``.
        where: the file or command, for errors.
        shapes: the sizes to check at.

    Raises:
        UserError: the class cannot be found or built; no check is tried on what is not there.
    """
    findings = []
    for shape in shapes:
        for check in CHECKS:
            problem = _problem(check, spec, shape, where)
            sentence = (check.__doc__ or check.__name__).strip().rstrip(".")
            findings.append(Finding(sentence, shape, problem))
    return findings


def _problem(check: Check, spec: Mapping[str, Any], shape: SeriesShape, where: str) -> str:
    """What a check finds wrong with a forecaster, newly built and fitted; that it raises, too."""
    with told_by_line(f"{where}: model", own=bool(source_digest(spec, where))):
        forecaster = _built(spec, shape, where)
    try:
        return check(forecaster, spec, _fit_closed_form(forecaster))
    except NoForecast as error:  # there is nothing that the others could look at
        raise UserError(f"{where}: model", str(error)) from error
    except (Exception, SystemExit) as error:
        return text_by_line(error)


def _built(spec: Mapping[str, Any], shape: SeriesShape, where: str) -> Forecaster:
    _seed()
    return build_forecaster(spec, shape, where)


def _seed() -> None:
    """As a run does."""
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)


def _fit_closed_form(forecaster: Forecaster, *, masked: bool = False) -> torch.Generator:
    """Fit what is fitted so, itself or members of an ensemble; return what drew the windows."""
    generator = torch.Generator().manual_seed(7)
    for part in forecaster.modules():
        if isinstance(part, ClosedFormForecaster):
            train, validation = (
                NoiseWindows(part.shape, generator, masked=masked) for _ in range(2)
            )
            part.fit(train, validation)
    return generator


def _shape(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """A lookback (B, L, C) gives a forecast (B, H, C) of its dtype, all finite."""
    x, y = draw(f.shape, BATCH, generator)
    found = forecast(f, x)
    if found.shape != y.shape:
        return f"expected {tuple(y.shape)}, got {tuple(found.shape)}"
    if found.dtype != x.dtype:
        return f"expected {x.dtype}, got {found.dtype}"
    return "" if bool(torch.isfinite(found).all()) else "a forecast is not finite"


def _input_kept(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """The lookback is not written to."""
    x, _ = draw(f.shape, BATCH, generator)
    before = x.clone()
    forecast(f, x)
    return "" if torch.equal(x, before) else "forward changed its input in place"


def _deterministic(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """In evaluation mode the same lookback gives the same forecast, bit for bit."""
    x, _ = draw(f.shape, BATCH, generator)
    first, second = forecast(f, x), forecast(f, x)
    return "" if torch.equal(first, second) else f"differs by up to {difference(first, second):g}"


def _seeded(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """Under one seed the model and its forecasts in training come out the same."""
    x, y = draw(f.shape, BATCH, generator)
    other = _built(spec, f.shape, "check")
    _fit_closed_form(other)
    forecasts = []
    for each in (f, other):
        _seed()
        each.train()
        with torch.no_grad():
            forecasts.append(each.training_forecast(x, y))
    off = difference(*forecasts)
    cure = "draw from torch, numpy.random or random, which a run seeds, or seed your own generator"
    return "" if off == 0 else f"differs by up to {off:g}; {cure}"


def _gaps(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """A closed form can be fitted where values of the horizons are missing, that is NaN."""
    if not any(isinstance(part, ClosedFormForecaster) for part in f.modules()):
        return ""
    x, _ = draw(f.shape, BATCH, generator)
    try:
        _fit_closed_form(f, masked=True)
        finite = bool(torch.isfinite(forecast(f, x)).all())
    except Exception as error:
        return f"{text_by_line(error)}; {DROP_MISSING}"
    return "" if finite else f"then a forecast is not finite; {DROP_MISSING}"


def _alone(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """A window's forecast does not depend on the other windows of its batch."""
    x, _ = draw(f.shape, BATCH, generator)
    off = off_alone(f, x)
    return "" if off < 1e-4 else f"differs by up to {off:g}"


def _blind(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """A forecast does not depend on future values, not even on those seen in training mode."""
    x, y = draw(f.shape, BATCH, generator)
    # both start alike: what is learned from x alone is no fault; a copy could not hold a lock
    other = _built(spec, f.shape, "check")
    _fit_closed_form(other)
    other.load_state_dict(f.state_dict())
    forecasts = []
    for trained, change in ((f, 0.0), (other, 100.0)):
        y += change  # in place: x is a view of the memory that holds y, as in a run
        _seed()
        trained.train()
        with torch.no_grad():
            trained.training_forecast(x, y)
        forecasts.append(forecast(trained, x))
    off = difference(*forecasts)
    return "" if off == 0 else f"changes by up to {off:g} when the future changes"


def _gradient(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """In training a finite gradient reaches every trained parameter, and not all zero if C > 1."""
    if how_fitted(spec, "check") != "gradient":
        return ""
    parameters = {name: p for name, p in f.named_parameters() if p.requires_grad}
    x, y = draw(f.shape, BATCH, generator)
    f.train()
    found = f.training_forecast(x, y)
    check_shape(found, tuple(y.shape))
    with going_back():
        (found - y).square().mean().backward()  # type: ignore[no-untyped-call]
    missed = [
        name
        for name, p in parameters.items()
        if p.grad is None
        or not bool(torch.isfinite(p.grad).all())
        or (f.shape.channels > 1 and not bool(p.grad.any()))  # what relates channels needs two
    ]
    cure = "use it in forward, or leave it out; one that only some options need does no harm"
    return f"none reaches {', '.join(missed)}; {cure}" if missed else ""


def _saved(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """Saved weights, loaded into a newly built forecaster, give the same forecast."""
    x, _ = draw(f.shape, BATCH, generator)
    state = f.state_dict()
    what, cure = unreadable(state)
    if not what:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        torch.manual_seed(8)
        fresh = build_forecaster(spec, f.shape, "check")
        what, cure = unsaved(f, fresh, torch.load(buffer, weights_only=True), x)
    return f"{what}; {cure}" if what else ""


def _stateful(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """What training changes is in the state, so that it can go on where it was stopped."""
    if how_fitted(spec, "check") != "gradient":
        return ""
    f.train()
    before = beside_state(f)
    x, y = draw(f.shape, BATCH, generator)
    f.training_forecast(x, y)
    after = beside_state(f)
    changed = [name for name in before | after if before.get(name) != after.get(name)]
    cure = "register a buffer, or keep it in get_extra_state"
    return f"{', '.join(changed)} changes and is not; {cure}" if changed else ""


def _permuted(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """If channels are independent, permuting them permutes the forecast."""
    if not f.channel_independent:
        return ""
    x, _ = draw(f.shape, BATCH, generator)
    off = difference(forecast(f, x).flip(-1), forecast(f, x.flip(-1)))
    return "" if off < 1e-5 else f"differs by up to {off:g}"


def _steps(f: Forecaster, spec: Mapping[str, Any], generator: torch.Generator) -> str:
    """A cell run over a sequence, or once for several inputs, does what its step does."""
    f.eval()
    for cell in f.modules():
        if not isinstance(cell, Cell):
            continue
        x = torch.randn(BATCH, CELL_STEPS, cell.input_size, generator=generator)
        with torch.no_grad():
            slow, state = cell.sequential(x)
            off = difference(cell(x)[0], slow)
            for forked, each in zip(cell.fork(x, state).unbind(1), x.unbind(1), strict=True):
                off = max(off, difference(forked, cell.step(each, state)[0]))
        if not off < 1e-4:  # NaN is no smaller
            return f"{type(cell).__name__} differs from its step by up to {off:g}"
    return ""


CHECKS: tuple[Check, ...] = (
    _shape,
    _input_kept,
    _deterministic,
    _seeded,
    _gaps,
    _alone,
    _blind,
    _gradient,
    _saved,
    _stateful,
    _permuted,
    _steps,
)
