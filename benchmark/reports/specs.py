"""Charts as Vega-Lite specifications: the page draws them, and files for a paper are made of them.

A specification names its data ``rows`` and leaves them, and the colours of its series, to whom it
draws for. Every chart has one field `series` that tells its lines apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31")
"""Colours that most readers with a colour deficiency tell apart (Okabe and Ito 2008), and two."""

PALETTE_ON_DARK = (
    "#56a9e8", "#f2874b", "#35c99a", "#e79cc6", "#f3bd55", "#a5def7", "#b59ad6", "#c9ab6f",
)  # fmt: skip
"""The same, lighter."""

TRUTH = "truth"
GREY = "#8a8f98"  # is seen on white and on black
HEIGHT = 300
AMOUNT = "format(datum.value, datum.value < 1 ? '~g' : '~s')"
"""How an axis writes a cost: 0.7 and 28.8k, where SI prefixes alone would write 700m."""


def steps_spec() -> Spec:
    """Error by step of the horizon; rows: step, value, series."""
    return _lines("step", "steps ahead", "MSE")


def training_spec() -> Spec:
    """A curve of training; rows: epoch, value, series, and whether its weights were kept."""
    spec = _lines("epoch", "epoch", "validation MSE")
    every = (
        "max(1, ceil((domain('x')[1] - domain('x')[0]) / 10))"  # whole epochs, about ten of them
    )
    ticks = f"sequence(domain('x')[0], domain('x')[1] + 1, {every})"
    spec["encoding"]["x"]["axis"] = {"format": "d", "values": {"expr": ticks}}
    kept = {
        "transform": [{"filter": "datum.kept"}],
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
    }
    spec["layer"].insert(1, kept)
    return spec


def channels_spec() -> Spec:
    """Error by channel; rows: channel, value, series."""
    return {
        "data": {"name": "rows"},
        "height": {"step": 22},
        "mark": {"type": "point", "filled": True, "size": 80, "opacity": 0.9},
        "encoding": {
            "y": {
                "field": "channel",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"grid": True, "tickBand": "extent", "labelLimit": 140},
            },
            "x": {
                "field": "value",
                "type": "quantitative",
                "title": "MSE",
                "scale": {"zero": False},
            },
            "color": _colour("circle"),
            "tooltip": _tooltip(("series", "model"), ("channel", "channel"), ("value", "error")),
        },
    }


def forecasts_spec() -> Spec:
    """Forecasts of one window beside the truth; rows: step, value, series, low, high."""
    spec = _lines("step", "steps from the start of the forecast", "value")
    start = {
        "data": {"values": [{"step": 0.5}]},
        "mark": {"type": "rule", "strokeDash": [3, 3]},
        "encoding": {"y": None, "color": {"value": GREY}},
    }
    band = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "area", "opacity": 0.18, "strokeWidth": 0},
        "encoding": {"y": {"field": "low"}, "y2": {"field": "high"}},
    }
    spec["layer"] = [start, band, *spec["layer"]]
    return spec


def costs_spec() -> Spec:
    """Error against cost; rows: cost, value, series, and the marks of the page's script.

    These are front, whether nothing beats the row, and named, whether its name is written.
    """
    place = {
        "x": {
            "field": "cost",
            "type": "quantitative",
            "scale": {"type": "log", "nice": False, "padding": 24},
            "title": "cost",
            "axis": {"labelExpr": AMOUNT, "tickCount": 6},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "scale": {"zero": False, "padding": 16},
            "title": "test MSE, scaled series",
        },
    }
    on_front, named = ([{"filter": {"field": each, "equal": True}}] for each in ("front", "named"))
    return {
        "data": {"name": "rows"},
        "height": HEIGHT + 60,
        "encoding": {**place, "color": _colour("circle")},
        "layer": [
            {
                "transform": on_front,
                "mark": {"type": "line", "interpolate": "step-after", "strokeDash": [4, 3]},
                "encoding": {"color": {"value": GREY}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 0.9},
                "encoding": {
                    "shape": {"field": "series", "type": "nominal", "legend": None},
                    "tooltip": _tooltip(
                        ("model", "model"),
                        ("series", "family"),
                        ("value", "MSE"),
                        ("shown", "cost"),
                    ),
                },
            },
            {
                "transform": named,
                "mark": {"type": "text", "dy": -11, "fontSize": 11, "limit": 140},
                "encoding": {"text": {"field": "model"}},
            },
        ],
    }


SPECS = {
    "steps": steps_spec,
    "channels": channels_spec,
    "forecasts": forecasts_spec,
    "training": training_spec,
    "costs": costs_spec,
}


def complete(
    spec: Spec, rows: Sequence[Mapping[str, Any]], colours: Mapping[str, str], **titles: str
) -> Spec:
    """Give a specification its data and colours, as the page's script does.

    Args:
        spec: one of the above; changed in place.
        rows: its data.
        colours: of each series, in the order of the legend.
        titles: of the axes, by channel (``x=``, ``y=``).
    """
    spec["datasets"] = {"rows": list(rows)}
    spec["encoding"]["color"]["scale"] = {
        "domain": list(colours),
        "range": list(colours.values()),
    }
    for axis, title in titles.items():
        spec["encoding"][axis]["title"] = title
    return spec


def _lines(field: str, across: str, up: str) -> Spec:
    """Lines, and a dot and a text where the pointer is near."""
    near = {"type": "point", "on": "pointerover", "nearest": True, "clear": "pointerout"}
    return {
        "data": {"name": "rows"},
        "height": HEIGHT,
        "encoding": {
            "x": {
                "field": field,
                "type": "quantitative",
                "title": across,
                "scale": {"nice": False, "zero": False},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": up,
                "scale": {"zero": False},
            },
            "color": _colour(),
        },
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.8, "interpolate": "linear"}},
            {
                "params": [{"name": "near", "select": near}],
                "mark": {"type": "point", "filled": True, "size": 60},
                "encoding": {
                    "opacity": {
                        "condition": {"param": "near", "empty": False, "value": 1},
                        "value": 0,
                    },
                    "tooltip": _tooltip(("series", "model"), (field, field), ("value", "value")),
                },
            },
        ],
    }


def _colour(symbol: str = "stroke") -> Spec:
    legend = {
        "title": None,
        "orient": "top",
        "labelLimit": 180,
        "symbolType": symbol,
        "symbolOpacity": 1,
        "symbolStrokeWidth": 2,
    }
    return {"field": "series", "type": "nominal", "legend": legend}


def _tooltip(*fields: tuple[str, str]) -> list[Spec]:
    return [
        {"field": field, "title": title, "type": "quantitative", "format": ".4~g"}
        if field == "value"
        else {"field": field, "title": title, "type": "nominal"}
        for field, title in fields
    ]
