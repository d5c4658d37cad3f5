from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.cells import cell_factory, native
from benchmark.data.task import Task
from benchmark.evaluation import cost
from benchmark.evaluation.cost import (
    count_macs,
    measure_forecast,
    num_weights,
    peak_memory_mb,
    reset_peak_memory,
)
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.designs.tsmixer import TSMixer
from benchmark.forecasters.linear import DLinear, Linear
from benchmark.forecasters.naive import LastValue
from benchmark.forecasters.recurrent import Recurrent
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
        (  # a map along time, one across channels and back, two batch norms: no running mean
            lambda shape: TSMixer(shape, hidden_size=5, layers=1),
            24 * 24 + 24 + (3 * 5 + 5) + (5 * 3 + 3) + 2 * 2 * 24 * 3 + 2 * 3 + 24 * 12 + 12,
        ),
    ],
)
def test_the_numbers_that_fitting_sets_are_counted(
    build: Callable[[SeriesShape], Forecaster], expected: int
) -> None:
    assert num_weights(build(SHAPE)) == expected


class Beside(Ridge):
    """Saves what is no tensor."""

    def get_extra_state(self) -> dict[str, int]:
        return {"version": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        pass


def test_what_is_saved_beside_tensors_is_no_number_that_was_fitted() -> None:
    assert num_weights(Beside(SHAPE)) == num_weights(Ridge(SHAPE))


class Bytes(Ridge):
    """Saves an estimator as the bytes of its pickle, and what it has found beside them."""

    def get_extra_state(self) -> dict[str, Tensor]:
        return {"estimator": torch.zeros(1000, dtype=torch.uint8)}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        pass


class OnlyBytes(Bytes):
    """The bytes are the state themselves."""

    def get_extra_state(self) -> Tensor:  # type: ignore[override]
        return torch.zeros(1000, dtype=torch.uint8)


@pytest.mark.parametrize("cls", [Bytes, OnlyBytes])
def test_the_bytes_of_an_estimator_are_no_numbers_that_were_fitted(cls: type[Ridge]) -> None:
    assert num_weights(cls(SHAPE)) == num_weights(Ridge(SHAPE))


def by_gates(gates: int) -> int:
    """Of a cell with W x and R h for each gate, 7 steps, 16 in and 32 wide."""
    return 7 * gates * 32 * (16 + 32)


def by_mamba() -> int:
    """In, selection, step size, out; the convolution's 4 taps; 16 states read by C."""
    wide, rank, states = 64, 2, 16
    projections = 16 * 2 * wide + wide * (rank + 2 * states) + rank * wide + wide * 32
    return 7 * (projections + 4 * wide + states * wide)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # only the first has kernels
@pytest.mark.parametrize(
    ("cell", "expected"),
    [("elman", by_gates(1)), ("gru", by_gates(3)), ("lstm", by_gates(4)), ("mamba", by_mamba())],
)
def test_the_products_of_a_cell_are_counted_as_by_hand(
    cell: str, expected: int, dtype: torch.dtype
) -> None:
    module = cell_factory(cell, {})(16, 32).to(dtype)
    assert count_macs(module, torch.randn(1, 7, 16, dtype=dtype)) == expected


def test_layers_and_directions_of_torchs_lstm_are_counted() -> None:
    module = nn.LSTM(16, 32, num_layers=2, bidirectional=True, batch_first=True)
    expected = 7 * 2 * 4 * 32 * ((16 + 32) + (64 + 32))
    assert count_macs(module, torch.randn(1, 7, 16)) == expected


class Product(nn.Module):
    def __init__(self, multiply: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.multiply = multiply

    def forward(self, x: Tensor) -> Tensor:
        return self.multiply(x)


@pytest.mark.parametrize(
    ("multiply", "expected"),
    [
        (lambda x: x @ torch.ones(5, 4), 3 * 5 * 4),
        (lambda x: x @ torch.ones(5), 3 * 5),
        (lambda x: x[0] @ x[1], 5),
        (lambda x: nn.functional.linear(x[0], torch.ones(4, 5), torch.ones(4)), 5 * 4),
        (lambda x: torch.einsum("nk,nk->", x, x), 3 * 5),
        (lambda x: nn.functional.conv1d(x[None], torch.ones(2, 3, 4)), 2 * 2 * 3 * 4),
        (lambda x: torch.linalg.cholesky_ex(torch.eye(6))[0], 6**3 // 6),
        (lambda x: torch.cholesky_solve(torch.ones(6, 2), torch.eye(6)), 2 * 6 * 6),
        (lambda x: nn.functional.scaled_dot_product_attention(*3 * [x[None]]), 2 * 3 * 3 * 5),
        (lambda x: torch.exp(x * x + x).sum(), 0),
    ],
)
def test_products_of_matrices_vectors_and_convolutions_count_and_elementwise_work_does_not(
    multiply: Callable[[Tensor], Tensor], expected: int
) -> None:
    assert count_macs(Product(multiply), torch.randn(3, 5)) == expected


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_the_products_of_torchs_encoder_layer_are_counted_as_by_hand(
    fused: bool, training: bool
) -> None:
    """In evaluation it is one fused operator, whose products no counter sees."""
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).train(training)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fused)
    try:
        found = count_macs(layer, torch.randn(1, 7, 16))
        assert torch.backends.mha.get_fastpath_enabled() == fused
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    projections, attention, feed_forward = 4 * 16 * 16, 2 * 7 * 16, 2 * 16 * 32
    assert found == 7 * (projections + attention + feed_forward)


@pytest.mark.parametrize("wish", [None, "", "0", "1"])
def test_counting_leaves_the_switch_of_compiled_operators_as_it_was(
    wish: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wish is None:
        monkeypatch.delenv(native.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(native.VARIABLE, wish)
    with pytest.raises(RuntimeError, match="shapes"):
        count_macs(Linear(SHAPE), torch.randn(1, 5, 3))
    assert os.environ.get(native.VARIABLE) == wish


def test_a_forecast_costs_the_products_of_one_window_with_all_its_channels(task: Task) -> None:
    assert measure_forecast(Linear(SHAPE), task.windows("val")).macs == 3 * 24 * 12
    assert measure_forecast(LastValue(SHAPE), task.windows("val")).macs == 0
    gru = Recurrent(SHAPE, cell="gru", hidden_size=32, layers=1)
    assert measure_forecast(gru, task.windows("val")).macs > 3 * 32 * 32


class Slow(LastValue):
    """Takes 200 ms at first, then 20 ms a call and 1 ms a window."""

    def __init__(self, shape: SeriesShape) -> None:
        super().__init__(shape)
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        first = len(x) not in self.batches
        self.batches.append(len(x))
        assert not self.training
        assert not torch.is_grad_enabled()
        time.sleep(0.2 if first else 0.02 + 0.001 * len(x))
        return super().forward(x)


def test_latency_is_that_of_one_window_and_throughput_that_of_all_without_the_first_call(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "ENOUGH_SECONDS", 0.1)
    forecaster = Slow(SHAPE).train()
    measured = measure_forecast(forecaster, task.windows("val"))
    assert 21 <= measured.latency_ms < 100
    assert 139 / 0.25 < measured.throughput <= 139 / 0.159
    assert set(forecaster.batches) == {1, 139}
    assert forecaster.batches.count(139) == 2  # one to warm up; one is enough where it is slow


def test_a_fast_forecast_is_timed_a_bounded_number_of_times(task: Task) -> None:
    class Counting(LastValue):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            Counting.calls += 1
            return super().forward(x)

    measured = measure_forecast(Counting(SHAPE), task.windows("val"))
    assert 3 + cost.REPEATS < Counting.calls <= 3 + 2 * cost.REPEATS
    assert measured.throughput > 1000 / measured.latency_ms > 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_peak_memory_sees_a_peak_and_forgets_it_after_a_reset() -> None:
    reset_peak_memory(CPU)
    before = peak_memory_mb(CPU)
    block = np.ones(25 * 2**20)  # 200 MiB
    del block
    assert peak_memory_mb(CPU) - before == pytest.approx(200, abs=40)
    reset_peak_memory(CPU)
    assert peak_memory_mb(CPU) - before < 50


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc's malloc_trim")
def test_what_earlier_runs_have_freed_is_in_no_peak() -> None:
    reset_peak_memory(CPU)
    before = peak_memory_mb(CPU)
    blocks = [bytes(64 * 2**10) for _ in range(3200)]  # 200 MiB, too small to be mapped
    above = bytes(64 * 2**10)  # keeps the heap from ending where they are
    del blocks
    reset_peak_memory(CPU)
    assert peak_memory_mb(CPU) - before < 50
    assert len(above)


def test_peak_memory_is_that_of_the_process_in_mebibytes() -> None:
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident_mb = resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert resident_mb * 0.9 <= peak_memory_mb(CPU) < 100 * resident_mb


def test_a_system_that_tells_no_peak_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "_STATUS", tmp_path / "status")
    assert (peak_memory_mb(CPU) or 0) > 1
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory_mb(CPU) is None


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
