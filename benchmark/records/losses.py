"""The loss of every test window, as the runs' folders keep it: what significance is judged by."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

ERRORS_FILE = "errors.npz"
_ROUNDING = 1e-5  # relative; the file keeps float32, the row float64


def read_losses(csv: Path, results: DataFrame) -> dict[str, NDArray[np.float64]]:
    """Read the squared error of every test window of the runs whose folders are still there.

    They are looked for in ``runs`` beside the CSV, and one folder up, where a suite's are. A folder
    whose errors do not give the row's MSE is of another run of the same configuration, made before
    or since, and is left out.

    Args:
        csv: the file that the results came from.
        results: as `benchmark.records.table.read_results` gives.

    Returns:
        For each such run, by its id: mean over steps and channels, scaled series ``(W,)``.

    Raises:
        UserError: a file of errors is damaged.
    """
    import numpy as np

    done = results[results["status"] == "done"]
    found = {}
    for run_id, mse in zip(done["run_id"], done["mse"], strict=True):
        for runs in (csv.parent / "runs", csv.parent.parent / "runs"):
            path = runs / run_id / ERRORS_FILE
            if path.is_file():
                losses = _read(path)
                if math.isclose(np.mean(losses), mse, rel_tol=_ROUNDING):
                    found[run_id] = losses
                    break
    return found


def _read(path: Path) -> NDArray[np.float64]:
    import numpy as np

    try:
        with open(path, "rb") as stream, np.load(stream) as arrays:
            losses: NDArray[np.float64] = arrays["squared"].mean(axis=1, dtype=np.float64)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        what = f"is damaged ({error})"
        raise UserError(str(path), what, "run that model again with --force") from error
    return losses
