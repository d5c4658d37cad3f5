"""The loss of every test window, as the runs' folders keep it: what significance is judged by."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

ERRORS_FILE = "errors.npz"
_ARRAYS = {"mse": "squared", "mae": "absolute"}
_ROUNDING = 1e-5  # relative; the file keeps float32, the row float64


def read_losses(
    csv: Path, results: DataFrame, metric: Literal["mse", "mae"] = "mse"
) -> dict[str, NDArray[np.float64]]:
    """Read the error of every test window of the runs whose folders are still there.

    They are looked for in ``runs`` beside the CSV, and one folder up, where a suite's are. A folder
    whose errors do not give the row's score is of another run of the same configuration, made before
    or since, and is left out.

    Args:
        csv: the file that the results came from.
        results: as `benchmark.records.table.read_results` gives.
        metric: squared errors or absolute ones.

    Returns:
        For each such run, by its id: mean over steps and channels, scaled series ``(W,)``.

    Raises:
        UserError: a file of errors is damaged.
    """
    import numpy as np

    done = results[results["status"] == "done"]
    found = {}
    for run_id, score in zip(done["run_id"], done[metric], strict=True):
        for runs in (csv.parent / "runs", csv.parent.parent / "runs"):
            path = runs / run_id / ERRORS_FILE
            if path.is_file():
                losses = _read(path, _ARRAYS[metric])
                if math.isclose(np.mean(losses), score, rel_tol=_ROUNDING):
                    found[run_id] = losses
                    break
    return found


def _read(path: Path, array: str) -> NDArray[np.float64]:
    import numpy as np

    try:
        with open(path, "rb") as stream, np.load(stream) as arrays:
            errors = arrays[array]
            if "known" in arrays:  # targets are missing: the score is a mean over those there are
                known = arrays["known"]
                errors = np.where(known, errors * (known / known.mean()), 0.0)
            losses: NDArray[np.float64] = errors.mean(axis=1, dtype=np.float64)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        what = f"is damaged ({error})"
        raise UserError(str(path), what, "run that model again with --force") from error
    return losses
