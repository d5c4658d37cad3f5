"""A finished run as a folder that plain torch can use, on a machine without this package.

    model.pt2       the model, made a graph by ``torch.export``; scaling is inside
    metadata.json   channels, time step, sizes, versions
    README.md       how to use them, in a few lines

The graph holds torch's own operators only, so cells take their plain path in it.

Shapes: B batch, L lookback, H horizon, C channels.
"""

from __future__ import annotations

import io
import json
import platform
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from benchmark import __version__
from benchmark.cells.native import switched_off
from benchmark.data.frequency import SECONDS
from benchmark.data.rows import time_column
from benchmark.errors import UserError
from benchmark.evaluation.original import OriginalUnits
from benchmark.files import storage_faults, sweep, writing
from benchmark.harness.saved import SavedRun

MODEL, METADATA, README = "model.pt2", "metadata.json", "README.md"

TOLERANCE = 1e-4
"""Of the exported model's forecasts, from ours; scaled."""

READ = """\
import {modules}
facts = json.load(open("metadata.json"))
table = list(csv.DictReader(open("input.csv")))
"""

CHECK = """\
texts = [row[facts["time_column"]] for row in table[-facts["lookback"]:]]
parts = [[int(text[:4]), *map(int, re.findall(r"\\d\\d?", text[4:]))] for text in texts]
times = [datetime.datetime(*each[:6]) for each in parts]  # year, month, day, hour, ...
step = datetime.timedelta(seconds={seconds})
assert all(b - a == step for a, b in zip(times, times[1:])), "a time is absent"
"""
"""Where all steps are of one length."""

TRIMMED = """\
while not any(table[-1][c] for c in facts["channels"]):  # it begins after the last value
    table.pop()
"""

PLAIN = """\
rows = [[float(row[c]) for c in facts["channels"]] for row in table[-facts["lookback"]:]]
"""

MASKED = """\
cells = [[row[c] for c in facts["channels"]] for row in table]
rows = [facts["train_mean"]]
for row in cells:  # an empty cell is the last value before it
    rows.append([float(cell or held) for cell, held in zip(row, rows[-1])])
rows = rows[1:]
"""
"""Where the data set masks missing values: they are read as in training."""

FORECAST = """\
model = torch.export.load("model.pt2").module()
x = torch.tensor([rows[-facts["lookback"]:]], dtype=torch.float64)
forecast = model(x)["forecast"][0]  # (horizon, channels)
"""

GAPS = {
    "error": "",
    "interpolate": " Every cell of `input.csv` must hold a number, and its times be one step apart:"
    " in the data it was fitted on, at most {limit} missing values in a row were filled, linearly"
    " between those around them.",
    "mask": " An empty cell of `input.csv` is read as the last value before it, and without one as"
    " the train rows' mean, as in training. Where a time is absent, put a row of empty cells. Rows"
    " at its end without any value are left out, so the forecast begins after the last value.",
}
"""What the page says of missing values, by what the data set's card does."""


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Attributes:
        any_batch: whether it forecasts any number of lookbacks at once, instead of one.
        outputs: what it returns, by name.
    """

    any_batch: bool
    outputs: tuple[str, ...]


def export(run: SavedRun, folder: Path) -> Exported:
    """Write a run's model for use without this package, after comparing its forecasts with ours.

    Raises:
        UserError: torch cannot export the model, what it exports forecasts otherwise, or the folder
            cannot be written, or holds files of the user's.
    """
    if folder.is_dir():
        sweep(folder)  # what an export that was killed has left
        if any(folder.iterdir()) and not (folder / MODEL).is_file():
            raise UserError(str(folder), "holds files, and no earlier export", "name a new folder")
    x = _lookbacks(run)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about its own RNN modules
        with switched_off():
            program, any_batch = _trace(run, x)
        file = io.BytesIO()
        torch.export.save(program, file)
        file.seek(0)
        loaded = torch.export.load(file).module()
        outputs = tuple(run.model(x))
        for batch in (1, 2, len(x)) if any_batch else (1,):
            _compare(run, loaded(x[:batch]), run.model(x[:batch]))
    exported = Exported(any_batch, outputs)
    with storage_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # All three are written before any is in place, the model first: by it one knows an export.
        with (
            writing(folder / README) as readme,
            writing(folder / METADATA) as metadata,
            writing(folder / MODEL) as model,
        ):
            readme.write(_readme(run, exported).encode())
            text = json.dumps(_metadata(run, exported), indent=2, ensure_ascii=False)
            metadata.write(f"{text}\n".encode())
            model.write(file.getvalue())
    return exported


def _lookbacks(run: SavedRun) -> Tensor:
    """Three lookbacks like those the model was fitted on ``(3, L, C)``."""
    generator = torch.Generator().manual_seed(0)
    size = 3, run.spec.lookback, len(run.data.channels)
    noise = torch.randn(size, generator=generator, dtype=torch.float64)
    return noise * run.model.scale + run.model.mean


def _trace(run: SavedRun, x: Tensor) -> tuple[ExportedProgram, bool]:
    """Make a graph of the model, and say whether its batch is free.

    Tracing runs the model's own code on symbols, so it may end in any exception.
    """
    batch = torch.export.Dim("batch")
    try:
        return _graph(run.model, x[:2], ({0: batch},)), True
    except Exception:  # a size in it depends on the batch
        pass
    try:
        return _graph(run.model, x[:1], None), False
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        what = f"torch.export cannot export it ({type(error).__name__}: {lines[0]:.200})"
        raise UserError(f"run {run.run_id}", what, "use it by benchmark forecast") from error


def _graph(model: OriginalUnits, x: Tensor, free: Any) -> ExportedProgram:
    return torch.export.export(model, (x,), dynamic_shapes=free, strict=False)


def _compare(run: SavedRun, theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> None:
    for name, part in ours.items():
        off = ((theirs[name] - part) / run.model.scale).abs()
        apart = float((off[..., run.model.told] if name in run.model.ends else off).max())
        if not apart <= TOLERANCE:
            what = f"exported, its {name} is {apart:.3g} scaled units from ours"
            raise UserError(f"run {run.run_id}", what, "use it by benchmark forecast")


def _metadata(run: SavedRun, exported: Exported) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "model": run.spec.name,
        "dataset": run.data.card.name,
        "time_column": time_column(run.data.card),
        "channels": run.data.channels,
        "frequency": run.data.card.frequency,
        "missing": run.data.card.missing,
        "train_mean": run.data.mean,
        "lookback": run.spec.lookback,
        "horizon": run.spec.horizon,
        "batch": "any" if exported.any_batch else 1,
        "input": "float64 (batch, lookback, channels)",
        "outputs": dict.fromkeys(exported.outputs, "float64 (batch, horizon, channels)"),
        "versions": {
            "ts-benchmark": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def _readme(run: SavedRun, exported: Exported) -> str:
    interval = ""
    if len(exported.outputs) > 1:
        interval = " `lo80` and `hi80` are the ends of its 80% interval."
        if without := run.without():
            interval += f" They are NaN where there is none ({without})."
    card = run.data.card
    seconds = SECONDS.get(card.step.unit, 0)
    trimmed, rows = (TRIMMED, MASKED) if card.missing == "mask" else ("", PLAIN)
    modules, check = ["csv", "json", "torch"], ""
    if seconds:
        modules += ["datetime", "re"]
        check = CHECK.format(seconds=seconds * card.step.count)
    usage = READ.format(modules=", ".join(sorted(modules))) + trimmed + check + rows + FORECAST
    gaps = GAPS[card.missing].format(limit=card.interpolate_limit)
    batch = "Any number of lookbacks" if exported.any_batch else "One lookback"
    return (
        f"# {run.run_id}\n\n"
        f"`{run.spec.name}`, fitted on `{card.name}` by ts-benchmark {__version__}: from "
        f"the last {run.spec.lookback} rows of {len(run.data.channels)} channels (frequency "
        f"{card.frequency}) to the next {run.spec.horizon}. It needs nothing but torch "
        f"(made with {torch.__version__}):\n\n"
        f"```python\n{usage}```\n\n"
        f"In and out are the data's own units. {batch} may be given at once. `forecast` is the "
        f"point forecast.{interval}{gaps} `metadata.json` names the channels in their order.\n"
    )
