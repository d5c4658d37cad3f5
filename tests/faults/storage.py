"""Disks that are full, refuse, or give back something else than was written."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outcome import Outcome, Skipped, tried
from small_suite import SmallSuite, undisturbed_suite, wait_until

DAMAGED = (
    "record.json", "errors.npz", "forecasts.npz", "quantiles.npz", "training.json", "run.yaml",
    "checkpoint.pt", "data.json", "SHA256SUMS",
)  # fmt: skip
"""The files of a run, each of which is damaged in turn."""

ROOM = "64m"


def full(folder: Path, times: int, rng: random.Random) -> Outcome:
    """The disk is full, sooner or later; then there is room and the suite is resumed."""
    undisturbed, _ = undisturbed_suite(folder)
    paths = (folder / "undisturbed" / "results").rglob("*")
    needed = sum(path.stat().st_blocks for path in paths) // 2  # kB: a block is 512 bytes

    def once(number: int) -> int:
        suite = SmallSuite(folder / str(number))
        kilobytes = round(rng.uniform(0.1, 0.8) * needed)
        with _disk(suite.results, f"size={kilobytes}k"):
            code, text = suite.run(), suite.output
            assert code == 2, f"{kilobytes} kB of {needed}: {text}"
            (error,) = (line for line in text.splitlines() if line.startswith("error: "))
            assert "the disk is full; free some space and run the same command again" in error
            done = {path.name for path in suite.folders()}
            _mount("-o", f"remount,size={ROOM}", str(suite.results))
            assert suite.run() == 0, suite.output
            assert done <= {path.name for path in suite.folders()}
            return suite.lost(undisturbed)

    return tried("full disk, then room", times, once)


def read_only(folder: Path, times: int, rng: random.Random) -> Outcome:
    """The results folder can be read alone, from the middle of a suite on; then written again."""
    undisturbed, _ = undisturbed_suite(folder)

    def once(number: int) -> int:
        suite = SmallSuite(folder / str(number))
        with _disk(suite.results, f"size={ROOM}"):
            process = suite.start()
            wanted = rng.randint(0, len(undisturbed) // 2)
            wait_until(lambda: len(suite.folders()) >= wanted, process)
            while _refused("-o", "remount,ro", str(suite.results)):
                assert process.is_alive(), "it was never made read-only"
            code, text = suite.wait(process), suite.output
            assert code == 2, text
            (error,) = (line for line in text.splitlines() if line.startswith("error: "))
            assert "cannot be written (Read-only file system); choose a folder" in error
            done = {path.name for path in suite.folders()}
            _mount("-o", "remount,rw", str(suite.results))
            assert suite.run() == 0, suite.output
            assert done <= {path.name for path in suite.folders()}
            return suite.lost(undisturbed)

    return tried("results folder that can be read alone, then written", times, once)


def flipped(folder: Path, times: int, rng: random.Random) -> Outcome:
    """A bit of a run's file is flipped."""

    def flip(content: bytes) -> bytes:
        place = rng.randrange(len(content))
        flip = bytes([content[place] ^ 1 << rng.randrange(8)])
        return content[:place] + flip + content[place + 1 :]

    return _damage(folder, times, rng, "a bit flipped in a run's folder", flip)


def cut(folder: Path, times: int, rng: random.Random) -> Outcome:
    """A run's file is cut short."""

    def shorten(content: bytes) -> bytes:
        return content[: rng.randrange(len(content))]

    return _damage(folder, times, rng, "a file cut short in a run's folder", shorten)


def csv_damaged(folder: Path, times: int, rng: random.Random) -> Outcome:
    """A bit of results.csv is flipped, or it is cut short: it is made anew from the folders."""
    suite = SmallSuite(folder / "suite")
    assert suite.run() == 0, suite.output
    undisturbed = suite.rows()

    def once(number: int) -> int:
        for path in (suite.results / "results.csv", suite.results / "small" / "results.csv"):
            content = path.read_bytes()
            place = rng.randrange(len(content))
            rest = bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]
            path.write_bytes(content[:place] + (rest if number % 2 else b""))
        assert suite.run() == 0, suite.output
        return suite.lost(undisturbed)

    return tried("results.csv flipped or cut short", times, once)


def data_damaged(folder: Path, times: int, rng: random.Random) -> Outcome:
    """A bit of the data set is flipped: refused by its checksum; then it is put back."""
    suite = SmallSuite(folder / "suite")
    assert suite.run() == 0, suite.output
    undisturbed = suite.rows()
    content = suite.data.read_bytes()

    def once(number: int) -> int:
        place = rng.randrange(len(content))
        flip = bytes([content[place] ^ 1 << rng.randrange(8)])
        suite.data.write_bytes(content[:place] + flip + content[place + 1 :])
        code, text = suite.run(), suite.output
        assert code == 2, text
        assert "toy.csv" in text, text
        assert "Traceback" not in text, text
        suite.data.write_bytes(content)
        assert suite.run() == 0, suite.output
        return suite.lost(undisturbed)

    return tried("a bit flipped in the data set", times, once)


def _damage(folder: Path, times: int, rng: random.Random, fault: str, harm: object) -> Outcome:
    """Damage one file after the other; each is found, named, set aside, and its run made again."""
    assert callable(harm)
    suite = SmallSuite(folder / "suite")
    assert suite.run("--checkpoint") == 0, suite.output
    undisturbed = suite.rows()
    runs = suite.results / "runs"

    def once(number: int) -> int:
        path = rng.choice(suite.folders()) / DAMAGED[number % len(DAMAGED)]
        path.write_bytes(harm(path.read_bytes()))
        code, text = suite.run("--checkpoint"), suite.output
        assert code == 0, text
        (warning,) = (line for line in text.splitlines() if line.startswith("warning: "))
        assert str(path.parent.relative_to(suite.folder)) in warning or str(path) in warning
        assert path.name in warning, warning
        assert "set aside as .damaged-" in warning, warning
        assert len(list(runs.glob(".damaged-*"))) == number + 1
        return suite.lost(undisturbed)

    return tried(fault, times, once)


@contextmanager
def _disk(path: Path, options: str) -> Iterator[None]:
    """A file system of its own in the place of a folder."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", options, "tmpfs", str(path))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _mount(*words: str) -> None:
    if why := _refused(*words):
        raise Skipped(f"mount is refused here ({why})")


def _refused(*words: str) -> str:
    """Why a file system was not mounted; empty where it was."""
    try:
        done = subprocess.run(["mount", *words], capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""
