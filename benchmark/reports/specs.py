"""Charts as Vega-Lite specifications: the page draws them, and files for a paper are made of them.

A specification names its data ``rows`` and leaves them, and the colours of its series, to whom it
draws for. Every chart has one field `series` that tells its lines apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

Spec = dict[str, Any]
Rows = list[dict[str, Any]]

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31")
"""Colours that most readers with a colour deficiency tell apart (Okabe and Ito 2008), and two."""

PALETTE_ON_DARK = (
    "#56a9e8", "#f2874b", "#35c99a", "#e79cc6", "#f3bd55", "#a5def7", "#b59ad6", "#c9ab6f",
)  # fmt: skip
"""The same, lighter."""

DASHES = ([1, 0], [6, 3], [2, 2], [9, 3, 2, 3], [12, 4], [4, 2], [1, 3], [9, 2, 2, 2, 2, 2])
"""Of lines, as many as there are colours: on grey paper these tell them apart."""

SHAPES = (
    "circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right",
    "triangle-left",
)  # fmt: skip
"""Of points, likewise."""

LOOKS = ("shape", "strokeDash", "yOffset")
"""What beside a colour tells series apart."""

TRUTH = "truth"
INTERVAL = "80% interval of "  # a model
GREY = "#8a8f98"  # is seen on white and on black
SCALED_MSE = "MSE, scaled series"
OPACITY = 0.18  # of a band
HEIGHT = 300
FONT = 11  # of names beside points
PADDING = 24  # pixels between the outermost points and the edge, where error is drawn by cost
AMOUNT = "format(datum.value, datum.value < 1 ? '.3~g' : '.3~s')"
"""How an axis writes a cost: 0.5 and 20k, where SI prefixes alone would write 500m."""

ROUND = "indexof('125', slice(format(datum.value, '.0e'), 0, 1)) >= 0"
"""Which ticks of a logarithmic axis are named."""

ALONE = "toNumber(format(datum.value, '.0e')) != datum.value"
"""Whether a tick is of several digits, as is only that of an axis with one value, at that value."""

EXACT: Spec = {
    "labelExpr": "abs(toNumber(datum.label) - datum.value) > 1e-6 * abs(datum.value) "
    "? format(datum.value, '.4~g') : datum.label"
}
"""Of an axis of errors: the tick of one error alone is not rounded to a whole number."""

SEASONS = "season * max(1, ceil((domain('x')[1] - domain('x')[0]) / season / 10))"
"""Steps between two ticks, about ten of them."""

AT_SEASONS = (
    f"sequence(ceil(domain('x')[0] / ({SEASONS})) * {SEASONS}, domain('x')[1] + 1, {SEASONS})"
)


WHOLE = "max(1, min(10, domain('x')[1] - domain('x')[0]))"
"""About how many ticks an axis of steps or epochs has: none falls between two of those."""


def steps_spec() -> Spec:
    """Error by step of the horizon; rows: step, value, series."""
    spec = with_seasons(lines_spec("step", "steps ahead", SCALED_MSE))
    spec["layer"].append(_dots())
    colour = spec["encoding"]["color"]
    colour["legend"]["symbolSize"] = 600  # as long as the longest dash
    spec["encoding"]["strokeDash"] = colour | {"scale": {"range": DASHES}}
    return spec


def with_seasons(spec: Spec) -> Spec:
    """Put ticks at multiples of the parameter ``season`` where three are drawn; 0 is none.

    Past steps count as well, which are below 0: fewer seasons would leave an axis of two ticks.
    """
    drawn = "domain('x')[1] - domain('x')[0] + 1"
    ticks = f"season && {drawn} >= 3 * season ? {AT_SEASONS} : null"
    spec["params"] = [{"name": "season", "value": 0}]
    spec["encoding"]["x"]["axis"]["values"] = {"expr": ticks}
    return spec


def training_spec() -> Spec:
    """A curve of training; rows: epoch, value, series, and whether its weights were kept."""
    spec = lines_spec("epoch", "epoch", "validation MSE")
    spec["layer"].insert(1, layer("point", "datum.kept", filled=True, size=90, opacity=1))
    return spec


def channels_spec() -> Spec:
    """Error by channel; rows: channel, value, series."""
    axis = {"grid": True, "tickBand": "extent", "labelLimit": 140}
    name = {"field": "channel", "type": "nominal", "sort": None, "title": None, "axis": axis}
    return {
        "data": {"name": "rows"},
        "height": {"step": 28, "for": "position"},
        "mark": {"type": "point", "filled": True, "size": 50, "opacity": 0.9},
        "encoding": {
            "y": name,
            "x": number_axis("value", SCALED_MSE, axis=EXACT | {"labelSeparation": 4}),
            "color": series(None),
            "shape": series(None) | {"scale": {"range": SHAPES}},
            "yOffset": {"field": "series", "type": "nominal"},
            "tooltip": _tooltip(("series", "model"), ("channel", "channel"), ("value", "error")),
        },
    }


def forecasts_spec(
    field: str = "step", across: str = "steps from the start of the forecast", start: float = 0.5
) -> Spec:
    """Forecasts beside the truth; rows: field, value, series, or field, low, high, series.

    Args:
        field: the time of a row.
        across: title of its axis.
        start: of the forecast.
    """
    spec = lines_spec(field, across, "value")
    unseen = layer("rule", None, {"y": None, "color": {"value": GREY}}, strokeDash=[3, 3])
    ends = {"y": {"field": "low"}, "y2": {"field": "high"}}
    band = layer("area", "isValid(datum.low)", ends, opacity=OPACITY, strokeWidth=0)
    bar = layer("rule", _is("alone", True), ends, opacity=OPACITY, strokeWidth=10)
    bar["transform"].append({"filter": "isValid(datum.low)"})
    unseen["data"] = {"values": [{field: start}]}
    spec["layer"] = [unseen, band, bar, *spec["layer"], _dots()]
    is_band = f"indexof(datum.label || '', '{INTERVAL}') == 0"
    spec["encoding"]["color"]["legend"] |= {
        "symbolStrokeWidth": {"expr": f"{is_band} ? 10 : 2"},
        "symbolOpacity": {"expr": f"{is_band} ? {OPACITY} : 1"},
        "labelLimit": 240,
    }
    return spec


def costs_spec() -> Spec:
    """Error against cost; rows: cost, value, series, model, role, named, far, x, y.

    Roles are those of `benchmark.reports.costs.roles`. A name that is written begins x pixels to
    the right of its point and y below it, and goes on in that direction; a line leads to a far one.
    """
    tip = _tooltip(("model", "model"), ("series", "family"), ("value", "MSE"), ("shown", "cost"))
    grid = {"condition": {"test": ROUND, "value": 1}, "value": 0}
    padded = {"nice": False, "padding": PADDING}
    error = padded | {"zero": False}
    axis = {"labelExpr": f"{ROUND} || {ALONE} ? {AMOUNT} : ''", "gridOpacity": grid}
    grey = {"color": {"value": GREY}}
    right, below = {"expr": "datum.x"}, {"expr": "datum.y"}
    return {
        "height": HEIGHT + 60,
        "data": {"name": "rows"},
        "encoding": {
            "x": number_axis("cost", "cost", padded | {"type": "log"}, axis=axis),
            "y": number_axis("value", "test MSE, scaled series", error, axis=EXACT),
            "color": series(None),
        },
        "layer": [
            layer("rule", _is("role", "level"), {"x": None, **grey}, strokeDash=[2, 3]),
            layer("line", _is("role", "front"), grey, interpolate="step-after", strokeDash=[4, 3]),
            layer(
                "rule",
                _is("far", True),
                {"x2": {"field": "cost"}, "y2": {"field": "value"}, **grey},
                x2Offset=right,
                y2Offset=below,
            ),
            layer(
                "point",
                "isValid(datum.cost)",
                {"shape": series(None), "tooltip": tip},
                filled=True,
                size=70,
                opacity=0.9,
            ),
            layer(
                "text",
                _is("named", True),
                {"text": {"field": "model"}, "color": None},
                fontSize=FONT,
                fontWeight={"expr": "datum.role == 'front' ? 'bold' : 'normal'"},
                align={"expr": "datum.x ? datum.x > 0 ? 'left' : 'right' : 'center'"},
                baseline={"expr": "datum.y ? datum.y > 0 ? 'top' : 'bottom' : 'middle'"},
                dx=right,
                dy=below,
            ),
        ],
    }


SPECS = {
    "steps": steps_spec,
    "channels": channels_spec,
    "forecasts": lambda: with_seasons(forecasts_spec()),
    "training": training_spec,
    "costs": costs_spec,
}


def complete(spec: Spec, rows: Rows, colours: Mapping[str, str], **titles: str) -> Spec:
    """Give a specification its data and colours, as the page's script does.

    What takes a pointer is left out, and layers that draw none of the rows.

    Args:
        spec: one of the above; changed in place.
        rows: its data.
        colours: of each series, in the order of the legend.
        titles: of the axes, by channel (``x=``, ``y=``).
    """
    domain = list(colours)
    count = Counter(row.get("series") for row in rows)
    rows = [row | {"alone": count[row.get("series")] == 1} for row in rows]
    spec["data"] = {"values": rows}
    spec["encoding"]["color"]["scale"] = {"domain": domain, "range": list(colours.values())}
    for axis, title in titles.items():
        spec["encoding"][axis]["title"] = title
    if "layer" in spec:
        spec["layer"] = [each for each in spec["layer"] if _is_needed(each, rows)]
    for each in (spec, *spec.get("layer", [])):
        each["encoding"].pop("tooltip", None)
        for look in each["encoding"].keys() & set(LOOKS):
            own = each["encoding"][look].get("scale", {})
            each["encoding"][look]["scale"] = own | {"domain": domain}
    return spec


def _is_needed(layer: Spec, rows: Rows) -> bool:
    chosen = layer.get("transform", [{}])[0].get("filter")
    if isinstance(chosen, dict):
        return any(row.get(chosen["field"]) == chosen["equal"] for row in rows)
    return "params" not in layer


def lines_spec(field: str, across: str, up: str) -> Spec:
    """Lines by whole numbers, and a dot and a text where the pointer is near."""
    near = {"type": "point", "on": "pointerover", "nearest": True, "clear": "pointerout"}
    is_near = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    tip = _tooltip(("series", "model"), (field, field), ("value", "value"))
    dot = layer("point", None, {"opacity": is_near, "tooltip": tip}, filled=True, size=60)
    scale, axis = {"nice": False, "zero": False}, {"tickCount": {"expr": WHOLE}}
    return {
        "data": {"name": "rows"},
        "height": HEIGHT,
        "encoding": {
            "x": number_axis(field, across, scale, axis=axis),
            "y": number_axis("value", up, axis=EXACT),
            "color": series(),
        },
        "layer": [
            layer("line", None, strokeWidth=1.8, interpolate="linear"),
            dot | {"params": [{"name": "near", "select": near}]},
        ],
    }


def layer(mark: str, chosen: str | Spec | None, encoding: Spec | None = None, **look: Any) -> Spec:
    """Marks of the rows that are chosen, or of all."""
    drawn: Spec = {"mark": {"type": mark, **look}, "encoding": encoding or {}}
    return drawn if chosen is None else drawn | {"transform": [{"filter": chosen}]}


def number_axis(field: str, title: str | None, scale: Spec | None = None, **more: Any) -> Spec:
    """A field of numbers, on a scale that need not begin at nothing."""
    scale = scale or {"zero": False}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, **more}


def series(symbol: str | None = "stroke") -> Spec:
    """The field that tells series apart, and their legend."""
    look = {"symbolType": symbol, "symbolOpacity": 1, "symbolStrokeWidth": 2}
    legend = {"title": None, "orient": "top", "labelLimit": 180} | look
    return {"field": "series", "type": "nominal", "legend": legend}


def _dots() -> Spec:
    """Series of a single row, at a horizon of one step say: no line goes through one point."""
    return layer("point", _is("alone", True), filled=True, size=60, opacity=1)


def _is(field: str, value: str | bool) -> Spec:
    return {"field": field, "equal": value}


def _tooltip(*fields: tuple[str, str]) -> list[Spec]:
    return [
        {"field": field, "title": title, "type": "quantitative", "format": ".4~g"}
        if field == "value"
        else {"field": field, "title": title, "type": "nominal"}
        for field, title in fields
    ]
