"""Every mistake made with every model, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmark.data.load import Series
from benchmark.errors import UserError
from benchmark.forecasters.contract import forecasters_fault
from benchmark.forecasters.resolve import how_fitted, source_digest
from benchmark.harness.build import unfitted
from benchmark.harness.identity import identify
from benchmark.harness.pieces import Piece, made_anew
from benchmark.harness.spec import RunSpec
from benchmark.pitfalls.mistakes import (
    LEAST_SQUARES,
    MISTAKES,
    NAMES,
    Bench,
    Effect,
    filled_failure,
)


@dataclass(frozen=True)
class OverSeeds:
    """What one mistake does to one model's number, seed by seed.

    Attributes:
        seeds: of the model; what is not trained by gradient has one.
        effects: of each seed.
    """

    seeds: tuple[int, ...]
    effects: tuple[Effect, ...]

    @property
    def meaning(self) -> str:
        """What was done; where that differs by seed, of which seeds it is true."""
        seeds: dict[str, list[str]] = {}
        for seed, effect in zip(self.seeds, self.effects, strict=True):
            seeds.setdefault(effect.meaning, []).append(str(seed))
        if len(seeds) == 1:
            return self.effects[0].meaning
        common = self.effects[0].meaning.partition(": ")[0]
        told = (
            f"{meaning.removeprefix(f'{common}: ')} (seed {', '.join(those)})"
            for meaning, those in seeds.items()
        )
        return f"{common}: {'; '.join(told)}"


def measure(
    series: Series,
    horizon: int,
    specs: Sequence[RunSpec],
    companions: Sequence[Series] = (),
    on_start: Callable[[str, int], None] = lambda text, total: None,
    only: Collection[str] = NAMES,
    seeds: int = 1,
    piece: Piece = made_anew,
) -> list[OverSeeds]:
    """Make every mistake with least squares and with every model given.

    Args:
        series: the data.
        horizon: steps forecast.
        specs: models beside least squares, at their own lookbacks.
        companions: further data sets, for the mistake that needs several; those that are too short
            for the horizon are left out.
        on_start: told what is about to be measured, and how many such there are.
        only: which mistakes, of `NAMES`.
        seeds: how many of a model that is trained by gradient, from its own one on.
        piece: keeps what each mistake has come to.

    Raises:
        UserError: a model cannot be built or does not fit into the data, which has gaps, or
            training diverged or a forecast is not finite.
    """
    if np.isnan(series.values).any():
        what = "masks missing values, and these mistakes are measured on whole series"
        raise UserError(f"dataset {series.name}", what, "choose another data set")
    bench = Bench(series, horizon)
    models = (LEAST_SQUARES, *specs)
    for spec in models:  # what cannot be built is found before any training
        unfitted(spec, bench.task(spec.lookback), spec.name)
    chosen = [mistake for mistake in MISTAKES if mistake.__name__ in only]
    jobs = [(mistake, spec, _seeds(spec, seeds)) for mistake in chosen for spec in models]
    total = sum(len(own) for *_, own in jobs) + (filled_failure.__name__ in only)
    found: list[OverSeeds] = []
    for mistake, spec, own in jobs:
        by_seed: list[list[Effect]] = []
        for seed in own:
            title = f"{mistake.__name__.replace('_', ' ')}: {spec.name}"
            on_start(title + (f", seed {seed}" if len(own) > 1 else ""), total)
            one = spec.model_copy(update={"seed": seed})
            source = source_digest(one.model, one.name)
            more = {"spec": one, "source": source}
            of = [mistake.__name__, horizon, identify(one.name, bench.task(one.lookback), more)]
            with forecasters_fault(f"{spec.name} on {series.name}", own=bool(source)):
                make = partial(list[Effect], mistake(bench, one))  # a generator: fits nothing yet
                by_seed.append(piece(list[Effect], of, make))
        found += [OverSeeds(own, effects) for effects in zip(*by_seed, strict=True)]
    if filled_failure.__name__ in only:
        on_start("filled failure", total)
        found += _measure_failure(bench, companions, piece)
    return found


def _measure_failure(bench: Bench, companions: Sequence[Series], piece: Piece) -> list[OverSeeds]:
    lookback = LEAST_SQUARES.lookback
    others = [Bench(series, bench.horizon) for series in companions]
    benches = [bench, *(other for other in others if other.possible(LEAST_SQUARES, lookback))]
    tasks = [identify(each.series.name, each.task(lookback), {}) for each in benches]
    of = [filled_failure.__name__, bench.horizon, *tasks]
    effects = piece(list[Effect], of, partial(list[Effect], filled_failure(benches)))
    return [OverSeeds((LEAST_SQUARES.seed,), (effect,)) for effect in effects]


def _seeds(spec: RunSpec, seeds: int) -> tuple[int, ...]:
    """The seeds of a model; one of what is not trained by gradient."""
    trained = how_fitted(spec.model, spec.name) == "gradient"
    return tuple(range(spec.seed, spec.seed + (seeds if trained else 1)))
