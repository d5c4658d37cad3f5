"""Mamba-2 against its equations a step at a time, attention, and Mamba's scan."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from compared import assert_equal, assert_finite, with_gradients
from torch import Tensor, nn
from work import saved_bytes

from benchmark.cells import cell_factory, native, ssd
from benchmark.cells.mamba2 import Mamba2
from benchmark.cells.selective_scan import selective_scan
from benchmark.cells.ssd import CHUNK

B, K, P, N = 3, 2, 3, 4
double = torch.float64


around_chunks = pytest.mark.parametrize(
    "steps", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 1]
)
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # v, a, B, C, state


def ssd_inputs(steps: int, *, batch: int = B, dtype: torch.dtype = double) -> Inputs:
    generator = torch.Generator().manual_seed(steps)
    draw = partial(torch.randn, generator=generator, dtype=double)
    tensors = (
        draw(batch, steps, K, P),
        -draw(batch, steps, K).exp() / 3,
        draw(batch, steps, N),
        draw(batch, steps, N),
        draw(batch, N, K, P),
    )
    return tuple(tensor.to(dtype).requires_grad_() for tensor in tensors)  # type: ignore[return-value]


def loop(v: Tensor, a: Tensor, B: Tensor, C: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence as it is written, with autograd's gradient."""
    outputs = []
    for t in range(v.shape[1]):
        new = torch.einsum("bn,bhp->bnhp", B[:, t], v[:, t])
        h = a[:, t].exp()[:, None, :, None] * h + new
        outputs.append(torch.einsum("bn,bnhp->bhp", C[:, t], h))
    return torch.stack(outputs, dim=1), h


# --- the recurrence ------------------------------------------------------------------------------


@around_chunks
@pytest.mark.parametrize("batch", [1, B])
@pytest.mark.parametrize(("dtype", "tolerance"), [(double, 1e-12), (torch.float32, 1e-5)])
def test_the_fast_form_is_the_loop_and_so_are_its_gradients(
    engine: None, steps: int, batch: int, dtype: torch.dtype, tolerance: float
) -> None:
    inputs = ssd_inputs(steps, batch=batch, dtype=dtype)
    exact = tuple(tensor.detach().double().requires_grad_() for tensor in inputs)
    ours = with_gradients(ssd.ssd(*inputs), inputs)
    assert_equal(ours, with_gradients(loop(*exact), exact), tolerance)  # type: ignore[arg-type]


def test_gradients_are_those_of_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssd, "CHUNK", 3)
    assert torch.autograd.gradcheck(ssd.ssd, ssd_inputs(7, batch=2))


@pytest.mark.parametrize("steps", [1, 15, 16, 33])
@pytest.mark.parametrize(
    ("heads", "width", "states"), [(1, 1, 1), (3, 5, 2), (2, 16, 16), (2, 33, 17)]
)
def test_the_compiled_form_is_the_loop_at_every_width(
    steps: int, heads: int, width: int, states: int
) -> None:
    """Widths that fill no vector of any CPU, and others; 16 states have code of their own."""
    if native.operator("ssd") is None:
        pytest.skip("no C++ compiler here")
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(steps))
    inputs = (
        draw(B, steps, heads, width),
        -draw(B, steps, heads).exp(),
        draw(B, steps, states),
        draw(B, steps, states),
        draw(B, states, heads, width),
    )
    for tensor in inputs:
        tensor.requires_grad_()
    exact = tuple(tensor.detach().double().requires_grad_() for tensor in inputs)
    ours = with_gradients(ssd.ssd(*inputs), inputs)
    assert_equal(ours, with_gradients(loop(*exact), exact), 1e-5)


def test_it_is_attention_with_a_mask_that_decays() -> None:
    v, a, B_, C, state = ssd_inputs(40)
    c = a.cumsum(1).mT  # (B, K, S)
    mask = (c.unsqueeze(-1) - c.unsqueeze(-2)).tril().exp().tril()
    scores = mask * (C @ B_.mT).unsqueeze(1)
    expected = (scores @ v.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(ssd.ssd(v, a, B_, C, torch.zeros_like(state))[0], expected)


def test_with_one_channel_a_head_it_is_mambas_scan_with_one_speed_a_channel() -> None:
    generator = torch.Generator().manual_seed(0)
    x, dt = torch.randn(2, B, 30, 5, generator=generator, dtype=double).unbind()
    B_, C = torch.randn(2, B, 30, N, generator=generator, dtype=double).unbind()
    dt, A, state = nn.functional.softplus(dt), -torch.arange(1.0, 6.0), x.new_zeros(B, N, 5)
    expected, last = selective_scan(x, dt, A.to(x).expand(N, 5), B_, C, state)
    y, ours = ssd.ssd((dt * x)[..., None], dt * A, B_, C, state[..., None])
    torch.testing.assert_close(y.squeeze(-1), expected)
    torch.testing.assert_close(ours.squeeze(-1), last)


def test_a_step_that_forgets_all_does_not_blur_the_steps_after_it(engine: None) -> None:
    """Sums of decays in a chunk reach 1e4, where float32 could not tell 0.1 from 0.1005."""
    v, a, *rest = ssd_inputs(CHUNK, dtype=torch.float32)
    a = torch.full_like(a, -0.1)
    a[:, ::4] = -3000.0
    inputs = (v, a.requires_grad_(), *rest)
    exact = tuple(tensor.detach().double().requires_grad_() for tensor in inputs)
    ours = with_gradients(ssd.ssd(*inputs), inputs)
    assert_equal(ours, with_gradients(loop(*exact), exact), 1e-5)  # type: ignore[arg-type]


# --- the cell ------------------------------------------------------------------------------------


def drawn(input_size: int, hidden_size: int, **options: int) -> Mamba2:
    """A cell no parameter of which is at its first, special value."""
    torch.manual_seed(1)
    cell = Mamba2(input_size, hidden_size, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return cell


def from_the_paper(cell: Mamba2, u: Tensor) -> Tensor:
    """Equations of Section 6 and the block of Section 7, one sequence, step and head at a time."""
    heads, channels = len(cell.D), len(cell.norm)
    width, states = channels // heads, (len(cell.conv.bias) - channels) // 2
    taps = cell.conv.weight.shape[-1]
    rows = []
    for sequence in u:
        projected = sequence @ cell.in_proj.weight.T
        z, xbc = projected[:, :channels], projected[:, channels:-heads]
        dt = torch.log1p(torch.exp(projected[:, -heads:] + cell.dt_bias))
        h = [u.new_zeros(states, width) for _ in range(heads)]
        outputs = []
        for t in range(len(sequence)):
            seen = cell.conv.bias.clone()
            for k in range(taps):
                if t - k >= 0:
                    seen = seen + cell.conv.weight[:, 0, taps - 1 - k] * xbc[t - k]
            seen = seen * torch.sigmoid(seen)
            x, b, c = seen[:channels], seen[channels : channels + states], seen[-states:]
            y = []
            for head in range(heads):
                x_h = x[head * width : (head + 1) * width]
                decay = torch.exp(-dt[t, head] * torch.exp(cell.A_log[head]))
                h[head] = decay * h[head] + torch.outer(b, dt[t, head] * x_h)
                y.append(c @ h[head] + cell.D[head] * x_h)
            gated = torch.cat(y) * z[t] * torch.sigmoid(z[t])
            normed = gated / torch.sqrt((gated**2).mean() + 1e-5) * cell.norm
            outputs.append(cell.out_proj.weight @ normed)
        rows.append(torch.stack(outputs))
    return torch.stack(rows)


@pytest.mark.parametrize(
    "options", [{}, {"num_heads": 1}, {"state_size": 3, "expand": 3, "num_heads": 6}]
)
def test_outputs_and_every_gradient_are_the_papers(options: dict[str, int]) -> None:
    cell = drawn(3, 8, **options)
    x = torch.randn(2, 30, 3, dtype=double, requires_grad=True)
    parameters = (x, *cell.parameters())
    expected = with_gradients((from_the_paper(cell, x),), parameters)
    assert_equal(with_gradients((cell(x)[0],), parameters), expected, 1e-10)
    assert_equal(with_gradients((cell.sequential(x)[0],), parameters), expected, 1e-10)


def test_a_new_cell_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    cell = Mamba2(64, 64, num_heads=128)
    speeds = cell.A_log.detach().exp()
    assert 1 <= float(speeds.min()) < 2
    assert 15 < float(speeds.max()) <= 16
    dt = nn.functional.softplus(cell.dt_bias.detach())
    assert 1e-3 * 0.99 < float(dt.min()) < 2e-3
    assert float(dt.log().mean()) == pytest.approx(math.log(1e-2), abs=0.4)
    assert bool((cell.D == 1).all())
    assert bool((cell.norm == 1).all())


def test_heads_that_do_not_divide_the_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"hidden_size must be a multiple of num_heads.* 14 and 4"):
        cell_factory("mamba2", {})(3, 7)


# --- extremes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [0.0, -1e-30, -1e-8, -50.0, -1e6])
@pytest.mark.parametrize("size", [1.0, 50.0])
def test_extreme_decays_and_inputs_stay_finite(engine: None, a: float, size: float) -> None:
    v, decays, *rest = ssd_inputs(3 * CHUNK + 5, dtype=torch.float32)
    tensors = (size * v, a + 0 * decays, *rest)
    inputs = tuple(tensor.detach().requires_grad_() for tensor in tensors)
    assert_finite(with_gradients(ssd.ssd(*inputs), inputs))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0.0, 1.0, 50.0])
def test_five_thousand_steps_stay_finite(engine: None, size: float) -> None:
    torch.manual_seed(0)
    cell = Mamba2(3, 8)
    with torch.no_grad():
        cell.dt_bias[::2] += 50.0
        cell.dt_bias[1::2] -= 50.0
    x = (size * torch.randn(1, 5000, 3)).requires_grad_()
    outputs, (_, h) = cell(x)
    assert_finite(with_gradients((outputs, h), (x, *cell.parameters())))


# --- cost ----------------------------------------------------------------------------------------


def test_no_state_of_every_step_is_kept_for_the_backward_pass(engine: None) -> None:
    steps = 10 * CHUNK
    shapes = [(2, steps, 4, 32), (2, steps, 4), (2, steps, 16), (2, steps, 16), (2, 16, 4, 32)]
    inputs = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    every_state = 4 * 2 * steps * 16 * 4 * 32
    assert saved_bytes(lambda: ssd.ssd(*inputs)[0]) < every_state / 3
