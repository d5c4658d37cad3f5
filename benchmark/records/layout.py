"""What the files and folders of results are called, in one place.

::

    results.csv            every run of the folder, one a row
    runs/<run id>/         one run, whole or not at all
        run.yaml           its configuration, resolved
        record.json        its row
        errors.npz         the errors of its test windows
        forecasts.npz      a few test windows, as they were forecast
        quantiles.npz      what makes quantiles of a forecast
        training.json      an epoch of its training an entry
        checkpoint.pt      its weights, where they were asked for
        data.json          what they need to know of the data
        traceback.txt      of a run that failed
    runs/.unfinished-<run id>/   how far its training is, until it is done
    <suite>/results.csv    the runs of one suite
"""

from __future__ import annotations

import os
from pathlib import Path

RESULTS = "results.csv"
RUNS = "runs"

CONFIG = "run.yaml"
RECORD = "record.json"
ERRORS = "errors.npz"
FORECASTS = "forecasts.npz"
QUANTILES = "quantiles.npz"
TRAINING = "training.json"
WEIGHTS = "checkpoint.pt"
DATA = "data.json"
TRACEBACK = "traceback.txt"
UNFINISHED = ".unfinished-"


def run_folders(csv: Path) -> tuple[Path, Path]:
    """Return where the runs of a CSV may lie: beside it, or beside the folder of its suite."""
    folder = csv.parent
    if folder.name in ("", ".."):  # such a path does not name the folder above
        folder = Path(os.path.abspath(folder))
    return csv.parent / RUNS, folder.parent / RUNS
