"""Mamba against mambapy and against loops; its scan in plain torch and compiled."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from functools import partial
from types import ModuleType, SimpleNamespace

import pytest
import torch
from compared import assert_equal, assert_finite, with_gradients
from torch import Tensor, nn
from work import saved_bytes

from benchmark.cells import native, selective_scan
from benchmark.cells.mamba import DT_RANGE, Mamba
from benchmark.cells.selective_scan import CHUNK, NATIVE_CHUNK, PlainScan, scan_with_state

D, B = 16, 3
double = torch.float64
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]  # x, dt, A, B, C, state


def scan_inputs(
    steps: int, *, width: int = 5, states: int = 3, batch: int = B, dtype: torch.dtype = double
) -> Inputs:
    generator = torch.Generator().manual_seed(steps)
    draw = partial(torch.randn, generator=generator, dtype=double)
    tensors = (
        draw(batch, steps, width),
        nn.functional.softplus(draw(batch, steps, width)),
        -draw(states, width).exp(),
        draw(batch, steps, states),
        draw(batch, steps, states),
        draw(batch, states, width),
    )
    return tuple(tensor.to(dtype).requires_grad_() for tensor in tensors)  # type: ignore[return-value]


def loop(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor) -> tuple[Tensor, ...]:
    """The scan as it is written, with autograd's gradient."""
    outputs = []
    for t in range(x.shape[1]):
        h = torch.exp(dt[:, t, None] * A) * h + (dt * x)[:, t, None] * B[:, t, :, None]
        outputs.append((C[:, t, :, None] * h).sum(1))
    return torch.stack(outputs, dim=1), h


# --- ours / theirs -------------------------------------------------------------------------------


def package_block(pscan: bool) -> nn.Module:
    mambapy = pytest.importorskip("mambapy.mamba", reason="a reference, in the extra 'dev'")
    config = mambapy.MambaConfig(d_model=D, n_layers=1, d_state=16, pscan=pscan)
    block: nn.Module = mambapy.MambaBlock(config)
    return block


@pytest.mark.parametrize("pscan", [False, True])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_outputs_and_every_gradient_are_the_packages(engine: None, pscan: bool, steps: int) -> None:
    torch.manual_seed(steps)
    ours, theirs = Mamba(D, D), package_block(pscan)
    names = {name: name.replace("conv.", "conv1d.") for name, _ in ours.named_parameters()}
    assert set(names.values()) == {name for name, _ in theirs.named_parameters()}
    with torch.no_grad():
        for name, other in names.items():
            parameter = ours.get_parameter(name)
            parameter += 0.3 * torch.randn_like(parameter)  # none at its first, special value
            theirs.get_parameter(other).copy_(parameter)
    x = torch.randn(B, steps, D)
    mine = with_gradients((ours(x)[0],), [ours.get_parameter(name) for name in names])
    reference = with_gradients((theirs(x),), [theirs.get_parameter(n) for n in names.values()])
    assert_equal(mine, reference, 1e-4)


def test_a_new_cell_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    cell = Mamba(64, 64)
    torch.testing.assert_close(cell.A_log[5].exp(), torch.arange(1.0, 17.0))
    assert bool((cell.D == 1).all())
    dt = nn.functional.softplus(cell.dt_proj.bias.detach())
    low, high = DT_RANGE
    assert low * 0.99 < float(dt.min()) < 2 * low
    assert high / 2 < float(dt.max()) < high * 1.01
    assert float(dt.log().mean()) == pytest.approx((math.log(low) + math.log(high)) / 2, abs=0.4)
    assert cell.dt_proj.weight.shape == (128, 4), "rank D / 16"
    assert 0.4 < float(cell.dt_proj.weight.detach().abs().max()) <= 0.5


# --- the scan ------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 2])
@pytest.mark.parametrize("batch", [1, B])
def test_the_plain_scan_is_the_loop(steps: int, batch: int) -> None:
    inputs = scan_inputs(steps, batch=batch)
    ours = with_gradients(PlainScan.apply(*inputs), inputs)  # type: ignore[no-untyped-call]
    assert_equal(ours, with_gradients(loop(*inputs), inputs), 1e-12)


def test_gradients_of_the_plain_scan_are_those_of_finite_differences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selective_scan, "CHUNK", 2)
    inputs = scan_inputs(5, width=2, states=2, batch=2)
    assert torch.autograd.gradcheck(PlainScan.apply, inputs)


@pytest.mark.parametrize("steps", [1, NATIVE_CHUNK - 1, NATIVE_CHUNK, 2 * NATIVE_CHUNK + 1])
@pytest.mark.parametrize(
    ("width", "states"), [(1, 1), (1, 37), (5, 2), (16, 16), (40, 16), (33, 17)]
)
def test_both_scans_are_the_loop_at_every_width(
    engine: None, steps: int, width: int, states: int
) -> None:
    """Widths that fill no vector of any CPU, and others; 1 channel and 16 states have own code."""
    inputs = scan_inputs(steps, width=width, states=states, dtype=torch.float32)
    exact = tuple(tensor.detach().double().requires_grad_() for tensor in inputs)
    ours = with_gradients(selective_scan.selective_scan(*inputs), inputs)
    assert_equal(ours, with_gradients(loop(*exact), exact), 1e-5)


def test_a_scan_takes_tensors_as_they_lie(engine: None) -> None:
    inputs = scan_inputs(20, dtype=torch.float32)
    strided = [tensor.mT.contiguous().mT for tensor in inputs]
    expected = selective_scan.selective_scan(*inputs)
    for ours, theirs in zip(selective_scan.selective_scan(*strided), expected, strict=True):  # type: ignore[arg-type]
        assert torch.equal(ours, theirs)


def test_the_compiled_scan_does_not_depend_on_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if native.operator("selective_scan") is None:
        pytest.skip("no C++ compiler here")
    inputs = scan_inputs(40, width=20, batch=7, dtype=torch.float32)
    results = []
    for threads in (1, 2, 7):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        results.append(with_gradients(selective_scan.selective_scan(*inputs), inputs))
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_without_time_nothing_changes_and_after_much_time_nothing_is_left(engine: None) -> None:
    x, dt, A, B_, C, state = scan_inputs(30, dtype=torch.float32)
    _, frozen = selective_scan.selective_scan(x, torch.zeros_like(dt), A, B_, C, state)
    assert torch.equal(frozen, state)
    _, fresh = selective_scan.selective_scan(x, torch.full_like(dt, 1e4), A, B_, C, state)
    torch.testing.assert_close(fresh, 1e4 * x[:, -1, None] * B_[:, -1, :, None])


# --- extremes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [1e-30, 1e-8, 1.0, 80.0, 1e6])
@pytest.mark.parametrize("size", [1.0, 50.0])
def test_extreme_steps_and_inputs_stay_finite(engine: None, dt: float, size: float) -> None:
    x, _, A, *rest = scan_inputs(70, dtype=torch.float32)
    inputs = [tensor.detach().requires_grad_() for tensor in (size * x, dt + 0 * x, A, *rest)]
    assert_finite(with_gradients(selective_scan.selective_scan(*inputs), inputs))


@pytest.mark.parametrize("size", [0.0, 1.0, 50.0])
def test_five_thousand_steps_stay_finite(engine: None, size: float) -> None:
    torch.manual_seed(0)
    cell = Mamba(3, 8)
    with torch.no_grad():
        cell.dt_proj.bias[::2] += 50.0
        cell.dt_proj.bias[1::2] -= 50.0
    x = (size * torch.randn(1, 5000, 3)).requires_grad_()
    outputs, (_, h) = cell(x)
    assert_finite(with_gradients((outputs, h), [x, *cell.parameters()]))


def test_a_convolution_of_one_step_and_one_state_a_channel_work() -> None:
    cell = Mamba(3, 5, state_size=1, expand=1, conv_width=1).double()
    x = torch.randn(2, 9, 3, dtype=double)
    torch.testing.assert_close(cell(x)[0], cell.sequential(x)[0])


# --- cost ----------------------------------------------------------------------------------------


def test_no_state_of_every_step_is_kept_for_the_backward_pass(engine: None) -> None:
    inputs = scan_inputs(160, width=32, states=16, dtype=torch.float32)
    every_state = 4 * B * 160 * 16 * 32
    assert saved_bytes(lambda: selective_scan.selective_scan(*inputs)[0]) < every_state / 3


# --- the official kernel -------------------------------------------------------------------------


def stateless(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """What ``mamba_ssm`` computes, in its layout: from zero, and without a last state."""
    state = x.new_zeros(len(x), A.shape[1], A.shape[0])
    return loop(x.mT, dt.mT, A.T, B.mT, C.mT, state)[0].mT


@pytest.mark.parametrize("dtype", [double, torch.float32])
def test_a_scan_that_knows_no_state_can_be_given_one(dtype: torch.dtype) -> None:
    inputs = scan_inputs(12, dtype=dtype)
    ours = with_gradients(scan_with_state(stateless, *inputs), inputs)
    assert_equal(ours, with_gradients(loop(*inputs), inputs), {double: 1e-9}.get(dtype, 1e-5))


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A ``mamba_ssm`` as it is imported, with or without its CUDA part."""
    interface = SimpleNamespace(selective_scan_fn=stateless, selective_scan_cuda=object())
    name = "mamba_ssm.ops.selective_scan_interface"
    for part in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    monkeypatch.setitem(sys.modules, name, interface)
    selective_scan._official_scan.cache_clear()
    yield interface
    selective_scan._official_scan.cache_clear()


def test_the_official_kernel_is_used_only_where_it_was_built(package: SimpleNamespace) -> None:
    assert selective_scan._official_scan() is stateless
    package.selective_scan_cuda = None
    selective_scan._official_scan.cache_clear()
    assert selective_scan._official_scan() is None


def test_without_the_package_there_is_no_official_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)  # an import of it fails
    selective_scan._official_scan.cache_clear()
    assert selective_scan._official_scan() is None
    selective_scan._official_scan.cache_clear()
