"""What a trained cell computes while it reads a sequence, as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.reports.drawing import save_figure
from benchmark.reports.figures import WIDTH
from benchmark.reports.specs import PALETTE, Spec, number_axis
from benchmark.reports.tables import plain

HEIGHT = 46
"""Of a panel, in pixels."""


def plot_gates(
    traces: Mapping[str, Sequence[float]], event: Sequence[int], title: str, path: Path
) -> None:
    """Draw each variable over the steps, one panel below the other, with the steps that matter.

    Args:
        traces: by the panel's title, a value a step ``(S,)``.
        event: the steps that matter; they are marked in every panel.
        title: of the figure.
        path: file to write; its ending (.svg, .png, .pdf) decides the format.

    Raises:
        UserError: vl-convert is not installed, or the file cannot be written.
    """
    last = len(traces) - 1
    panels = [
        _panel(name, values, event, bottom=place == last)
        for place, (name, values) in enumerate(traces.items())
    ]
    save_figure({"title": plain(title), "vconcat": panels, "spacing": 10}, path, "--plot")


def _panel(name: str, values: Sequence[float], event: Sequence[int], *, bottom: bool) -> Spec:
    steps = [{"step": step, "value": value} for step, value in enumerate(values, 1)]
    across = number_axis(
        "step",
        "step" if bottom else None,
        {"domain": [1, len(values)], "nice": False},
        axis={"labels": bottom, "grid": False, "tickCount": min(WIDTH // 40, len(values) - 1)},
    )
    within = {"domain": [0, 1]} if _is_gate(values) else None
    up = number_axis("value", None, within, axis={"tickCount": 2})
    rule = {"type": "rule", "color": PALETTE[4], "opacity": 0.55, "strokeWidth": 5}
    return {
        "title": {"text": plain(name), "fontSize": 11},
        "width": WIDTH,
        "height": HEIGHT,
        "layer": [
            {
                "data": {"values": [{"step": step + 1} for step in event]},
                "mark": rule,
                "encoding": {"x": across},
            },
            {
                "data": {"values": steps},
                "mark": {"type": "line", "color": PALETTE[0], "strokeWidth": 1.5},
                "encoding": {"x": across, "y": up},
            },
        ],
    }


def _is_gate(values: Sequence[float]) -> bool:
    """Whether it lies between 0 and 1: on a scale of its own a gate left open would flicker."""
    return min(values) >= 0 and max(values) <= 1
