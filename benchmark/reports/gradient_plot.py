"""How far back cells learn from, as a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.reports.drawing import save_figure
from benchmark.reports.figures import WIDTH
from benchmark.reports.specs import DASHES, PALETTE, complete, lines_spec

LOWEST = -12
FLOOR = 10.0**LOWEST
"""Less is not drawn."""


def plot_gradient_flow(flows: Mapping[str, NDArray[np.float64]], path: Path) -> None:
    """Draw each cell's gradient by distance, relative to that of the last step.

    Args:
        flows: cell -> norms ``(S,)``, element d for the input d steps before the last.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.

    Raises:
        UserError: vl-convert is not installed, or the file cannot be written.
    """
    relative = {name: (norms / norms[0]).tolist() for name, norms in flows.items()}
    rows = [
        {"step": step, "value": value if FLOOR <= value < math.inf else None, "series": name}
        for name, values in relative.items()
        for step, value in enumerate(values)
    ]
    colours = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(flows)}
    across, up = "steps before the last output", "gradient, relative to the last step"
    spec = lines_spec("step", across, up)
    dashes = [DASHES[place // len(PALETTE) % len(DASHES)] for place in range(len(flows))]
    spec["encoding"]["strokeDash"] = spec["encoding"]["color"] | {"scale": {"range": dashes}}
    drawn = [value for values in relative.values() for value in values if value < math.inf]
    top = max(2.0, *drawn)
    highest = math.floor(math.log10(top))
    every = 2 * math.ceil((highest - LOWEST) / 24)
    spec["encoding"]["x"]["axis"] = {"tickCount": min(WIDTH // 40, len(rows) // len(flows) - 1)}
    spec["encoding"]["y"] |= {
        "scale": {"type": "log", "domain": [FLOOR, top], "nice": False},
        "axis": {
            "values": [10.0**power for power in range(LOWEST, highest + 1, every)],
            "labelExpr": "datum.value == 1 ? '1' : format(datum.value, '~e')",
        },
    }
    save_figure(complete(spec, rows, colours) | {"width": WIDTH}, path, "--plot")
