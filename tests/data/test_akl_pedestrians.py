"""The script that made the embedded data set."""

from __future__ import annotations

import importlib.util
from datetime import datetime
from types import ModuleType

import pytest

from benchmark.places import DATASETS


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = DATASETS / "prepare_akl_pedestrians.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SENSORS", ("a", "b"))
    monkeypatch.setattr(module, "START", datetime(2022, 1, 2))
    monkeypatch.setattr(module, "STOP", datetime(2022, 1, 3))
    return module


def source(days: int = 3) -> list[str]:
    """Rows as the source has them: a date runs from 06:00 to 05:59 of the next day."""
    hours = [*range(6, 24), *range(6)]
    lines = [
        f"2022-01-{day:02},{hour}:00-{hour}:59,{day}{hour:02}.0,7.0,9.0"
        for day in range(1, days + 1)
        for hour in hours
    ]
    return ["date,hour,a,other,b", *lines]


def test_the_hours_of_a_night_go_to_the_next_day(script):
    lines = script.select("\n".join(source())).splitlines()
    assert lines[0] == "date,a,b"
    assert lines[1] == "2022-01-02 00:00:00,100,9"  # filed under the first of January
    assert lines[6] == "2022-01-02 05:00:00,105,9"
    assert lines[7] == "2022-01-02 06:00:00,206,9"
    assert lines[-1] == "2022-01-02 23:00:00,223,9"
    assert len(lines) == 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:30] + rows[31:], "expected whole counts for"),
        (lambda rows: rows[:30] + rows[29:], "expected whole counts for"),
        (lambda rows: [row.replace("211.0", "211.5") for row in rows], "211.5"),
        (lambda rows: rows[:30], "the source ends at"),
        (lambda rows: [row.replace("211.0", "") for row in rows], "could not convert"),
    ],
)
def test_a_gap_or_an_odd_count_stops_it(change, message, script):
    with pytest.raises(ValueError, match=message):
        script.select("\n".join(change(source())))
