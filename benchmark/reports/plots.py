"""Figures for a page or a paper, drawn with matplotlib where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UserError

FLOOR = 1e-12


def plot_gradient_flow(flows: Mapping[str, NDArray[np.float64]], path: Path) -> None:
    """Draw each cell's gradient by distance, relative to that of the last step.

    Args:
        flows: cell -> norms ``(S,)``, element d for the input d steps before the last.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise UserError("--plot", "matplotlib is not installed", "pip install matplotlib") from None
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, norms) in enumerate(flows.items()):
        relative = norms / norms[0]
        relative = np.where(relative < FLOOR, np.nan, relative)
        style = ("-", "--", ":")[number // 10 % 3]
        axes.semilogy(np.arange(len(norms)), relative, style, label=name, linewidth=1.6)
    axes.set_xlabel("steps before the last output")
    axes.set_ylabel("gradient, relative to the last step")
    axes.set_ylim(FLOOR, 2)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, ncols=2, fontsize="small")
    try:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except (OSError, ValueError) as error:
        raise UserError(f"--plot {path}", str(error), "name a .svg, .png or .pdf file") from None
