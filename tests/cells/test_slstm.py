"""The sLSTM against the authors' own code, its closed form, and inputs that break naive code."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from official import assert_equal, copied, official_slstm, slstm_names
from torch import Tensor

from benchmark.cells import cell_factory
from benchmark.cells.native import operator
from benchmark.cells.scalar_memory import NOTHING_YET, log_forget, scalar_memory
from benchmark.cells.slstm import SLSTM

D, B, K, W = 16, 3, 4, 4
double = torch.float64


both_engines = pytest.mark.usefixtures("engine")
both_gates = pytest.mark.parametrize("kind", ["sigmoid", "exponential"])


def inputs(steps: int, *shape: int, dtype: torch.dtype = double, batch: int = B) -> Tensor:
    generator = torch.Generator().manual_seed(steps)
    return torch.randn(batch, steps, *(shape or (D,)), generator=generator, dtype=double).to(dtype)


def drawn(**options: object) -> SLSTM:
    """A cell no parameter of which is at its first, special value."""
    torch.manual_seed(1)
    cell = SLSTM(D, D, **options).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(std=0.4)
    return cell


def empty(batch: int, dtype: torch.dtype = double) -> tuple[Tensor, ...]:
    zeros = torch.zeros(batch, K, W, dtype=dtype)
    return zeros, zeros, zeros, torch.full_like(zeros, NOTHING_YET)


# --- ours / theirs -------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize(("dtype", "tolerance"), [(double, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("steps", [1, 5, 40])
def test_outputs_and_every_gradient_are_the_authors(
    steps: int, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(steps)
    ours, theirs = SLSTM(D, D).to(dtype), official_slstm(D).to(dtype)
    copied(ours, theirs, slstm_names)
    assert_equal(ours, theirs, slstm_names, inputs(steps, dtype=dtype), tolerance)


@pytest.mark.parametrize(("block", "blocks"), [(0, 1), (1, 3), (2, 3)])
def test_a_new_layer_starts_as_the_authors_does(block: int, blocks: int) -> None:
    torch.manual_seed(0)
    ours, theirs = SLSTM(128, 128), official_slstm(128, block, blocks)
    ours.reset_parameters(depth=block / max(blocks - 1, 1))
    expected = slstm_names(dict(theirs.named_parameters()))
    for name in ("bias", "norm.weight", "gates_from_past.weight"):
        torch.testing.assert_close(ours.get_parameter(name), expected[name])
    for name, tensor in expected.items():
        spread = float(ours.get_parameter(name).detach().std())
        assert spread == pytest.approx(float(tensor.detach().std()), rel=0.1), name


# --- its own properties --------------------------------------------------------------------------


@both_gates
def test_without_r_the_hidden_state_is_a_weighted_mean_of_what_was_written(
    kind: Literal["sigmoid", "exponential"],
) -> None:
    gates = inputs(9, K, 4 * W)
    hs, _ = scalar_memory(gates, torch.zeros(K, 4 * W, W, dtype=double), empty(B), kind)
    i, f, z, o = gates.chunk(4, dim=-1)
    log_f = log_forget(f, kind)
    for t in range(9):
        logs = [i[:, s] + log_f[:, s + 1 : t + 1].sum(1) for s in range(t + 1)]
        weights = torch.stack(logs, dim=1).exp()
        mean = (weights * torch.tanh(z[:, : t + 1])).sum(1) / weights.sum(1)
        torch.testing.assert_close(hs[:, t], torch.sigmoid(o[:, t]) * mean)


def test_the_input_gate_counts_only_relative_to_itself() -> None:
    cell, x = drawn(), inputs(30)
    before = cell(x)[0]
    with torch.no_grad():
        cell.bias[:, :W] += 7.0
    torch.testing.assert_close(cell(x)[0], before)


def test_heads_do_not_mix_over_time() -> None:
    """After the first step, of which the convolution sees nothing, only a head's own h remains."""
    cell, x = drawn(taps=1), inputs(6)
    disturbed = x.clone()
    disturbed[:, 0, :W] += 1.0  # the first head's
    changed = (cell(x)[0] != cell(disturbed)[0]).any(dim=(0, 1))
    assert changed[:W].all()
    assert not changed[W:].any()


def test_a_convolution_of_one_tap_is_left_out() -> None:
    assert drawn(taps=1).conv is None
    assert drawn(taps=1).initial_state(inputs(2))[-1].shape == (B, 0, D)


def test_equal_widths_need_no_projection_and_others_one() -> None:
    assert not list(SLSTM(D, D).embed.parameters())
    assert SLSTM(3, D).embed.weight.shape == (D, 3)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"hidden_size must be a multiple of num_heads.* 10 and 4"):
        cell_factory("slstm", {})(D, 10)


def test_heads_one_channel_wide_work() -> None:
    cell = SLSTM(3, 4)
    assert bool(torch.isfinite(cell(torch.randn(2, 5, 3))[0]).all())


# --- extremes ------------------------------------------------------------------------------------


def assert_finite(gates: Tensor, kind: Literal["sigmoid", "exponential"] = "sigmoid") -> None:
    gates = gates.requires_grad_()
    R = (0.3 * torch.randn(K, 4 * W, W, generator=torch.Generator().manual_seed(0))).to(gates)
    state = tuple(tensor.requires_grad_() for tensor in empty(len(gates), gates.dtype))
    hs, last = scalar_memory(gates, R.requires_grad_(), state, kind)
    assert bool((hs.abs() <= 1 + 1e-5).all()), "a mean of tanh, gated"
    loss = hs.square().sum() + last[1].sum() + last[2].sum()
    for gradient in torch.autograd.grad(loss, [gates, R, *state], allow_unused=True):
        assert gradient is None or bool(torch.isfinite(gradient).all())


@both_engines
@both_gates
@pytest.mark.parametrize("size", [50.0, 200.0])
def test_extreme_gates_stay_finite_forward_and_backward(
    size: float, kind: Literal["sigmoid", "exponential"]
) -> None:
    gates = size * inputs(200, K, 4 * W, dtype=torch.float32).sign()
    if kind == "exponential":  # a forget gate above 1 amplifies without bound, and is meant to
        gates[..., W : 2 * W] = -gates[..., W : 2 * W].abs()
    assert_finite(gates, kind)


@both_engines
def test_input_gates_that_are_closed_throughout_stay_finite() -> None:
    gates = inputs(50, K, 4 * W, dtype=torch.float32)
    gates[..., :W] = -100.0
    assert_finite(gates)


@both_engines
@pytest.mark.parametrize("batch", [1, 2])
def test_five_thousand_steps_stay_finite(batch: int) -> None:
    assert_finite(30 * inputs(5000, K, 4 * W, dtype=torch.float32, batch=batch))


def test_extreme_gates_follow_the_loop() -> None:
    cell, x = drawn(), 40 * inputs(100)
    torch.testing.assert_close(cell(x)[0], cell.sequential(x)[0], rtol=1e-9, atol=1e-9)


# --- compiled ------------------------------------------------------------------------------------


@both_gates
@pytest.mark.parametrize(
    "shape", [(5, 20, 4, 4), (3, 9, 2, 16), (9, 7, 1, 20), (1, 5, 3, 1)], ids=str
)
def test_the_compiled_loops_are_the_plain_ones(
    shape: tuple[int, ...],
    kind: Literal["sigmoid", "exponential"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At batches and widths that fill vectors and blocks of rows, and that do not."""
    if operator("scalar_memory") is None:
        pytest.skip("no C++ compiler here")
    batch, steps, heads, width = shape
    generator = torch.Generator().manual_seed(2)

    def draw(*size: int, scale: float = 1.0) -> Tensor:
        return (scale * torch.randn(size, generator=generator)).requires_grad_()

    gates, R = (
        draw(batch, steps, heads, 4 * width, scale=3),
        draw(heads, 4 * width, width, scale=0.3),
    )
    h, c, m = (draw(batch, heads, width) for _ in range(3))
    n = (1 + draw(batch, heads, width).detach().abs()).requires_grad_()
    results = []
    for native in ("1", "0"):
        monkeypatch.setenv("BENCHMARK_NATIVE", native)
        hs, last = scalar_memory(gates, R, (h, c, n, m), kind)
        for outside in (0.0, 1.0):  # without and with a use of c, n and m
            loss = hs.square().sum() + outside * sum(tensor.sin().sum() for tensor in last)
            results.append(
                [hs, *last, *torch.autograd.grad(loss, [gates, R, h, c, n, m], retain_graph=True)]
            )
    for compiled, plain in ((results[0], results[2]), (results[1], results[3])):
        for ours, reference in zip(compiled, plain, strict=True):
            scale = float(reference.detach().abs().max())
            torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-5 * scale)
