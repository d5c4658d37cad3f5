"""The loss of every test window, as the runs' folders keep it: what significance is judged by."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmark.errors import UserError
from benchmark.records.arrays import damaged, read_arrays
from benchmark.records.folder import check_own
from benchmark.records.layout import ERRORS, run_folders
from benchmark.records.store import to_stderr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    Metric = Literal["mse", "mae"]
    Losses = Mapping[str, NDArray[np.float64]]

_ARRAYS = {"mse": "squared", "mae": "absolute"}
_ROUNDING = 1e-5  # relative; the file keeps float32, the row float64


def read_losses(
    csv: Path,
    results: DataFrame,
    metric: Metric = "mse",
    warn: Callable[[str], None] = to_stderr,
) -> dict[str, NDArray[np.float64]]:
    """Read the error of every test window of the runs whose folders are still there.

    They are looked for in ``runs`` beside the CSV, and one folder up, where a suite's are. A folder
    whose errors do not give the row's score is of another run of the same configuration, made
    before or since, and is left out; so is one with another number of windows than the others have
    under the same protocol.

    Args:
        csv: the file that the results came from.
        results: as `benchmark.records.table.read_results` gives.
        metric: squared errors or absolute ones.
        warn: told, in one line, of each file of errors that is damaged or leads elsewhere: its run
            is left out. Who reads files twice takes `once`.

    Returns:
        For each such run, by its id: mean over steps and channels, scaled series ``(W,)``.

    Raises:
        UserError: the folder of all runs cannot be read.
    """
    import numpy as np

    done = results[results["status"] == "done"]
    scores = dict(zip(done["run_id"].tolist(), done[metric].tolist(), strict=True))
    found: dict[str, NDArray[np.float64]] = {}
    for runs in run_folders(csv):
        kept = _names(runs)  # one look, not one for every row
        for run_id in sorted(scores.keys() & set(kept) - found.keys()):
            path = runs / run_id / ERRORS
            if path.is_file():
                try:
                    losses = _read(path, _ARRAYS[metric])
                except UserError as error:
                    warn(f"{error}; until then its row is judged without its windows")
                    continue
                if math.isclose(np.mean(losses), scores[run_id], rel_tol=_ROUNDING):
                    found[run_id] = losses
    return _of_the_same_windows(found, done)


def once() -> Callable[[str], None]:
    """Warn on stderr, of each fault once: files are read by both metrics, and for both sides."""
    return cache(to_stderr)


def _of_the_same_windows(
    found: dict[str, NDArray[np.float64]], done: DataFrame
) -> dict[str, NDArray[np.float64]]:
    """Leave out those of another number of windows than the most of their protocol have."""
    protocols = dict(zip(done["run_id"].tolist(), done["fingerprint"].tolist(), strict=True))
    lengths: dict[str, Counter[int]] = defaultdict(Counter)
    for run_id, losses in found.items():
        lengths[protocols[run_id]][len(losses)] += 1
    usual = {protocol: counts.most_common(1)[0][0] for protocol, counts in lengths.items()}
    return {run: own for run, own in found.items() if len(own) == usual[protocols[run]]}


def window_losses(errors: NDArray[Any], known: NDArray[Any] | None) -> NDArray[np.float64]:
    """Average over channels, so weighed that the mean over windows is the score.

    Args:
        errors: mean over each window's steps ``(W, C)``.
        known: how many targets that is a mean of ``(W, C)``, where some are missing: the score is a
            mean over those there are.

    Returns:
        ``(W,)``.
    """
    import numpy as np

    if known is not None:
        errors = np.where(known, errors * (known / known.mean()), 0.0)
    losses: NDArray[np.float64] = errors.mean(axis=1, dtype=np.float64)
    return losses


def _names(runs: Path) -> list[str]:
    try:
        return os.listdir(runs)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise UserError(str(runs), what, "make it readable") from None


def _read(path: Path, array: str) -> NDArray[np.float64]:
    check_own(path.parent)
    arrays = read_arrays(path, {array: "f2"}, {"known": "iu2"})
    errors, known = arrays[array], arrays.get("known")
    if not errors.size:
        raise damaged(path, "it holds no errors")
    if known is not None and (known.shape != errors.shape or known.min() < 0 or not known.any()):
        raise damaged(path, "'known' does not count the errors")
    return window_losses(errors, known)
