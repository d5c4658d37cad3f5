"""What a task of a Ray cluster does on its node: find the data, run, send the run's files back.

Nothing heavy is imported here: a task's process imports this module first, and has to say how many
threads it wants before torch is loaded.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from benchmark.data.card import DATA_VARIABLE, DatasetCard
from benchmark.data.fetch import locate
from benchmark.data.load import Series, load
from benchmark.errors import UserError
from benchmark.files import sweep, writing
from benchmark.harness.spec import Execution, RunSpec
from benchmark.places import cache_folder
from benchmark.suites.executor import use_threads

if TYPE_CHECKING:
    from benchmark.records.record import RunRecord
    from benchmark.training.report import Epoch

_known: dict[str, Series] = {}
"""What this process has read, by digest."""


def attempt_on_node(
    spec: RunSpec,
    where: str,
    run_id: str,
    card: DatasetCard,
    digest: str,
    content: list[Any],
    execution: Execution,
    threads: int,
    events: Any,
) -> tuple[RunRecord, dict[str, bytes]]:
    """Attempt a run that was planned elsewhere, in a folder that is gone afterwards.

    Args:
        spec: what is run.
        where: the file it came from, for errors.
        run_id: of the run that was planned.
        card: its data set.
        digest: the data set's.
        content: as for `series_here`.
        execution: how; its results folder is not this node's.
        threads: CPU threads.
        events: Ray's queue of reports.

    Returns:
        The row, and every file that the run left in the results folder, by its path there.

    Raises:
        UserError: the data set cannot be had here, or the run would be another one here.
    """
    use_threads(threads)
    from benchmark.suites.attempt import attempt_elsewhere

    def report(run_id: str, epoch: Epoch | None) -> None:
        events.put_nowait((run_id, epoch))

    series = series_here(card, digest, content)
    with TemporaryDirectory(prefix="ts-benchmark-") as folder, _ended_by_sigterm():
        aside = replace(execution, results=Path(folder))
        record = attempt_elsewhere(spec, where, run_id, series, aside, report)
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return record, files


def series_here(card: DatasetCard, digest: str, content: list[Any]) -> Series:
    """Return a data set from this node's copy, or from the one that came along.

    Args:
        card: the data set.
        digest: what its `Series.digest` must be.
        content: Ray's reference to the file's name and bytes; fetched only where it is needed, and
            then kept in the user's cache folder on this node.

    Raises:
        UserError: what came along is read as something else here.
        OSError: the cache folder cannot be written.
    """
    if digest not in _known:
        _known[digest] = _copy(card, digest) or _brought(card, digest, content)
    return _known[digest]


def _copy(card: DatasetCard, digest: str) -> Series | None:
    """The data set from the usual folders, if it is there; nothing is fetched."""
    try:
        series = load(card, progress=False) if locate(card) else None
    except UserError:
        return None  # a file of that name with other content
    return series if series and series.digest == digest else None


def _brought(card: DatasetCard, digest: str, content: list[Any]) -> Series:
    import ray

    folder = cache_folder() / "ray" / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with _data_in(folder):
        series = _copy(card, digest)  # an earlier task's
        if series is None:
            name, data = ray.get(content[0])
            sweep(folder)
            with writing(folder / name) as stream:
                stream.write(data)
            series = _copy(card, digest)
    if series is None:
        what = "is read as other data on this node than where the suite began"
        raise UserError(f"dataset '{card.name}'", what, "use one version of the benchmark")
    return series


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end this process: what Ray makes of it looks like a model's own sys.exit()."""
    handler = signal.getsignal(signal.SIGTERM)
    ours = handler is not None and current_thread() is main_thread()
    if ours:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def _data_in(folder: Path) -> Iterator[None]:
    """Look data files up in a folder first."""
    earlier = os.environ.get(DATA_VARIABLE)
    os.environ[DATA_VARIABLE] = str(folder)
    try:
        yield
    finally:
        if earlier is None:
            del os.environ[DATA_VARIABLE]
        else:
            os.environ[DATA_VARIABLE] = earlier
