"""Suites that are stopped: killed, interrupted, robbed of their workers, or two at once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from outcome import Outcome, Skipped, tried
from small_suite import SmallSuite, undisturbed_suite, wait_until

INTERRUPTED = 130


def killed(folder: Path, times: int, rng: random.Random) -> Outcome:
    """`kill -9` at random moments, then the same command again."""
    suite = SmallSuite(folder / "suite")
    undisturbed, seconds = undisturbed_suite(folder)
    kills = 0

    def once() -> int:
        """Kill until the suite gets through; each kill is one that was tried."""
        nonlocal kills
        while kills < times:
            process = suite.start()
            process.join(rng.uniform(0.05, 1.0) * seconds)
            if not process.is_alive():
                break
            process.kill()
            process.join()
            kills += 1
        assert suite.run() == 0, suite.output
        lost = suite.lost(undisturbed)
        assert not list((suite.results / "runs").glob(".*")), "leftovers"
        shutil.rmtree(suite.results)
        return lost

    rounds = []
    begin = time.monotonic()
    while kills < times:
        before = kills
        rounds.append((once(), kills - before))
    lost = sum(each for each, _ in rounds)
    survived = sum(count for each, count in rounds if not each)
    return Outcome("kill -9, then resumed", kills, survived, lost, time.monotonic() - begin)


def training_killed(folder: Path, times: int, rng: random.Random) -> Outcome:
    """`kill -9` in a training that has been kept; the same command goes on after an epoch."""
    calm = _slow_suite(folder / "calm")
    (calm.folder / "hurry").touch()
    assert calm.run() == 0, calm.output
    undisturbed = calm.rows()

    def once(number: int) -> int:
        suite = _slow_suite(folder / str(number))
        process = suite.start()
        wait_until(lambda: list(suite.results.glob("runs/.unfinished-*/epoch*.pt")), process)
        process.join(rng.uniform(0, 12))
        assert process.is_alive(), "the training must still be going on"
        process.kill()
        process.join()
        (suite.folder / "hurry").touch()
        assert suite.run() == 0, suite.output
        assert "goes on  slow toy 3 seed 1: after epoch " in suite.output
        assert not list((suite.results / "runs").glob(".*")), "leftovers"
        return suite.lost(undisturbed)

    return tried("kill -9 in a training, which goes on after an epoch", times, once)


def _slow_suite(folder: Path) -> SmallSuite:
    return SmallSuite(folder, ("slow",), (3,))


def two_at_once(folder: Path, times: int, rng: random.Random) -> Outcome:
    """Two suites at once on one results folder."""
    undisturbed, _ = undisturbed_suite(folder)

    def once(number: int) -> int:
        suite = SmallSuite(folder / str(number))
        first = suite.start()
        time.sleep(rng.uniform(0, 0.5))
        second = suite.start()
        assert [suite.wait(first), suite.wait(second)] == [0, 0], suite.output
        return suite.lost(undisturbed)

    return tried("two suites at once on one results folder", times, once)


def interrupted_once(folder: Path, times: int, rng: random.Random) -> Outcome:
    """Ctrl-C once: the run under way finishes, no other begins; then resumed."""
    return _interrupted(folder, times, rng, "Ctrl-C once", 1)


def interrupted_twice(folder: Path, times: int, rng: random.Random) -> Outcome:
    """Ctrl-C twice: it stops now; then resumed."""
    return _interrupted(folder, times, rng, "Ctrl-C twice", 2)


def _interrupted(folder: Path, times: int, rng: random.Random, name: str, presses: int) -> Outcome:
    undisturbed, _ = undisturbed_suite(folder)

    def once(number: int) -> int:
        suite = SmallSuite(folder / str(number))
        process = suite.start()
        wanted = rng.randint(1, len(undisturbed) // 2)
        wait_until(lambda: len(suite.folders()) >= wanted, process)
        for _ in range(presses):
            assert process.pid is not None
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.02)
        assert suite.wait(process) == INTERRUPTED, suite.output
        done = suite.folders()
        assert wanted <= len(done) < len(undisturbed), len(done)
        times_of = {path: (path / "record.json").stat().st_mtime_ns for path in done}
        assert suite.run() == 0, suite.output
        kept = sum((path / "record.json").stat().st_mtime_ns == t for path, t in times_of.items())
        return max(suite.lost(undisturbed), len(done) - kept)

    return tried(f"{name}, then resumed", times, once)


def workers_killed(folder: Path, times: int, rng: random.Random) -> Outcome:
    """A worker of `--jobs 2` is killed at a random moment."""
    return _workers(folder, times, rng, "a worker killed, --jobs 2", ("--jobs", "2"), "spawn_main")


def ray_workers_killed(folder: Path, times: int, rng: random.Random) -> Outcome:
    """A process of a Ray cluster, a worker or the one that holds the reports, is killed."""
    if find_spec("ray") is None:
        raise Skipped("Ray is not installed")
    options = ("--executor", "ray", "--jobs", "2")
    return _workers(folder, times, rng, "a worker killed, --executor ray", options, "ray::")


def _workers(
    folder: Path, times: int, rng: random.Random, name: str, options: tuple[str, ...], what: str
) -> Outcome:
    undisturbed, _ = undisturbed_suite(folder)

    def once(number: int) -> int:
        suite = SmallSuite(folder / str(number))
        process = suite.start(*options)
        assert process.pid is not None
        wanted = rng.randint(0, len(undisturbed) // 2)
        wait_until(lambda: len(suite.folders()) >= wanted and _below(process.pid, what), process)
        time.sleep(rng.uniform(0, 0.3))
        victims = _below(process.pid, what)
        assert victims, "no worker was there to kill"
        with suppress(ProcessLookupError):
            os.kill(rng.choice(victims), signal.SIGKILL)
        code = suite.wait(process)
        text = suite.output
        assert code == 0, text
        assert "Traceback" not in text, text
        return suite.lost(undisturbed)

    return tried(f"{name}, tried again", times, once)


def _below(root: int | None, what: str) -> list[int]:
    """The processes below one whose command line has some words; agents of Ray are none."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (path / "stat").read_text()
            parents[int(path.name)] = int(stat.rpartition(")")[2].split()[1])
            text = (path / "cmdline").read_bytes().replace(b"\0", b" ")
            commands[int(path.name)] = text.decode(errors="replace")
    found = []
    for pid, command in commands.items():
        above: int | None = pid
        while above is not None and above != root:
            above = parents.get(above)
        if above == root and pid != root and what in command and "Agent" not in command:
            found.append(pid)
    return found
