"""What a forecaster costs: numbers fitted, products and time of a forecast, memory held."""

from __future__ import annotations

import copy
import ctypes
import gc
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmark.cells import native
from benchmark.data.windows import Windows
from benchmark.evaluation.forecast import BATCH
from benchmark.forecasters.contract import ClosedFormForecaster, Forecaster

REPEATS = 100
ENOUGH_SECONDS = 0.5
"""A timing ends after this long or after `REPEATS` calls, whichever comes first."""

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class ForecastCost:
    """What forecasting costs once a forecaster is fitted.

    Attributes:
        macs: multiply-accumulates of one window's forecast, see `count_macs`.
        latency_ms: milliseconds until one window, by itself, is forecast.
        throughput: windows forecast a second, `BATCH` at a time.
    """

    macs: int
    latency_ms: float
    throughput: float


def measure_forecast(forecaster: Forecaster, windows: Windows) -> ForecastCost:
    """Count and time forecasts of the first windows of any split."""
    x, _ = next(windows.in_order(BATCH))
    forecaster.eval()
    return ForecastCost(
        macs=count_macs(forecaster, x[:1]),
        latency_ms=1e3 * _seconds(forecaster, x[:1]),
        throughput=len(x) / _seconds(forecaster, x),
    )


@torch.no_grad()
def _seconds(forecaster: Forecaster, x: Tensor) -> float:
    """Seconds of a forecast: the median of repeats, after one that pays for lazy set-up."""

    def now() -> float:
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        return time.perf_counter()

    forecaster(x)
    took: list[float] = []
    while sum(took) < ENOUGH_SECONDS and len(took) < REPEATS:
        started = now()
        forecaster(x)
        took.append(now() - started)
    return statistics.median(took)


@torch.no_grad()
def count_macs(forecaster: nn.Module, x: Tensor) -> int:
    """Count the multiply-accumulates of one forward pass.

    They are those of matrix products, of convolutions, and of solving equations by a Cholesky
    factor; elementwise work and Fourier transforms are not counted. What is counted is the plain
    torch path on a CPU: compiled operators, fused attention and the kernels of an accelerator show
    no counter what they multiply.

    Args:
        forecaster: any module.
        x: its input, on its device.
    """
    if x.device.type != "cpu":
        forecaster, x = copy.deepcopy(forecaster).cpu(), x.cpu()
    counter = FlopCounterMode(display=False, custom_mapping=_UNSEEN)
    with native.switched_off(), _plain_attention(), counter:
        forecaster(x)
    return int(counter.get_total_flops()) // 2


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Have torch's own encoder layers and attention multiply matrices, one product at a time."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


Shape = Sequence[int]


def _flops_of_mv(matrix: Shape, vector: Shape, **_: object) -> int:
    """Of a dot product as well, whose matrix is a vector."""
    return 2 * prod(matrix)


def _flops_of_addmv(bias: Shape, matrix: Shape, vector: Shape, **_: object) -> int:
    return 2 * prod(matrix)


def _flops_of_lstm(x: Shape, from_input: Shape, from_past: Shape, *_: object, **__: object) -> int:
    """Of one layer and direction of oneDNN's LSTM; x is ``(S, B, I)``."""
    return 2 * prod(x[:2]) * (prod(from_input) + prod(from_past))


def _flops_of_cholesky(matrix: Shape, **_: object) -> int:
    return prod(matrix) * matrix[-1] // 3


def _flops_of_cholesky_solve(right: Shape, factor: Shape, *_: object, **__: object) -> int:
    """Of two triangular systems; the right side is ``(..., N, K)``."""
    return 2 * prod(right) * factor[-1]


_UNSEEN = {
    torch.ops.aten.dot: _flops_of_mv,
    torch.ops.aten.mv: _flops_of_mv,
    torch.ops.aten.addmv: _flops_of_addmv,
    torch.ops.aten.mkldnn_rnn_layer: _flops_of_lstm,
    torch.ops.aten.linalg_cholesky_ex: _flops_of_cholesky,
    torch.ops.aten.cholesky_solve: _flops_of_cholesky_solve,
}
"""Products that torch's counter passes over: it gives their arguments' shapes."""


def num_weights(forecaster: nn.Module) -> int:
    """Numbers that fitting sets: parameters, and the saved buffers of a closed-form fit.

    Other buffers are constants or, as those of a batch norm, statistics. A complex number is one;
    what `get_extra_state` saves is none where it is no tensor, or one of whole numbers: those are
    counts and places, or the bytes of a whole estimator.
    """
    solved = {
        id(tensor): tensor
        for part in forecaster.modules()
        if isinstance(part, ClosedFormForecaster)
        for tensor in part.state_dict(keep_vars=True).values()
        if isinstance(tensor, Tensor)
    }
    fitted = solved | {id(tensor): tensor for tensor in forecaster.parameters()}
    numbers = (each for each in fitted.values() if each.is_floating_point() or each.is_complex())
    return sum(tensor.numel() for tensor in numbers)


def reset_peak_memory(device: torch.device) -> None:
    """Start counting peak memory anew, so that a suite's runs do not inherit each other's peak.

    Off Linux the operating system has no such reset, and some containers forbid it; there a
    process's peak is that of all it did.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR_REFS.exists():
        gc.collect()
        with suppress(AttributeError, OSError):  # glibc's alone
            ctypes.CDLL(None).malloc_trim(0)  # else what earlier runs freed is still the process's
        with suppress(OSError):  # forbidden: see above
            _CLEAR_REFS.write_text("5")  # proc(5): resets the peak resident set size


def peak_memory_mb(device: torch.device) -> float | None:
    """Peak memory in MiB since the reset: of the accelerator on CUDA, else of the process.

    None on Windows, where Python is not told it.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if _STATUS.exists():
        peak_kb = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
        if peak_kb:
            return int(peak_kb[1]) / 2**10
    try:
        import resource
    except ModuleNotFoundError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
