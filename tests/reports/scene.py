"""What vl-convert draws of a specification: every mark and where it lies in the figure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

Item = dict[str, Any]


class Scene:
    """A figure; places are pixels from its upper left corner.

    Attributes:
        size: width and height.
        items: marks but groups, each with its type as ``mark`` and its part of the figure as
            ``role``.
    """

    def __init__(self, found: Item) -> None:
        self.size = found["width"], found["height"]
        self.items = list(_flat(found["scenegraph"], *found["origin"]))

    def marks(self, kind: str, role: str = "mark") -> list[Item]:
        """Those of one type: a figure's own, or of an axis, a legend, a title."""
        return [item for item in self.items if (item["mark"], item["role"]) == (kind, role)]

    def texts(self, role: str = "mark") -> list[str]:
        return [item["text"] for item in self.marks("text", role)]

    def boxes(self) -> list[tuple[str, tuple[float, float, float, float]]]:
        """Each line of text that is not turned: left, upper, right, lower edge."""
        lines = [
            item | {"text": line, "y": item["y"] + 1.2 * number * item["fontSize"]}
            for item in self.items
            if item["mark"] == "text" and not item.get("angle") and item.get("opacity") != 0
            for number, line in enumerate(_lines(item["text"]))
            if line
        ]
        return [
            (item["text"], _box(item, width))
            for item, width in zip(lines, _widths(lines), strict=True)
        ]


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(max(one[i], other[i]) < min(one[i + 2], other[i + 2]) for i in (0, 1))


def _lines(text: Any) -> list[str]:
    return text if isinstance(text, list) else [text]


def _flat(node: Item, x: float, y: float) -> Iterator[Item]:
    for item in node.get("items", []):
        across, down = x + item.get("x", 0), y + item.get("y", 0)
        if node["marktype"] == "group":
            for inner in item["items"]:
                yield from _flat(inner, across, down)
        else:
            yield item | {
                "mark": node["marktype"],
                "role": node.get("role", "mark"),
                "x": across + item.get("dx", 0),
                "y": down + item.get("dy", 0),
                "x2": x + item.get("x2", item.get("x", 0)),
                "y2": y + item.get("y2", item.get("y", 0)),
            }


def _box(item: Item, width: float) -> tuple[float, float, float, float]:
    left = item["x"] - {"center": 0.5, "right": 1.0}.get(item.get("align", "left"), 0.0) * width
    shares = {"top": 0.0, "middle": 0.5, "bottom": 1.0, "line-bottom": 1.0}
    upper = item["y"] - shares.get(item.get("baseline", ""), 0.8) * item["fontSize"]
    return left, upper, left + width, upper + item["fontSize"]


def _widths(items: list[Item]) -> list[float]:
    """How wide vl-convert writes texts: it lays them out in a row."""
    import vl_convert

    def group(item: Item) -> Item:
        look = {
            key: {"value": item[key]} for key in ("text", "fontSize", "fontWeight") if key in item
        }
        return {"type": "group", "marks": [{"type": "text", "encode": {"enter": look}}]}

    row = {"columns": len(items) + 1, "padding": 0, "bounds": "full", "align": "none"}
    marks = [group(item) for item in [*items, {"text": "."}]]
    found = vl_convert.vega_to_scenegraph({"padding": 0, "layout": row, "marks": marks})
    (root,) = found["scenegraph"]["items"]
    places = [mark["items"][0].get("x", 0) for mark in root["items"]]
    return [end - start for start, end in itertools.pairwise(places)]
