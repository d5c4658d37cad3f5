"""Measure how time and memory grow with data and results: ``python tests/scale/run.py``.

Data sets and results are made up in a temporary folder. Each measurement is a process of its own,
so that its peak of memory is; what is measured is its time and that peak, the libraries' own share
(a process that only imports them) beside it. Writes ``scale_data`` and ``scale_results``, each as
``.csv`` and ``.md``, into ``results/reference``.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from made_up import HELD_OUT, records, write_dataset
from tables import Measured, write

ROOT = Path(__file__).resolve().parents[2]
SERIES = [
    (1_000_000, 8), (2_000_000, 8), (5_000_000, 8), (10_000_000, 8),
    (17_544, 100), (17_544, 300), (17_544, 862),
]  # fmt: skip
RUNS = [1_000, 10_000, 100_000]
LOOKBACK, HORIZON, STEPS = 96, 24, 20
TIMES = 3
_OF_DATA = (
    f"Windows of {LOOKBACK} + {HORIZON} steps; validation and test hold {HELD_OUT:,} values each, "
    f"or a tenth of fewer rows, and all else is train. run_gru trains {STEPS} steps on windows "
    "drawn from all of train, then scores all validation and test windows; fit_ridge is on all "
    "windows.",
)
_OF_RUNS = (
    f"The least of {TIMES} times, but for rebuild, which is done once: others' work on the machine "
    "makes a time longer, never shorter. compare reads two files of that many runs; "
    "leaderboard_files also writes all rows, as leaderboard.md and leaderboard.csv.",
)


def _task(name: str) -> object:
    from benchmark.data.card import load_card
    from benchmark.data.load import load
    from benchmark.data.task import Task

    return Task(load(load_card(name)), LOOKBACK, HORIZON)


def only_imports(name: str) -> None:
    """What every process of the data's takes."""
    import pandas  # noqa: F401

    import benchmark.data.task  # noqa: F401


def first_load(name: str) -> None:
    """Parse the CSV, check it, and keep it for the next start."""
    from benchmark.data.card import load_card
    from benchmark.data.load import load

    load(load_card(name))


def cached_load(name: str) -> None:
    """Map what was kept, and check its digest."""
    first_load(name)


def windows(name: str) -> None:
    """Scale the series and make the windows of all splits."""
    task = _task(name)
    for split in task.borders:  # type: ignore[attr-defined]
        task.windows(split)  # type: ignore[attr-defined]


def fit_ridge(name: str) -> None:
    """Fit Ridge on all train windows and choose its penalty on all validation windows."""
    from benchmark.forecasters.contract import SeriesShape
    from benchmark.forecasters.ridge import Ridge

    task = _task(name)
    shape = SeriesShape(LOOKBACK, HORIZON, task.channels, task.season)  # type: ignore[attr-defined]
    Ridge(shape).fit(task.windows("train"), task.windows("val"))  # type: ignore[attr-defined]


def run_gru(name: str) -> None:
    """A few steps of a GRU, then validation, test, costs and files, as ``benchmark run`` does."""
    settings = {
        "dataset": name, "lookback": LOOKBACK, "horizon": HORIZON, "training.epochs": 1,
        "training.epoch_steps": STEPS,
    }  # fmt: skip
    words = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    _benchmark("run", "gru", *words, "--device", "cpu", "--threads", "2")


def leaderboard(name: str) -> None:
    """Rank and print."""
    _benchmark("leaderboard", f"{name}/results.csv")


def leaderboard_files(name: str) -> None:
    """Rank, print, and write leaderboard.md and leaderboard.csv."""
    _benchmark("leaderboard", f"{name}/results.csv", "--output", f"{name}/board")


def compare(name: str) -> None:
    """Compare two files run by run."""
    _benchmark("compare", f"{name}/results.csv", f"{name}/others.csv")


def report(name: str) -> None:
    """Write the page of a results file."""
    from benchmark.cli.reporting import page_source
    from benchmark.reports.html.page import write_report

    path = Path(name) / "results.csv"
    write_report(path.with_name("report.html"), page_source(path, "Benchmark results"))


def rebuild(name: str) -> None:
    """Read the folders of all runs and write results.csv."""
    from benchmark.records.store import Store

    Store(Path(name) / "store").rebuild_csv()


OF_DATA = (only_imports, first_load, cached_load, windows, fit_ridge, run_gru)
OF_RUNS = (leaderboard, leaderboard_files, compare, report, rebuild)


def _benchmark(*words: str) -> None:
    from benchmark.cli import main

    sys.argv = ["benchmark", *words]
    try:
        main()
    except SystemExit as end:
        if end.code not in (None, 0, 1):  # 1: something regressed
            raise


def measure(job: Callable[[str], None], size: str, amount: int, name: str, at: Path) -> Measured:
    """Run one job in a process of its own."""
    words = [sys.executable, __file__, "--job", job.__name__, name]
    environment = os.environ | {
        "BENCHMARK_DATA": str(at), "BENCHMARK_RESULTS": str(at / "results"),
        "XDG_CACHE_HOME": str(at / "cache"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    begin = time.perf_counter()
    done = subprocess.run(
        words, env=environment, cwd=at, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    seconds = time.perf_counter() - begin
    told = done.stderr.decode().splitlines()
    if done.returncode:
        sys.exit("\n".join([f"{job.__name__} {size}:", *told]))
    found = Measured(job.__name__, size, amount, seconds, float(told[-1]))
    sys.stdout.write(f"{found.what:18} {size:>18} {seconds:8.1f} s {found.peak_mb:8.0f} MB\n")
    sys.stdout.flush()
    return found


def _of_data(
    sizes: list[tuple[int, int]], jobs: tuple[Callable[[str], None], ...]
) -> Iterator[Measured]:
    for rows, channels in sizes:
        with tempfile.TemporaryDirectory() as folder:
            name = write_dataset(Path(folder), rows, channels)
            size = f"{rows:,} x {channels}"
            for job in jobs:
                yield measure(job, size, rows * channels, name, Path(folder))


def _of_runs(sizes: list[int], jobs: tuple[Callable[[str], None], ...]) -> Iterator[Measured]:
    from benchmark.records.checksums import write_sums
    from benchmark.records.store import write_record
    from benchmark.records.table import write_csv

    for runs in sizes:
        with tempfile.TemporaryDirectory() as folder:
            at = Path(folder)
            for name, seed in (("results.csv", 0), ("others.csv", 1)):
                write_csv(at / name, records(runs, seed))
            for job in jobs:
                if job is rebuild:  # last: the disk is busy for a while
                    for record in records(runs):
                        run = at / "store" / "runs" / record.run_id
                        run.mkdir(parents=True)
                        write_record(run, record)
                        write_sums(run)
                # A second rebuild would find an index, and is another matter.
                times = 1 if job is rebuild else TIMES
                found = [measure(job, f"{runs:,} runs", runs, folder, at) for _ in range(times)]
                yield min(found, key=lambda each: each.seconds)


def _peak_mb() -> float:
    """Of this program alone, as Linux knows it: ``ru_maxrss`` would begin with the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


def main() -> None:
    """Parse the command line; measure, or do one job and tell its peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = {job.__name__: job for job in (*OF_DATA, *OF_RUNS)}
    parser.add_argument("--only", nargs="+", choices=every, default=list(every))
    parser.add_argument("--most-values", type=int, default=80_000_000, help="of a data set")
    parser.add_argument("--most-runs", type=int, default=100_000)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "reference")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        every[asked.job[0]](asked.job[1])
        sys.stderr.write(f"\n{_peak_mb()}\n")
        return

    of_data, of_runs = (
        tuple(job for job in jobs if job.__name__ in asked.only) for jobs in (OF_DATA, OF_RUNS)
    )
    series = [size for size in SERIES if math.prod(size) <= asked.most_values]
    found = list(_of_data(series if of_data else [], of_data))
    write(asked.output / "scale_data.md", "How it grows with data", _OF_DATA, found)
    sizes = [runs for runs in RUNS if runs <= asked.most_runs]
    found = list(_of_runs(sizes if of_runs else [], of_runs))
    write(asked.output / "scale_results.md", "How it grows with results", _OF_RUNS, found)


if __name__ == "__main__":
    main()
