"""The contract, over every model of ours and a spread of options; and that it catches faults."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.cells import Cell, State
from benchmark.errors import UserError
from benchmark.forecasters.check import CHECKS, Finding, check_forecaster
from benchmark.forecasters.contract import (
    ClosedFormForecaster,
    FitKind,
    Forecaster,
    SeriesShape,
    WindowSource,
)
from benchmark.harness.spec import config_names, design_names, find_config
from benchmark.plain_yaml import load_yaml

SEASON = 24


def problems(findings: list[Finding]) -> list[str]:
    return [f"{f.check} {f.shape}: {f.problem}" for f in findings if f.problem]


# --- ours ----------------------------------------------------------------------------------------


def small(spec: dict[str, Any]) -> dict[str, Any]:
    """The same model, narrow enough to be checked in no time."""
    width = {"hidden_size": min(spec["hidden_size"], 16)} if "hidden_size" in spec else {}
    return spec | width


def shapes_for(spec: dict[str, Any]) -> tuple[SeriesShape, ...]:
    """Small sizes that the options allow: whole patches, and the seasons that are repeated."""
    unit = math.lcm(spec.get("patch", 1), SEASON)
    lookback = unit * math.ceil(max(48, SEASON * spec.get("seasons", 1)) / unit)
    return (
        SeriesShape(lookback, horizon=30, channels=3, season=SEASON),
        SeriesShape(lookback, horizon=lookback + 12, channels=2, season=SEASON),
        SeriesShape(lookback, horizon=1, channels=1, season=SEASON),
    )


@pytest.mark.parametrize("name", [*config_names("models"), *design_names()])
def test_every_model_of_ours_keeps_the_contract(name: str) -> None:
    spec = load_yaml(find_config("models", name))["model"]
    findings = check_forecaster(small(spec), name, shapes_for(spec))
    assert len(findings) == 3 * len(CHECKS)
    assert not problems(findings)


def recurrent_options() -> list[dict[str, Any]]:
    """Each decoder with each way of reading; the other options turn over beside them."""
    others: dict[str, Iterator[Any]] = {
        "cell": itertools.cycle(["gru", "elman", "gru", "lstm", "elman"]),
        "normalise": itertools.cycle(["none", "last", "mean", "standard", "revin", "revin"]),
        "layers": itertools.cycle([1, 2]),
        "embedding": itertools.cycle(["linear", "relu", "none", "linear"]),
        "residual": itertools.cycle([False, False, True]),
        "dropout": itertools.cycle([0.0, 0.3, 0.0, 0.3, 0.3]),
        "linear_skip": itertools.cycle([False, True, True]),
    }
    found = []
    for decoder, channels, bidirectional, patch in itertools.product(
        ["direct", "flatten", "seq2seq", "segments"],
        ["mixing", "independent"],
        [False, True],
        [1, 4],
    ):
        options: dict[str, Any] = {name: next(values) for name, values in others.items()}
        options |= {"decoder": decoder, "channels": channels, "patch": patch, "hidden_size": 6}
        options["bidirectional"] = bidirectional and decoder != "segments"
        if decoder == "segments" and options["embedding"] == "none":
            options["embedding"] = "linear"
        if options["bidirectional"] and options["layers"] == 1 and decoder != "seq2seq":
            options["residual"] = False  # its only layer writes twice what it reads
        if decoder == "seq2seq" and patch == 4:
            options["teacher_forcing"] = 0.5
        found.append(options)
    return found


@pytest.mark.parametrize(
    "options", recurrent_options(), ids=lambda o: "-".join(map(str, o.values()))
)
def test_a_recurrence_keeps_the_contract_whatever_its_options(options: dict[str, Any]) -> None:
    shapes = (SeriesShape(12, 5, 3, season=4), SeriesShape(12, 16, 1, season=4))
    findings = check_forecaster({"class": "Recurrent"} | options, "spread", shapes)
    assert not problems(findings)


@pytest.mark.parametrize(
    "spec",
    [
        {"class": "Linear", "individual": True},
        {"class": "Linear", "normalise": "mean"},
        {"class": "Linear", "normalise": "standard", "individual": True},
        {"class": "DLinear", "individual": True, "kernel_size": 3},
        {"class": "DLinear", "kernel_size": 101},
        {"class": "Ridge", "batch_size": 5},
    ],
    ids=str,
)
def test_further_options_of_the_linear_models_keep_the_contract(spec: dict[str, Any]) -> None:
    assert not problems(check_forecaster(spec, "options", shapes_for(spec)))


# --- faults --------------------------------------------------------------------------------------


class Honest(Forecaster):
    """A linear map along time: what the broken ones below start from."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.map = nn.Linear(shape.lookback, shape.horizon)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


class BatchNormalised(Honest):
    """Learns from lookbacks in training mode without having been told a future: no fault."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.norm = nn.BatchNorm1d(shape.channels)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.norm(x.transpose(1, 2)).transpose(1, 2))


class HoldsALock(Honest):
    """What cannot be copied is no fault."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.lock = Lock()


class KeepsItsFit(ClosedFormForecaster):
    """Has after its fit what it had not before: no fault but where it is saved."""

    weights: Tensor

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.register_buffer("weights", torch.from_numpy(np.random.random(3)))

    def fit(self, train: WindowSource, validation: WindowSource) -> None:
        self.level = float(next(train.in_order(2))[1].nanmean())

    def forward(self, x: Tensor) -> Tensor:
        level = self.level + self.weights.sum()
        return x.new_zeros(len(x), self.shape.horizon, self.shape.channels) + level.to(x)


class WrongShape(Honest):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).transpose(1, 2)


class WrongType(Honest):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).double()


class NotFinite(Honest):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / x[:, -1:].clamp(max=0).sign().abs()


class WritesToItsInput(Honest):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.clamp_(-1, 1))


class DropsInEvaluation(Honest):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.5, training=True))


class DrawsForItself(Honest):
    """Its first weights come from no seed."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        weight = np.random.default_rng().random(self.map.weight.shape, dtype=np.float32)
        self.map.weight.data = torch.from_numpy(weight)


class NoiseOfNoSeed(Honest):
    """In training it adds noise that comes from no seed."""

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        return self(x) + float(np.random.default_rng().random())  # type: ignore[no-any-return]


class SeededInItsOwnWay(Honest):
    """Draws from NumPy's and Python's generators, which a run seeds: no fault."""

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        return self(x) + np.random.rand() + random.random()  # type: ignore[no-any-return]


class SmoothedInTraining(Honest):
    """Keeps a level of noisy lookbacks: what it learns from x alone is no look at the future."""

    level: Tensor

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.register_buffer("level", torch.zeros(()))

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        self.level = self.level * 0.5 + (x.mean() + np.random.rand()) * 0.5
        return super().training_forecast(x, y)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.level


class FitsOnAll(ClosedFormForecaster):
    """Knows of no missing value."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.register_buffer("mean", torch.zeros(()))

    def fit(self, train: WindowSource, validation: WindowSource) -> None:
        self.mean = torch.stack([y.mean() for _, y in train.in_order(8)]).mean()

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -1:].expand(-1, self.shape.horizon, -1) + self.mean


class RefusesGaps(FitsOnAll):
    def fit(self, train: WindowSource, validation: WindowSource) -> None:
        if any(y.isnan().any() for _, y in train.in_order(8)):
            raise ValueError("Input y contains NaN.")


class BatchMean(Honest):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(dim=0))


class BatchStatisticsInEvaluation(Honest):
    def forward(self, x: Tensor) -> Tensor:
        z = F.batch_norm(x.transpose(1, 2), None, None, training=True)
        return super().forward(z.transpose(1, 2))


class RemembersTheFuture(Honest):
    level: Tensor

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.register_buffer("level", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.level

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        self.level = y.mean()
        return self(x)  # type: ignore[no-any-return]


class ReadsBehindItsLookback(Honest):
    """Strides over a step too many of the memory that its lookback is a view of."""

    fitted: ClassVar[FitKind] = "none"

    def forward(self, x: Tensor) -> Tensor:
        steps = x.as_strided((len(x), x.shape[1] + 1, x.shape[2]), x.stride(), x.storage_offset())
        return super().forward(steps[:, 1:])


class UnusedParameter(Honest):
    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.spare = nn.Parameter(torch.zeros(3))


class ParameterTimesZero(UnusedParameter):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0 * self.spare.sum()


class InfiniteGradient(UnusedParameter):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.spare.sum().abs().sqrt()


class UnsavedWeight(Honest):
    noise: Tensor

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.register_buffer("noise", torch.randn(shape.channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.noise


class KeepsAnObject(Honest):
    """Puts what only code could read again into its state."""

    def get_extra_state(self) -> Any:
        return np.zeros(3)

    def set_extra_state(self, state: Any) -> None:
        pass


class CountsForItself(Honest):
    """Warms up over its first steps, and keeps their number where no state has it."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.steps = 0

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        self.steps += 1
        return self(x) * min(1.0, self.steps / 100)  # type: ignore[no-any-return]


class MixesChannels(Honest):
    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.channel_independent = True

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + x[..., :1])


class AnotherFastWay(Cell):
    """Its step halves the state, and its way through a sequence does not."""

    def initial_state(self, like: Tensor) -> State:
        return (like.new_zeros(len(like), self.hidden_size),)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        h = x + 0.5 * state[0]
        return h, (h,)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        outputs = x.cumsum(dim=1)
        return outputs, (outputs[:, -1],)


class HoldsSuchACell(Honest):
    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.cell = AnotherFastWay(3, 3)


class Raises(Honest):
    fitted: ClassVar[FitKind] = "none"

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no kernel for this shape")


class Overwritten(Honest):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.sigmoid(super().forward(x))
        y *= 2
        return y


class CannotBeFitted(ClosedFormForecaster):
    def fit(self, train: WindowSource, validation: WindowSource) -> None:
        raise RuntimeError("the matrix is singular")

    def forward(self, x: Tensor) -> Tensor:
        return x[:, -1:].expand(-1, self.shape.horizon, -1)


class CannotBeBuilt(Honest):
    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        raise RuntimeError("no such kernel")


SHAPE, KEPT, SAME, SEED, GAPS, ALONE, BLIND, GRADIENT, SAVED, STATE, PERMUTED, STEPS = (
    (check.__doc__ or "").strip().rstrip(".") for check in CHECKS
)

FAULTS: list[tuple[type[Forecaster], str, str]] = [
    (WrongShape, SHAPE, "expected (4, 48, 3), got (4, 3, 48)"),
    (WrongType, SHAPE, "expected torch.float32, got torch.float64"),
    (NotFinite, SHAPE, "a forecast is not finite"),
    (WritesToItsInput, KEPT, "forward changed its input in place"),
    (DropsInEvaluation, SAME, "differs by up to"),
    (DrawsForItself, SEED, "; draw from torch, numpy.random or random, which a run seeds, or "),
    (NoiseOfNoSeed, SEED, "; draw from torch, numpy.random or random, which a run seeds, or "),
    (
        FitsOnAll,
        GAPS,
        "then a forecast is not finite; horizons hold NaN where a value is missing: ",
    ),
    (RefusesGaps, GAPS, "ValueError: Input y contains NaN, at line "),
    (BatchMean, ALONE, "differs by up to"),
    (BatchStatisticsInEvaluation, ALONE, "differs by up to"),
    (RemembersTheFuture, BLIND, "when the future changes"),
    (ReadsBehindItsLookback, BLIND, "when the future changes"),
    (UnusedParameter, GRADIENT, "none reaches spare; use it in forward, or leave it out; one "),
    (ParameterTimesZero, GRADIENT, "none reaches spare"),
    (InfiniteGradient, GRADIENT, "none reaches spare"),
    (
        Overwritten,
        GRADIENT,
        "ForecastError: in forward a number that the gradient needs is written",
    ),
    (UnsavedWeight, SAVED, "of their size: noise is not in the state_dict; register it"),
    (KeepsAnObject, SAVED, "get_extra_state gives what cannot be kept as data alone (numpy."),
    (CountsForItself, STATE, "steps changes and is not; register a buffer, or "),
    (MixesChannels, PERMUTED, "differs by up to"),
    (HoldsSuchACell, STEPS, "AnotherFastWay differs from its step by up to"),
    (Raises, SHAPE, "RuntimeError: no kernel for this shape, at line "),
    (CannotBeFitted, SHAPE, "RuntimeError: the matrix is singular"),
]
ALONE_WRONG: set[type[Forecaster]] = {
    WritesToItsInput,
    RemembersTheFuture,
    UnusedParameter,
    ParameterTimesZero,
}
ALONE_WRONG |= {BatchMean, UnsavedWeight, MixesChannels, InfiniteGradient, HoldsSuchACell}
ALONE_WRONG |= {CountsForItself, Overwritten, DrawsForItself, NoiseOfNoSeed}
ALONE_WRONG |= {FitsOnAll, RefusesGaps, KeepsAnObject}


def spec_of(cls: type[Forecaster]) -> dict[str, Any]:
    return {"class": f"{cls.__module__}.{cls.__name__}"}


@pytest.mark.parametrize(("cls", "check", "says"), FAULTS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_broken_forecaster_is_caught(cls: type[Forecaster], check: str, says: str) -> None:
    wrong = [finding for finding in check_forecaster(spec_of(cls), "user") if finding.problem]
    assert any(says in finding.problem for finding in wrong if finding.check == check)
    if cls in ALONE_WRONG:
        assert {finding.check for finding in wrong} == {check}, "and nothing else is blamed"


def test_what_cannot_be_built_is_told_once_and_by_its_line() -> None:
    with pytest.raises(UserError) as caught:
        check_forecaster(spec_of(CannotBeBuilt), "user")
    told = str(caught.value)
    assert told.startswith("user: model: RuntimeError: no such kernel, at line ")
    assert told.endswith("""test_contract.py, 'raise RuntimeError("no such kernel")'""")


class Pair(Honest):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


class PairInTraining(Honest):
    def training_forecast(self, x: Tensor, y: Tensor) -> Any:
        return self(x), x


@pytest.mark.parametrize("cls", [Pair, PairInTraining])
def test_a_forecast_that_is_no_tensor_is_told_once_as_a_run_tells_it(cls: type[Forecaster]) -> None:
    what = "a forecast must be a tensor (B, H, C), but forward returns a tuple"
    with pytest.raises(UserError, match=re.escape(f"user: model: {what}")):
        check_forecaster(spec_of(cls), "user")


def test_there_is_a_broken_forecaster_for_every_check() -> None:
    assert {check for _, check, _ in FAULTS} == {
        (check.__doc__ or "").strip().rstrip(".") for check in CHECKS
    }


@pytest.mark.parametrize(
    "cls", [Honest, BatchNormalised, HoldsALock, SeededInItsOwnWay, SmoothedInTraining]
)
def test_an_honest_forecaster_of_a_users_passes(cls: type[Forecaster]) -> None:
    assert not problems(check_forecaster(spec_of(cls), "user"))


def test_what_is_not_saved_is_not_taken_for_a_look_at_the_future() -> None:
    wrong = [
        finding for finding in check_forecaster(spec_of(KeepsItsFit), "user") if finding.problem
    ]
    assert {finding.check for finding in wrong} == {SAVED}


def test_an_ensemble_of_what_is_not_trained_passes() -> None:
    members = [{"model": {"class": "LastValue"}, "copies": 2}]
    assert not problems(check_forecaster({"class": "Ensemble", "members": members}, "user"))
