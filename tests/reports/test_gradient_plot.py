from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("vl_convert")

from benchmark.reports.gradient_plot import plot_gradient_flow


def test_each_cell_is_a_line_of_powers_of_ten_down_to_the_floor(tmp_path, drawn):
    flows = {"slow": 5.0 * 0.9 ** np.arange(40), "fast": 2.0 * 0.1 ** np.arange(40)}
    plot_gradient_flow(flows, tmp_path / "flow.svg")
    (scene,) = drawn
    assert scene.texts("axis-title") == [
        "steps before the last output",
        "gradient, relative to the last step",
    ]
    assert [text for text in scene.texts("axis-label") if "e-" in text][::5] == ["1e-12", "1e-2"]
    lines = {}
    for item in scene.marks("line"):
        if item["defined"]:
            lines.setdefault(item["stroke"], []).append((item["x"], item["y"]))
    slow, fast = (np.array(each) for each in lines.values())
    assert len(slow) == 40
    assert len(fast) == 13  # 1 to 1e-12
    assert slow[0].tolist() == fast[0].tolist()
    down = np.diff(fast[:, 1])
    assert down == pytest.approx(np.full(12, down[0]))
    assert np.diff(slow[:, 1]) == pytest.approx(np.full(39, -np.log10(0.9) * down[0]))
    symbols = scene.marks("symbol", "legend-symbol")
    assert [item["stroke"] for item in symbols] == list(lines)
    assert scene.texts("legend-label") == ["slow", "fast"]


def test_more_cells_than_colours_are_told_apart_by_dashes(tmp_path, drawn):
    flows = {f"my_module.Cell{n}": 0.5 ** np.arange(9.0) for n in range(19)}
    plot_gradient_flow(flows, tmp_path / "flow.png")
    (scene,) = drawn
    looks = {
        (item["stroke"], tuple(item["strokeDash"]))
        for item in scene.marks("symbol", "legend-symbol")
    }
    assert len(looks) == 19
    assert {(item["stroke"], tuple(item["strokeDash"])) for item in scene.marks("line")} == looks
    assert scene.texts("legend-label") == list(flows)
    assert scene.size[0] < 900


def test_a_gradient_that_grows_stays_within_the_axes(tmp_path, drawn):
    flows = {"grows": 1.5 ** np.arange(96.0), "shrinks": 0.5 ** np.arange(96.0)}
    plot_gradient_flow(flows, tmp_path / "flow.svg")
    (scene,) = drawn
    assert min(item["y"] for item in scene.marks("line") if item["defined"]) >= 0
    assert {"1e+12", "1", "1e-12"} <= set(scene.texts("axis-label"))


def test_few_steps_are_counted_in_whole_numbers(tmp_path, drawn):
    plot_gradient_flow({"gru": np.array([1.0, 0.5, 0.25])}, tmp_path / "flow.svg")
    (scene,) = drawn
    assert scene.texts("axis-label")[:3] == ["0", "1", "2"]
