"""Every cell of ours, and the options of each: step, loop and fast path are one function.

A new file in ``benchmark/cells`` is tested here without a line being added.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode
from work import count_work

import benchmark.cells
from benchmark.cells import Cell, State, cell_factory, cell_names
from benchmark.config import signature_schema
from benchmark.errors import UserError

I, D, B = 3, 8, 4  # noqa: E741 - input width, hidden width, batch
LENGTHS = (1, 2, 7, 64, 67)  # below, at and above the lengths at which a fast path may cut
TOLERANCE = {torch.float64: 1e-10, torch.float32: 5e-5}  # a head two channels wide is steep


def choices(annotation: Any) -> tuple[Any, ...]:
    """Values of an option that has but a few."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return (False, True) if annotation is bool else ()


def variants() -> Iterator[Any]:
    """Every cell with its defaults, and with every value of each option that has but a few."""
    for name in cell_names():
        yield pytest.param(name, {}, id=name)
        fields = signature_schema(type(cell_factory(name, {})(I, D))).model_fields
        for option, field in fields.items():
            for value in choices(field.annotation):
                if value != field.default:
                    yield pytest.param(name, {option: value}, id=f"{name}-{option}={value}")


every_cell = pytest.mark.parametrize(("name", "options"), list(variants()))
each_dtype = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def build(name: str, options: dict[str, Any], dtype: torch.dtype = torch.float64) -> Cell:
    torch.manual_seed(5)
    return cell_factory(name, options)(I, D).to(dtype)


def inputs(steps: int, dtype: torch.dtype = torch.float64, batch: int = B) -> Tensor:
    generator = torch.Generator().manual_seed(steps)
    return torch.randn(batch, steps, I, generator=generator, dtype=torch.float64).to(dtype)


def assert_same(ours: State, theirs: State, tolerance: float) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def gradients(cell: Cell, x: Tensor, outputs: Tensor, state: State) -> tuple[Tensor, ...]:
    """Of a weighted sum of outputs and last state, so that no two elements cancel."""
    generator = torch.Generator().manual_seed(9)
    loss = sum(
        (part * torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part)).sum()
        for part in (outputs, *state)
    )
    return torch.autograd.grad(loss, [x, *cell.parameters()], allow_unused=True)  # type: ignore[arg-type]


def gradients_of(outputs: Tensor, source: Tensor) -> tuple[Tensor, ...]:
    weights = torch.arange(outputs.numel(), dtype=outputs.dtype).sin().view_as(outputs)
    return torch.autograd.grad((outputs * weights).sum(), [source], retain_graph=True)


# --- four faces, one function --------------------------------------------------------------------


@each_dtype
@every_cell
@pytest.mark.parametrize("steps", LENGTHS)
def test_the_fast_path_is_the_loop_and_so_are_its_gradients(
    name: str, options: dict[str, Any], steps: int, dtype: torch.dtype
) -> None:
    cell, tolerance = build(name, options, dtype), TOLERANCE[dtype]
    x = inputs(steps, dtype).requires_grad_()
    fast, fast_state = cell(x)
    slow, slow_state = cell.sequential(x)
    assert fast.shape == (B, steps, D)
    assert fast.dtype == dtype
    assert_same((fast, *fast_state), (slow, *slow_state), tolerance)
    theirs = gradients(cell, x, slow, slow_state)
    for ours, reference in zip(gradients(cell, x, fast, fast_state), theirs, strict=True):
        assert (ours is None) == (reference is None)
        if ours is not None:
            scale = float(reference.abs().max())
            torch.testing.assert_close(ours, reference, rtol=tolerance, atol=tolerance * scale)


@every_cell
def test_one_step_is_a_sequence_of_one(name: str, options: dict[str, Any]) -> None:
    cell, x = build(name, options), inputs(1, batch=1)
    h, state = cell.step(x[:, 0], cell.initial_state(x[:, 0]))
    outputs, last = cell(x)
    assert h.shape == (1, D)
    assert_same((h, *state), (outputs[:, 0], *last), 1e-10)


@every_cell
@pytest.mark.parametrize("kinds", [1, 2, B])
def test_a_fork_is_a_step_from_the_same_state_for_each_input(
    name: str, options: dict[str, Any], kinds: int
) -> None:
    cell, x = build(name, options), inputs(5).requires_grad_()
    _, state = cell(x)  # not the first state: every part of it counts
    several = inputs(3, batch=kinds).requires_grad_()
    forked = cell.fork(several, state)
    stepped = torch.stack(
        [
            torch.cat(
                [
                    cell.step(several[n % kinds, m][None], tuple(part[[n]] for part in state))[0]
                    for n in range(B)
                ]
            )
            for m in range(3)
        ],
        dim=1,
    )
    torch.testing.assert_close(forked, stepped)
    for source in (x, several):
        (ours,) = gradients_of(forked, source)
        (reference,) = gradients_of(stepped, source)
        scale = float(reference.abs().max())
        torch.testing.assert_close(ours, reference, rtol=1e-8, atol=1e-8 * scale)


@pytest.mark.parametrize("name", ["elman", "gru", "lstm"])
def test_a_fork_multiplies_each_input_and_each_state_once(name: str) -> None:
    cell, several = build(name, {}), inputs(5, batch=2)
    state = cell.initial_state(several.new_zeros(6, I))
    with FlopCounterMode(display=False) as counted:
        cell.fork(several, state)
    gates = {"elman": 1, "gru": 3, "lstm": 4}[name]
    assert counted.get_total_flops() == 2 * gates * D * (2 * 5 * I + 6 * D)


@every_cell
@pytest.mark.parametrize("cut", [1, 30, 66])
def test_a_sequence_read_in_two_parts_is_the_sequence_read_whole(
    name: str, options: dict[str, Any], cut: int
) -> None:
    cell, x = build(name, options), inputs(67)
    whole, last = cell(x)
    first, state = cell(x[:, :cut])
    kept = tuple(tensor.clone() for tensor in state)
    second, resumed = cell(x[:, cut:], state)
    assert_same((torch.cat([first, second], dim=1), *resumed), (whole, *last), 1e-10)
    slow, slow_last = cell.sequential(x[:, cut:], state)
    assert_same((slow, *slow_last), (second, *resumed), 1e-10)
    assert all(map(torch.equal, state, kept)), "a state that was handed over is not written to"


@every_cell
def test_a_state_survives_being_saved(name: str, options: dict[str, Any]) -> None:
    cell, x = build(name, options), inputs(20)
    buffer = io.BytesIO()
    torch.save(cell(x[:, :9])[1], buffer)
    buffer.seek(0)
    torch.testing.assert_close(cell(x[:, 9:], torch.load(buffer))[0], cell(x)[0][:, 9:])


@pytest.mark.parametrize("name", ["elman", "gru", "lstm", "slstm", "mamba", "mamba2"])
def test_twice_the_steps_are_twice_the_work(name: str) -> None:
    cell = build(name, {})

    def train(steps: int) -> None:
        cell(inputs(steps))[0].sum().backward()

    work = [count_work(partial(train, steps)) for steps in (64, 128, 192)]
    assert work[2] - work[1] <= 1.02 * (work[1] - work[0])


@every_cell
def test_gradients_flow_through_the_state_that_is_handed_over(
    name: str, options: dict[str, Any]
) -> None:
    cell, x = build(name, options), inputs(12).requires_grad_()
    whole, _ = cell(x)
    _, state = cell(x[:, :5])
    resumed, _ = cell(x[:, 5:], state)
    (expected,) = torch.autograd.grad(whole[:, -1].square().sum(), x)
    (got,) = torch.autograd.grad(resumed[:, -1].square().sum(), x)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)
    assert bool(expected[:, :5].any())


@every_cell
def test_gradients_are_those_of_finite_differences(name: str, options: dict[str, Any]) -> None:
    cell = build(name, options)
    names, values = zip(*cell.named_parameters(), strict=True)

    def run(x: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        outputs, state = functional_call(cell, dict(zip(names, parameters, strict=True)), (x,))
        return (outputs, *state)

    x = inputs(5, batch=2).requires_grad_()
    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)


# --- what a recurrence may see -------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize("t", [0, 1, 31, 63, 64, 66])
def test_no_output_depends_on_a_later_step(name: str, options: dict[str, Any], t: int) -> None:
    cell, x = build(name, options), inputs(67)
    disturbed = x.clone()
    disturbed[:, t] += 3.0
    for run in (cell, cell.sequential):
        before, after = run(x)[0], run(disturbed)[0]
        assert torch.equal(before[:, :t], after[:, :t]), "bit for bit"
        assert not torch.equal(before[:, t], after[:, t])


@every_cell
def test_a_sequence_does_not_depend_on_the_others_of_its_batch(
    name: str, options: dict[str, Any]
) -> None:
    cell, x = build(name, options), inputs(20)
    outputs, state = cell(x)
    alone = [cell(x[row : row + 1]) for row in range(B)]
    assert_same((outputs,), (torch.cat([o for o, _ in alone]),), 1e-10)
    for number, tensor in enumerate(state):
        torch.testing.assert_close(tensor, torch.cat([s[number] for _, s in alone]))


@each_dtype
@every_cell
def test_the_first_state_has_the_inputs_batch_and_type(
    name: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    cell, x = build(name, options, dtype), inputs(2, dtype)
    state = cell.initial_state(x)
    assert state
    assert all(tensor.shape[0] == B and tensor.dtype == dtype for tensor in state)
    _, later = cell(x)
    assert [tensor.shape for tensor in later] == [tensor.shape for tensor in state]
    assert torch.equal(cell(x, state)[0], cell(x)[0])


@every_cell
def test_a_long_sequence_stays_finite_forward_and_backward(
    name: str, options: dict[str, Any]
) -> None:
    cell, x = build(name, options, torch.float32), inputs(300, torch.float32, batch=1)
    x = (10 * x).requires_grad_()
    outputs, state = cell(x)
    assert bool(torch.isfinite(outputs).all())
    for gradient in gradients(cell, x, outputs, state):
        assert gradient is None or bool(torch.isfinite(gradient).all())


@every_cell
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_input_that_never_changes_stays_finite(
    name: str, options: dict[str, Any], value: float
) -> None:
    cell = build(name, options, torch.float32)
    x = torch.full((2, 100, I), value, requires_grad=True)
    outputs, state = cell(x)
    assert bool(torch.isfinite(outputs).all())
    for gradient in gradients(cell, x, outputs, state):
        assert gradient is None or bool(torch.isfinite(gradient).all())


# --- finding a cell by its name ------------------------------------------------------------------


def test_cells_are_the_files_of_the_folder() -> None:
    assert {"elman", "gru", "lstm"} <= set(cell_names())
    assert not {"cell", "kernel", "stack", "__init__"} & set(cell_names())


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("gur", {}, "model.cell: unknown cell 'gur'; did you mean 'gru'?"),
        ("stack", {}, "model.cell: benchmark/cells/stack.py holds what cells share"),
        ("elman", {"nonlinearty": "relu"}, "did you mean 'nonlinearity'?"),
        ("elman", {"nonlinearity": "gelu"}, "input should be 'tanh' or 'relu', got 'gelu'"),
        (
            "gru",
            {"hidden_size": 3},
            "model.cell_options: the cell gru has no options; leave out hidden_size",
        ),
    ],
)
def test_an_unknown_cell_or_option_is_refused(
    name: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as caught:
        cell_factory(name, options)
    assert says in str(caught.value)


def test_a_new_file_is_a_new_cell_and_its_options_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(benchmark.cells.__path__[0], "gru.py").read_text()
    source = source.replace(
        "input_size: int, hidden_size: int) -> None:",
        "input_size: int, hidden_size: int, *, taps: tuple[int, ...] = (1,)) -> None:\n"
        "        self.__dict__['taps'] = taps",
    )
    (tmp_path / "taps.py").write_text(source)
    monkeypatch.setattr(benchmark.cells, "__path__", [*benchmark.cells.__path__, str(tmp_path)])
    try:
        assert "taps" in cell_names()
        assert cell_factory("taps", {"taps": [2, 3]})(I, D).__dict__["taps"] == (2, 3)
        assert cell_factory("taps", {})(I, D).__dict__["taps"] == (1,)
    finally:
        sys.modules.pop("benchmark.cells.taps", None)
        vars(benchmark.cells).pop("taps", None)
