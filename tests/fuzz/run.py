"""Try as many made-up files as one likes: ``python tests/fuzz/run.py --inputs 100000``.

Prints, for each reader, how many files were tried, how many of them were sound, the longest time
that one took and how much the memory grew; ``--write`` keeps this as a table. A fault ends the run
with its traceback and the smallest file that shows it.
"""

from __future__ import annotations

import argparse
import faulthandler
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

from figures import Tried, write_figures
from fuzz_readers import READERS, attempt
from hypothesis import HealthCheck, Phase, given, seed, settings

MOST_GROWTH_MB = 500
SECONDS = 10.0  # of the processor, for one small file
HANG_SECONDS = 900  # by the clock, which a busy machine lets run on without us
AT_ONCE = 2_000  # examples of one search: hypothesis slows down over very long ones


INTRO = (
    "Files made up by hypothesis: sound ones with pieces cut, doubled or replaced, fields replaced "
    "by anything, words of a format in any order, and any bytes."
)


def fuzz(name: str, inputs: int, first_seed: int) -> Tried:
    """Try a reader on some files."""
    reader = READERS[name]
    tried = sound = 0
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        while tried < inputs:

            @seed(first_seed + tried)
            @settings(
                max_examples=min(AT_ONCE, inputs - tried),
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            )
            @given(content=reader.contents)
            def search(content: bytes) -> None:
                nonlocal tried, sound, slowest
                tried += 1
                faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
                begin = time.process_time()
                sound += attempt(reader, content, Path(folder))
                seconds = time.process_time() - begin
                slowest = max(slowest, seconds)
                assert seconds < SECONDS

            search()
    faulthandler.cancel_dump_traceback_later()
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert growth < MOST_GROWTH_MB, f"memory grew by {growth:.0f} MB"
    return Tried(name, tried, sound, slowest, growth)


def main() -> None:
    """Parse the command line and try the readers one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="files in all")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="PATH", help="Markdown file of the figures")
    given_ = parser.parse_args()
    warnings.simplefilter("error")
    found = []
    for name in given_.readers:
        inputs = -(-given_.inputs // len(given_.readers))
        found.append(fuzz(name, inputs, given_.seed))
        sys.stdout.write(found[-1].line() + "\n")
        sys.stdout.flush()
    if given_.write:
        write_figures(given_.write, "Made-up files, one reader after the other", INTRO, found)


if __name__ == "__main__":
    main()
