"""Writes a figure's Vega-Lite specification as a file for a page or a paper."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from benchmark.errors import UserError
from benchmark.files import storage_faults
from benchmark.reports.specs import Spec

PIXELS = 3  # a PNG's, for each of the figure's
CONFIG = {
    "background": "white",
    "view": {"stroke": None},
    "axis": {
        "gridColor": "#e4e4e4",
        "domainColor": "#888",
        "tickColor": "#888",
        "titleFontWeight": "normal",
    },
    "title": {"anchor": "start", "frame": "group", "fontWeight": "normal"},
    "legend": {"columns": 4},
}


def check_drawing(option: str) -> None:
    """Find out, before work that is to be drawn, whether it can be.

    Raises:
        UserError: vl-convert is not installed.
    """
    if not find_spec("vl_convert"):
        cure = "pip install 'ts-benchmark[report]'"
        raise UserError(option, "vl-convert is not installed", cure)


def save_figure(spec: Spec, path: Path, option: str) -> None:
    """Draw a specification into a file, and make its folder.

    Args:
        spec: with its data.
        path: its ending (.svg, .png, .pdf) decides the format.
        option: what asked for the figure.

    Raises:
        UserError: vl-convert is not installed, or the file cannot be written.
    """
    check_drawing(option)
    import vl_convert

    spec = {"config": CONFIG, **spec}
    written: dict[str, Callable[[], bytes]] = {
        ".svg": lambda: vl_convert.vegalite_to_svg(spec).encode(),
        ".png": lambda: vl_convert.vegalite_to_png(spec, scale=PIXELS),
        ".pdf": lambda: vl_convert.vegalite_to_pdf(spec),
    }
    content = written[path.suffix.lower()]()
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
