"""What must change no forecast: the other windows of its batch, and being saved and read back.

`benchmark.forecasters.check` asks it of a class, and every run of a user's class of what it fitted.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.errors import text_by_line
from benchmark.forecasters.beside import beside_state
from benchmark.forecasters.contract import (
    Forecaster,
    ForecastError,
    QuantileForecaster,
    check_tensor,
)

FEW = 8
"""Windows that are forecast by themselves: spread over the batch, so that no neighbours are."""

REREAD = 1e-5
"""A share of a forecast's size: the same numbers through the same kernels, as a GPU adds them."""

ROUNDING = 0.02
"""A share of a forecast's size: some roundings to bfloat16, of which each is up to 0.004."""


@torch.no_grad()
def forecast(forecaster: Forecaster, x: Tensor) -> Tensor:
    """Forecast as after training: ``(B, L, C)`` -> ``(B, H, C)``.

    Raises:
        NoForecast: it is no tensor.
    """
    forecaster.eval()
    found = forecaster(x)
    check_tensor(found)
    return found.detach()  # type: ignore[no-any-return]


@torch.no_grad()
def _scored(forecaster: Forecaster, x: Tensor) -> Tensor:
    """What is scored of lookbacks ``(B, L, C)``, over which `forward` may write.

    ``(B, H, C)``, or its quantiles ``(B, Q, H, C)``.
    """
    if not isinstance(forecaster, QuantileForecaster):
        return forecast(forecaster, x.clone())
    forecaster.eval()
    found = forecaster.quantiles(x.clone())
    check_tensor(found)
    return found


def difference(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference."""
    return float((one - other).abs().max())


def off_alone(forecaster: Forecaster, x: Tensor) -> float:
    """How far forecasts of ``(B, L, C)`` at once are from those of a few of these windows alone.

    It is the largest difference as a share of the channel's largest forecast, or of one standard
    deviation of the train rows where that is larger: what a series' scale makes of a rounding.
    Infinite where a window alone has no finite forecast; 0 where they have none together, which is
    told elsewhere.

    Raises:
        ForecastError: the forecast of one window has another shape than that of several.
    """
    together = _scored(forecaster, x)
    if not together.isfinite().all():
        return 0.0
    some = torch.linspace(0, len(x) - 1, min(FEW, len(x)), device=x.device).long()
    alone = [_scored(forecaster, x[number : number + 1]) for number in some.tolist()]
    for one in alone:
        if one.shape != together[:1].shape:
            what = f"the forecast of one window must have the shape {tuple(together[:1].shape)}"
            cure = "squeeze() takes a batch of one away: name the dimension"
            raise ForecastError(f"{what}, but has {tuple(one.shape)}; {cure}")
    return _share(torch.cat(alone), together[some], together)


def check_alone(forecaster: Forecaster, x: Tensor) -> None:
    """Refuse a forecaster whose forecasts of windows ``(B, L, C)`` depend on more than the window.

    Batches of an evaluation are windows that follow one another: the others hold the future.

    Raises:
        ForecastError: they do.
    """
    off = off_alone(forecaster, x)
    if off <= ROUNDING:
        return
    first, again = _scored(forecaster, x), _scored(forecaster, x)
    if _share(first, again, first) > ROUNDING:
        what = "a window must have one forecast, but made once more it is another"
        cure = "keep nothing on self from one call to the next, and draw no numbers in eval mode"
    else:
        what = "a forecast must depend on its window alone, but without the other windows of "
        what += f"its batch it differs by {off:.2g} of its size"
        cure = "the first dimension is the batch: set batch_first=True, and take no mean over it"
    raise ForecastError(f"{what}; {cure}")


def unreadable(state: Mapping[str, Any]) -> tuple[str, str]:
    """Say what of a state takes more than data to be read back, and the cure.

    Returns:
        Both empty where `torch.load` reads all of it without running code.
    """
    others = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    stream = io.BytesIO()
    try:
        torch.save(others, stream)
        stream.seek(0)
        torch.load(stream, weights_only=True)
    except Exception as error:  # of pickling, whatever an object makes of it
        refused = re.search(r"GLOBAL (\S+)", str(error))
        name = refused[1] if refused else type(error).__name__
        what = f"get_extra_state gives what cannot be kept as data alone ({name})"
        return what, "give tensors, numbers, texts, and lists or dicts of them"
    return "", ""


def unsaved(
    forecaster: Forecaster, fresh: Forecaster, state: Mapping[str, Any], x: Tensor
) -> tuple[str, str]:
    """Say what of a forecaster its saved state does not bring back, and the cure.

    Args:
        forecaster: the one whose state it is.
        fresh: a newly built one, which the state is put into.
        state: as it was read back.
        x: a few lookbacks ``(B, L, C)``.

    Returns:
        Both empty where the two forecast the same.
    """
    cure = "register it in __init__ (nn.ModuleList, register_buffer), or use get_extra_state"
    try:
        fresh.load_state_dict(state)
        again = _scored(fresh, x)
    except Exception as error:  # whatever a model makes of what it has not
        told = " ".join(str(error).split()) if isinstance(error, RuntimeError) else ""
        reason = f"{told:.200}" or text_by_line(error)
        return f"what is saved does not make the model again ({reason})", cure
    first = _scored(forecaster, x)
    off = _share(first, again, first)
    if not off > REREAD:
        return "", ""
    before, after = beside_state(forecaster), beside_state(fresh)
    names = sorted(name for name in before | after if before.get(name) != after.get(name))
    held = f"{', '.join(names)} is not in the state_dict" if names else "not all is in it"
    what = f"made again from what is saved, its forecasts differ by {off:.2g} of their size"
    return f"{what}: {held}", cure


def _share(one: Tensor, other: Tensor, of: Tensor) -> float:
    """The largest difference, as a share of each channel's largest value, of at least 1."""
    size = of.abs().flatten(0, -2).amax(dim=0).clamp(min=1.0)
    off: Tensor = ((one - other).abs() / size).nan_to_num(nan=math.inf, posinf=math.inf)
    return float(off.max())
