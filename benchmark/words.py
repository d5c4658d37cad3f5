"""Counts, times and commands as a person reads them in a table, a message or a file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def counted(number: int, noun: str) -> str:
    """Write how many there are of something, e.g. ``1 run``, ``2,545 windows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """Write names one after another, and how many there are beyond `most`.

    >>> listed(["HUFL", "HULL", "OT"], most=2)
    'HUFL, HULL and 1 more'
    """
    told, more = ", ".join(names[:most]), len(names) - most
    return f"{told} and {more} more" if more > 0 else told


def time_text(time: np.datetime64) -> str:
    """Write a time as data files do, e.g. ``2016-07-01 00:15:00``."""
    return str(time.astype("datetime64[s]")).replace("T", " ")


def command_line(*words: object, **options: object) -> str:
    """Write a command of ours as it is typed.

    >>> command_line("tune", "my gru.yaml", horizon=[24, 96], folds=None, budget=30)
    "benchmark tune 'my gru.yaml' --horizon 24 --horizon 96 --budget 30"

    Args:
        words: what follows ``benchmark``.
        options: by name; None is left out, and a list repeats the option.
    """
    typed = ["benchmark", *words]
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        typed += [word for one in values if one is not None for word in (f"--{name}", one)]
    return shlex.join(map(str, typed))
