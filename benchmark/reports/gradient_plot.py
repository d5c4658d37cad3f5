"""How far back cells learn from, as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.reports.drawing import save_figure
from benchmark.reports.figures import WIDTH
from benchmark.reports.specs import DASHES, PALETTE, complete, lines_spec

FLOOR = 1e-12
"""Less is not drawn."""


def plot_gradient_flow(flows: Mapping[str, NDArray[np.float64]], path: Path) -> None:
    """Draw each cell's gradient by distance, relative to that of the last step.

    Args:
        flows: cell -> norms ``(S,)``, element d for the input d steps before the last.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.

    Raises:
        UserError: vl-convert is not installed, or the file cannot be written.
    """
    rows = [
        {"step": step, "value": value if value >= FLOOR else None, "series": name}
        for name, norms in flows.items()
        for step, value in enumerate((norms / norms[0]).tolist())
    ]
    colours = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(flows)}
    across, up = "steps before the last output", "gradient, relative to the last step"
    spec = lines_spec("step", across, up)
    dashes = [DASHES[place // len(PALETTE) % len(DASHES)] for place in range(len(flows))]
    spec["encoding"]["strokeDash"] = spec["encoding"]["color"] | {"scale": {"range": dashes}}
    spec["encoding"]["y"] |= {
        "scale": {"type": "log", "domain": [FLOOR, 2], "nice": False},
        "axis": {
            "values": [10.0**power for power in range(-12, 1, 2)],
            "labelExpr": "datum.value < 1 ? format(datum.value, '~e') : '1'",
        },
    }
    save_figure(complete(spec, rows, colours) | {"width": WIDTH}, path, "--plot")
