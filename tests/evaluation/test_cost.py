from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.data.task import Task
from benchmark.evaluation import cost
from benchmark.evaluation.cost import num_weights, peak_memory_mb, reset_peak_memory
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.linear import DLinear, Linear
from benchmark.forecasters.naive import LastValue
from benchmark.forecasters.ridge import Ridge

SHAPE = SeriesShape(lookback=24, horizon=12, channels=3, season=24)
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (LastValue, 0),
        (Linear, 24 * 12 + 12),
        (DLinear, 2 * (24 * 12 + 12)),  # its fixed moving average is no fitted number
        (Ridge, 24 * 12 + 1),  # the map and the penalty chosen
    ],
)
def test_the_numbers_that_fitting_sets_are_counted(
    build: Callable[[SeriesShape], Forecaster], expected: int
) -> None:
    assert num_weights(build(SHAPE)) == expected


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_peak_memory_sees_a_peak_and_forgets_it_after_a_reset() -> None:
    reset_peak_memory(CPU)
    before = peak_memory_mb(CPU)
    block = np.ones(25 * 2**20)  # 200 MiB
    del block
    assert peak_memory_mb(CPU) - before == pytest.approx(200, abs=40)
    reset_peak_memory(CPU)
    assert peak_memory_mb(CPU) - before < 50


def test_peak_memory_is_that_of_the_process_in_mebibytes() -> None:
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident_mb = resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert resident_mb * 0.9 <= peak_memory_mb(CPU) < 100 * resident_mb


def test_a_system_that_forbids_the_reset_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "_CLEAR_REFS", tmp_path)  # a folder: writing to it fails
    reset_peak_memory(CPU)


def test_without_proc_the_peak_comes_from_the_operating_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "_STATUS", tmp_path / "absent")
    assert 10 < peak_memory_mb(CPU) < 1e6


def test_the_task_of_these_tests_has_the_windows_its_card_promises(task: Task) -> None:
    counts = [len(task.windows(split)) for split in ("train", "val", "test")]
    assert counts == [365, 139, 139]
