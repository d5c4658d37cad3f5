"""Let coverage lead the search: ``python tests/fuzz/guided.py data --seconds 600``.

Atheris (libFuzzer) keeps each choice that reaches a line of the package that none before it did,
and makes the next of it. It feeds the choices that hypothesis makes of its bytes, so the files are
those of ``run.py``, and a fault is one that it would find: it ends the search with its traceback
and the file that shows it. Needs ``pip install atheris``, tried with 3.0.0 on Linux.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings

try:
    import atheris
except ImportError:
    sys.exit("error: atheris: is not installed; pip install atheris")

with atheris.instrument_imports(include=["benchmark"]):
    from fuzz_readers import READERS, attempt

BEGIN = 200
CHOICES = 4_096
"""How many files are tried first, and of how many random bytes each is made."""


def main() -> None:
    """Parse the command line and search until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=120, help="of the search")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder in which what reached new lines stays")
    told = parser.parse_args()
    reader = READERS[told.reader]
    warnings.simplefilter("error")
    folder = Path(tempfile.gettempdir(), f"guided-{told.reader}")  # stays: the process is ended
    folder.mkdir(exist_ok=True)

    @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(content=reader.contents)
    def search(content: bytes) -> None:
        try:
            attempt(reader, content, folder)
        except BaseException:
            sys.stderr.write(f"the file is {content!r}\n")
            raise

    corpus = told.corpus or folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        choices = random.Random(told.seed)  # of few bytes hypothesis makes no file
        for number in range(BEGIN):
            (corpus / f"begin{number}").write_bytes(choices.randbytes(CHOICES))
    words = [f"-max_total_time={told.seconds}", f"-seed={told.seed}", "-rss_limit_mb=2048"]
    words += [f"-max_len={2 * CHOICES}", "-len_control=0", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *words, str(corpus)], search.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
