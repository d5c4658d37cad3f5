"""The file of a forecast: names of its columns, digits of its numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmark.records.forecast import Forecast, Values, write_forecast

TIMES = np.array(["2020-01-01", "2020-01-02"], "datetime64[s]")


def forecast(channels: tuple[str, ...], past: Values) -> Forecast:
    """One that repeats what was seen, a thousandth of its range to either side."""
    beside = np.ptp(past, axis=0) / 1000
    return Forecast("date", channels, TIMES, past, TIMES, past, past - beside, past + beside, 80)


@pytest.mark.parametrize(
    ("channels", "ends"),
    [
        (("a", "b"), ("_lo80", "_hi80")),
        (("a", "a_lo95"), ("_lo80", "_hi80")),
        (("a", "a_lo80"), ("__lo80", "__hi80")),
        (("a", "a_hi80"), ("__lo80", "__hi80")),
        (("a", "a__lo80", "a_lo80"), ("___lo80", "___hi80")),
    ],
)
def test_no_end_of_an_interval_is_called_as_a_channel_is(
    channels: tuple[str, ...], ends: tuple[str, str]
) -> None:
    names = list(forecast(channels, np.ones((2, len(channels)))).frame())
    assert names == [name + end for name in channels for end in ("", *ends)]
    assert len(set(names)) == len(names)


def test_a_number_has_the_digits_that_tell_how_its_channel_changes(tmp_path: Path) -> None:
    past = np.array([[1 / 3, 1e9, 2e-300, 5.0], [2 / 3, 1e9 + 0.003, 1e-300, 5.0]])
    write_forecast(tmp_path / "f.csv", forecast(("a", "far", "tiny", "still"), past))
    with (tmp_path / "f.csv").open() as stream:
        _, row, _ = csv.reader(stream)
    assert row[1:4] == ["0.3333333333", "0.333", "0.3336666667"]
    far = [float(text) - 1e9 for text in row[4:7]]
    assert far == pytest.approx([0, -3e-6, 3e-6], abs=2e-7)
    assert row[7] == "2e-300"
    assert row[10:] == ["5", "5", "5"]
