"""The mLSTM against the authors' own code, its closed form, and inputs that break naive code."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from official import assert_equal, copied, mlstm_names, official_mlstm
from torch import Tensor
from work import count_work, saved_bytes

from benchmark.cells import RecurrentStack, State, cell_factory
from benchmark.cells.matrix_memory import USUAL_CHUNK, chunk_size, chunkwise, fastest, parallel
from benchmark.cells.mlstm import MLSTM
from benchmark.cells.native import operator
from benchmark.cells.scalar_memory import NOTHING_YET

D, B, N, W = 16, 3, 4, 8
double = torch.float64

every_form = pytest.mark.parametrize("form", [fastest, chunkwise, parallel])


both_engines = pytest.mark.usefixtures("engine")


def inputs(steps: int, *, dtype: torch.dtype = double, batch: int = B) -> Tensor:
    generator = torch.Generator().manual_seed(steps)
    return torch.randn(batch, steps, D, generator=generator, dtype=double).to(dtype)


def drawn() -> MLSTM:
    """A cell no parameter of which is at its first, special value."""
    torch.manual_seed(1)
    cell = MLSTM(D, D).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(std=0.4)
    return cell


def memory_inputs(steps: int, gates: float = 1.0, dtype: torch.dtype = double) -> list[Tensor]:
    """q, k, v, i and f, all of which want a gradient."""
    generator = torch.Generator().manual_seed(steps)
    shapes = [(N, steps, W)] * 3 + [(N, steps)] * 2
    drawn = [torch.randn(shape, generator=generator, dtype=double) for shape in shapes]
    sizes = [1, W**-0.5, 1, gates, gates]
    return [(size * x).to(dtype).requires_grad_() for size, x in zip(sizes, drawn, strict=True)]


def empty(dtype: torch.dtype = double) -> State:
    C = torch.zeros(N, W, W, dtype=dtype)
    return C, C[..., 0], torch.full((N,), NOTHING_YET, dtype=dtype)


# --- ours / theirs -------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("form", ["fastest", "chunkwise", "parallel"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(double, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("steps", [2, 40, 41, 90])
def test_outputs_and_every_gradient_are_the_authors(
    steps: int, dtype: torch.dtype, tolerance: float, form: str
) -> None:
    torch.manual_seed(steps)
    ours = MLSTM(D, D, form=form).to(dtype)  # type: ignore[arg-type]
    theirs = official_mlstm(D, steps).to(dtype)
    copied(ours, theirs, mlstm_names)
    assert_equal(ours, theirs, mlstm_names, inputs(steps, dtype=dtype), tolerance)


@pytest.mark.parametrize("blocks", [1, 4])
def test_a_new_layer_starts_as_the_authors_does(blocks: int) -> None:
    torch.manual_seed(0)
    ours, theirs = MLSTM(128, 128), official_mlstm(128, 4, blocks)
    ours.reset_parameters(layers=blocks)
    expected = mlstm_names(dict(theirs.named_parameters()))
    for name in ("norm.weight", "skip", "gates.weight"):
        torch.testing.assert_close(ours.get_parameter(name), expected[name])
    torch.testing.assert_close(ours.gates.bias[4:], expected["gates.bias"][4:])
    assert float(ours.gates.bias[:4].detach().abs().max()) < 0.5
    for name, tensor in expected.items():
        spread = float(ours.get_parameter(name).detach().std())
        assert spread == pytest.approx(float(tensor.detach().std()), rel=0.1), name


# --- its own properties --------------------------------------------------------------------------


@every_form
@pytest.mark.parametrize("steps", [1, 3, 43])
def test_the_memory_is_attention_that_fades(form: type[chunkwise], steps: int) -> None:
    q, k, v, i, f = (x.detach() for x in memory_inputs(steps))
    h, _ = form(q, k, v, i, f, empty())
    log_f = torch.nn.functional.logsigmoid(f)
    for head in range(N):
        for t in range(steps):
            scores = [
                (q[head, t] @ k[head, s]) * (i[head, s] + log_f[head, s + 1 : t + 1].sum()).exp()
                for s in range(t + 1)
            ]
            read = sum(score * v[head, s] for s, score in enumerate(scores))
            expected = read / max(abs(sum(scores)), 1.0)
            torch.testing.assert_close(h[head, t], expected, rtol=1e-4, atol=1e-5)  # eps is 1e-6


@pytest.mark.parametrize("gates", [1.0, 50.0])
@pytest.mark.parametrize("steps", [1, 27, 40, 41, 80, 120, 131])
def test_chunks_are_all_pairs_of_steps_at_once(steps: int, gates: float) -> None:
    """From a memory that holds something, with gradients of all that goes in."""
    sources = memory_inputs(steps, gates)
    state = [torch.randn(s.shape, dtype=double).requires_grad_() for s in empty()]
    results = []
    for form in (chunkwise, parallel):
        h, last = form(*sources, tuple(state))
        loss = (h * torch.linspace(-1, 1, W).to(h)).sum() + sum(x.square().sum() for x in last)
        results.append([h, *last, *torch.autograd.grad(loss, [*sources, *state])])
    for ours, reference in zip(*results, strict=True):
        scale = float(reference.detach().abs().max())
        torch.testing.assert_close(ours, reference, rtol=1e-8, atol=1e-9 * max(scale, 1))


@pytest.mark.parametrize("gates", [1.0, 5.0])
@pytest.mark.parametrize(("width", "steps"), [(4, 9), (8, 1), (16, 30), (32, 50), (64, 7)])
def test_the_compiled_steps_are_all_pairs_of_steps_at_once(
    width: int, steps: int, gates: float
) -> None:
    """At widths that fill vectors and that do not; the reference is in float64."""
    if operator("matrix_memory") is None:
        pytest.skip("no C++ compiler here")
    generator = torch.Generator().manual_seed(width)
    shapes = [(3, steps, width)] * 3 + [(3, steps)] * 2 + [(3, width, width), (3, width), (3,)]
    sizes = [1, width**-0.5, 1, gates, gates, 1, 1, 1]
    drawn = [
        size * torch.randn(shape, generator=generator)
        for shape, size in zip(shapes, sizes, strict=True)
    ]
    results = []
    for form, dtype in ((fastest, torch.float32), (parallel, double)):
        sources = [x.to(dtype).requires_grad_() for x in drawn]
        h, last = form(*sources[:5], tuple(sources[5:]))
        loss = h.sin().sum() + sum(x.cos().sum() for x in last)
        results.append([h, *last, *torch.autograd.grad(loss, sources)])
    for ours, reference in zip(*results, strict=True):
        scale = float(reference.detach().abs().max())
        torch.testing.assert_close(
            ours.double(), reference, rtol=1e-3, atol=5e-5 * max(scale, 1e-3)
        )


def test_heads_too_wide_for_the_cache_are_taken_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.cells.matrix_memory.WIDEST_COMPILED", W - 1)
    sources = memory_inputs(50, dtype=torch.float32)
    state = empty(torch.float32)
    assert torch.equal(fastest(*sources, state)[0], chunkwise(*sources, state)[0])


@pytest.mark.parametrize("steps", [1, 5])
def test_the_gradient_of_a_chunk_is_that_of_finite_differences(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.cells.matrix_memory.chunk_size", lambda _: 2)
    state = [torch.randn(s.shape, dtype=double).requires_grad_() for s in empty()]

    def run(*x: Tensor) -> tuple[Tensor, ...]:
        h, last = chunkwise(*x[:5], x[5:])
        return h, *last

    assert torch.autograd.gradcheck(run, (*memory_inputs(steps), *state), fast_mode=False)


def test_without_its_lower_bound_the_input_gate_counts_only_relative_to_itself() -> None:
    q, k, v, i, f = (x.detach() for x in memory_inputs(50))
    q, k = q.abs(), k.abs()  # so that |n . q| decides
    h, _ = chunkwise(q, k, v, i + 12, f, empty())
    more, _ = chunkwise(q, k, v, i + 15, f, empty())
    torch.testing.assert_close(h, more, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("steps", "added"), [(40, 0), (41, 7), (96, 0), (336, 0), (720, 0)])
def test_chunks_are_of_a_usual_size_and_few_steps_are_added(steps: int, added: int) -> None:
    assert chunk_size(steps) in USUAL_CHUNK
    assert -steps % chunk_size(steps) == added


def test_the_expanded_width_is_rounded_up_to_64() -> None:
    assert [len(MLSTM(D, d).skip) for d in (8, 32, 33)] == [64, 64, 128]
    assert len(MLSTM(D, 64, expansion=1.0).skip) == 64


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expanded width must be a multiple of .* 64 and 12"):
        cell_factory("mlstm", {"num_heads": 3})(D, D)


# --- extremes ------------------------------------------------------------------------------------


def assert_finite(form: type[chunkwise], sources: list[Tensor]) -> None:
    state = tuple(tensor.requires_grad_() for tensor in empty(sources[0].dtype))
    h, last = form(*sources, state)
    assert all(bool(torch.isfinite(x).all()) for x in (h, *last))
    normed = torch.nn.functional.layer_norm(h, (W,))
    loss = normed.sum() + h.square().sum() + last[0].sum() + last[1].sum()
    for gradient in torch.autograd.grad(loss, [*sources, *state]):
        assert bool(torch.isfinite(gradient).all())


@every_form
@pytest.mark.parametrize("size", [50.0, 200.0])
def test_extreme_gates_stay_finite_forward_and_backward(form: type[chunkwise], size: float) -> None:
    q, k, v, i, f = memory_inputs(200, dtype=torch.float32)
    i, f = ((size * gate.detach().sign()).requires_grad_() for gate in (i, f))
    assert_finite(form, [q, k, v, i, f])


@every_form
@pytest.mark.parametrize("forget", [-50.0, 0.0, 50.0])
def test_input_gates_that_are_closed_throughout_stay_finite(
    form: type[chunkwise], forget: float
) -> None:
    q, k, v, i, f = memory_inputs(103, dtype=torch.float32)  # the last chunk is filled
    closed = torch.full_like(i, -100.0).requires_grad_()
    assert_finite(form, [q, k, v, closed, (f.detach() + forget).requires_grad_()])


@both_engines
def test_a_layer_whose_input_gates_are_closed_or_open_wide_stays_finite() -> None:
    for bias in (-100.0, 100.0):
        cell = MLSTM(D, D)
        with torch.no_grad():
            cell.gates.bias[:4] = bias
        x = inputs(70, dtype=torch.float32).requires_grad_()
        for run in (cell, cell.sequential):
            outputs, _ = run(x)
            gradients = torch.autograd.grad(outputs.square().sum(), [x, *cell.parameters()])
            assert all(bool(torch.isfinite(x).all()) for x in (outputs, *gradients))


@pytest.mark.parametrize("form", [fastest, chunkwise])
def test_five_thousand_steps_stay_finite_and_exact(form: type[chunkwise]) -> None:
    double_sources = memory_inputs(5000, gates=50.0)
    sources = [x.detach().float().requires_grad_() for x in double_sources]
    assert_finite(form, sources)
    h, _ = form(*sources, empty(torch.float32))
    rounded = [x.detach().double() for x in sources]
    exact, _ = chunkwise(*rounded, empty())
    assert float((h - exact).detach().abs().max() / exact.abs().max()) < 1e-4


# --- cost ----------------------------------------------------------------------------------------


def train(cell: MLSTM, steps: int) -> None:
    cell(inputs(steps))[0].sum().backward()


@pytest.mark.parametrize(("form", "grows"), [("chunkwise", 1.02), ("parallel", math.inf)])
def test_twice_the_steps_are_twice_the_work_in_chunks(form: str, grows: float) -> None:
    cell = MLSTM(D, D, form=form).double()  # type: ignore[arg-type]
    work = [count_work(partial(train, cell, steps)) for steps in (280, 560, 840)]
    ratio = (work[2] - work[1]) / (work[1] - work[0])
    assert ratio <= grows
    if form == "parallel":
        assert ratio > 1.3, "the test itself must see what is quadratic"


@both_engines
def test_training_keeps_no_more_than_three_times_what_a_gru_keeps() -> None:
    x = torch.randn(8, 336, 64)
    gru = torch.nn.GRU(64, 64, num_layers=2, batch_first=True)
    ours = RecurrentStack(cell_factory("mlstm", {}), 64, 64, layers=2)
    assert saved_bytes(lambda: ours(x).outputs) <= 3 * saved_bytes(lambda: gru(x)[0])
