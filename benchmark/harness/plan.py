"""A run that is ready to start: its data loaded, its options checked, its name known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from benchmark.config import nearest
from benchmark.data.card import load_card
from benchmark.data.load import Series, load
from benchmark.data.task import Task
from benchmark.errors import UserError
from benchmark.forecasters.contract import FitKind
from benchmark.forecasters.resolve import how_fitted, resolve_model, source_digest
from benchmark.harness.identity import identify
from benchmark.harness.spec import RunSpec

LONGEST_RUN_ID = 128  # characters: what a record's id, and any file system, allows


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start: all that can be known before training.

    Attributes:
        spec: what is run.
        where: the file it came from, for errors.
        series: its data.
        run_id: names its folder; a hash of all that decides its numbers.
        config: hash of the same without the seed: rows that share it differ by chance alone.
        source: hash of the model's files, `source_digest`; empty where all of them are ours.
        fitted: how the model is, `how_fitted`.
    """

    spec: RunSpec
    where: str
    series: Series
    run_id: str
    config: str
    source: str
    fitted: FitKind

    @property
    def task(self) -> Task:
        """The data, split and scaled."""
        return _task(self.series, self.spec.lookback, self.spec.horizon)

    @property
    def remark(self) -> str:
        """What of its training can hardly be meant; empty where all can."""
        told = self.spec.training.remark if self.fitted == "gradient" else ""
        return told and f"{self.spec.name}: training.schedule {told}"

    def search_remarks(self) -> Iterator[str]:
        """Say which keys a search cannot try: of no use to the run, but to who tunes it later."""
        spec = self.spec
        if not spec.search:
            return
        _, options = resolve_model(spec.model, self.where)
        known = {"model": ["class", *options], "training": list(type(spec.training).model_fields)}
        for key in spec.search:
            part, _, rest = key.partition(".")
            option = rest.partition(".")[0]
            if option and option not in known[part]:
                cure = nearest(option, known[part])
                yield f"{spec.name}: search.{key} is no option; {cure}"

    @property
    def devices(self) -> int:
        """How many share the fit: one, where nothing is trained by gradient."""
        return self.spec.parallel.devices if self.fitted == "gradient" else 1


# The plans of a suite share what they can and keep no scaled copy each: a wide data set's copies
# for every model, horizon and seed would not fit into memory together.
_task = lru_cache(maxsize=4)(Task)


def plan(spec: RunSpec, where: str, series: Series | None = None) -> Plan:
    """Load the data, check the model's options and name the run.

    Args:
        spec: what is run.
        where: the file it came from, for errors.
        series: the spec's data set, where it is loaded already.

    Raises:
        UserError: anything wrong with the data, the model or its options.
    """
    _, options = resolve_model(spec.model, where)  # before anything is fetched for it
    series = series or load(load_card(spec.dataset))
    task = _task(series, spec.lookback, spec.horizon)
    fitted = how_fitted(spec.model, where)
    source = source_digest(spec.model, where)
    decisive = {
        "name": spec.name,
        "lookback": spec.lookback,
        "horizon": spec.horizon,
        "model": {"class": spec.model["class"], **options},
        "training": spec.training.model_dump() if fitted == "gradient" else None,
        "source": source,
    } | ({"refit": True} if spec.refit else {})
    config = identify(where, task, decisive)
    run_id = f"{spec.name}-{series.name}-{spec.horizon}-seed{spec.seed}-{config}"
    if len(run_id) > LONGEST_RUN_ID:
        what = f"makes the run's folder {run_id!r} longer than {LONGEST_RUN_ID} characters"
        raise UserError(f"{where}: name", what, "shorten it, or the data set's name")
    return Plan(spec, where, series, run_id, config, source, fitted)
