"""Where the suite's own files lie, and where a user's go unless told otherwise.

In a checkout all of them lie beside the package. A wheel carries the suite's own within the package
(`pyproject.toml` puts them there), and a user's files have no business among installed code.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = not (_PACKAGE / "own").is_dir()
_OWN = _PACKAGE.parent if _CHECKOUT else _PACKAGE / "own"

DATASETS = _OWN / "datasets"
"""The data sets' cards, and the data set that ships with them."""

PUBLISHED = _OWN / "results" / "published.csv"
"""Figures of others, with their sources."""

REFERENCE = _OWN / "results" / "reference" / "etth1" / "results.csv"
"""The runs behind the reference leaderboard."""

SUITES = _PACKAGE / "configs" / "suites"
"""The YAMLs of the suites."""

RESULTS = _OWN / "results" if _CHECKOUT else Path("results")
"""Where results are written."""

_NO_HOME = Path(os.devnull, "no home folder")  # can never be made: as good as read-only

RESULTS_VARIABLE = "BENCHMARK_RESULTS"
"""The environment variable that names another folder for them."""


def is_installed(path: Path) -> bool:
    """Say whether a file lies among installed code, where nothing is to be written."""
    return not _CHECKOUT and path.absolute().is_relative_to(_PACKAGE)


def own_data_folder() -> Path:
    """Return where data sets are fetched to; it is there, unless it cannot be made."""
    if _CHECKOUT:
        return DATASETS
    folder = _users("data") / "datasets"
    with suppress(OSError):  # fetching says that it cannot be written to
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_folder() -> Path:
    """Return where the user's caches lie; it need not be there, nor be one that can be made."""
    return _users("cache")


def _users(kind: Literal["cache", "data"]) -> Path:
    import platformdirs  # who only compares results needs none

    ask = {"cache": platformdirs.user_cache_path, "data": platformdirs.user_data_path}[kind]
    try:
        folder = ask("ts-benchmark")
    except RuntimeError:  # a user without an entry, as in a container, and no $HOME
        return _NO_HOME
    return folder if folder.is_absolute() else _NO_HOME  # older versions return "~/..." then
