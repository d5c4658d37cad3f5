"""Writes a figure's Vega-Lite specification as a file for a page or a paper.

An SVG names no font but any sans-serif, and readers' fonts differ in width by a quarter. The layout
is measured with one of them, so each text of an SVG tells how wide it is there: a reader with a
wider font sees it squeezed rather than cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmark.errors import UserError
from benchmark.files import storage_faults, writing
from benchmark.reports.specs import Spec

SVG = "http://www.w3.org/2000/svg"
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
        ".svg": lambda: _fixed_widths(vl_convert.vegalite_to_svg(spec)),
        ".png": lambda: vl_convert.vegalite_to_png(spec, scale=PIXELS),
        ".pdf": lambda: vl_convert.vegalite_to_pdf(spec),
    }
    content = written[path.suffix.lower()]()
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as stream:
            stream.write(content)


def _fixed_widths(svg: str) -> bytes:
    """Give each text of an SVG the width that the layout was made for."""
    root = ElementTree.fromstring(svg)
    ElementTree.register_namespace("", SVG)
    texts = [
        (line, element)
        for element in root.iter(f"{{{SVG}}}text")
        for line in (element.findall(f"{{{SVG}}}tspan") or [element])
        if (line.text or "").strip()
    ]
    widths = _text_widths(
        [
            {
                "text": line.text,
                "font": element.get("font-family"),
                "size": float(element.get("font-size", "").removesuffix("px")),
                "weight": element.get("font-weight", "normal"),
            }
            for line, element in texts
        ]
    )
    for (line, _), width in zip(texts, widths, strict=True):
        line.attrib |= {"textLength": f"{width:.2f}", "lengthAdjust": "spacingAndGlyphs"}
    return ElementTree.tostring(root, "unicode").encode()


def _text_widths(texts: Sequence[Spec]) -> list[float]:
    """Measure texts as the layout does: a bar as long as each of them is drawn below it."""
    import vl_convert

    fields = {"text": "text", "font": "font", "fontSize": "size", "fontWeight": "weight"}
    drawn = {channel: {"field": field} for channel, field in fields.items()}
    ends = {"x": {"field": "bounds.x1"}, "x2": {"field": "bounds.x2"}}
    figure: Any = vl_convert.vega_to_scenegraph(
        {
            "data": [{"name": "rows", "values": list(texts)}],
            "marks": [
                {
                    "type": "text",
                    "name": "texts",
                    "from": {"data": "rows"},
                    "encode": {"enter": drawn},
                },
                {"type": "rect", "from": {"data": "texts"}, "encode": {"update": ends}},
            ],
        }
    )
    (group,) = figure["scenegraph"]["items"]
    _, bars = group["items"]
    return [bar["width"] for bar in bars["items"]]
