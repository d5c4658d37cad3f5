"""Stacks of cells: torch's own multi-layer kernels with the same weights, and plain loops."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from benchmark import cells
from benchmark.cells import Cell, RecurrentStack, State, cell_factory, cell_names
from benchmark.errors import UserError

I, D, B, S = 3, 8, 4, 9  # noqa: E741 - input width, hidden width, batch, steps
TORCH = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

every_cell = pytest.mark.parametrize("name", cell_names())


def build(name: str, **options: Any) -> RecurrentStack:
    torch.manual_seed(4)
    return RecurrentStack(cell_factory(name, {}), I, D, **options).double()


def inputs() -> Tensor:
    return torch.randn(B, S, I, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def first_states(stack: RecurrentStack, x: Tensor) -> list[State]:
    cells = cast("list[Cell]", list(stack.ahead))
    return [cell.initial_state(x) for cell in cells]


# --- ours / theirs -------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("name", TORCH)
def test_a_stack_is_torchs_own_on_the_same_weights(
    name: str, layers: int, bidirectional: bool
) -> None:
    ours = build(name, layers=layers, bidirectional=bidirectional)
    theirs = TORCH[name](
        I, D, num_layers=layers, bidirectional=bidirectional, batch_first=True
    ).double()
    with torch.no_grad():
        for layer in range(layers):
            cells = [("", ours.ahead[layer])]
            cells += [("_reverse", ours.back[layer])] if bidirectional else []
            for suffix, cell in cells:
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    weight = getattr(theirs, f"{kind}_l{layer}{suffix}")
                    getattr(cell.kernel, f"{kind}_l0").copy_(weight)

    x = inputs().requires_grad_()
    encoded = ours(x)
    outputs, last = theirs(x)
    finals = last if isinstance(last, tuple) else (last,)  # each (layers * directions, B, D)
    directions = 2 if bidirectional else 1
    torch.testing.assert_close(encoded.outputs, outputs)
    for layer, state in enumerate(encoded.states):
        for our_tensor, their_tensor in zip(state, finals, strict=True):
            torch.testing.assert_close(our_tensor, their_tensor[layer * directions])
    summary = torch.cat(list(finals[0][-directions:]), dim=-1)
    torch.testing.assert_close(encoded.summary, summary)
    assert ours.output_size == outputs.shape[-1]

    (our_gradient,) = torch.autograd.grad(encoded.outputs.square().sum(), x, retain_graph=True)
    (their_gradient,) = torch.autograd.grad(outputs.square().sum(), x)
    torch.testing.assert_close(our_gradient, their_gradient)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


# --- every cell ----------------------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize("residual", [False, True])
def test_stepping_a_stack_is_running_it(name: str, residual: bool) -> None:
    stack, x = build(name, layers=3, residual=residual), inputs()
    whole = stack(x)
    states = first_states(stack, x)
    for t in range(S):
        h, states = stack.step(x[:, t], states)
        torch.testing.assert_close(h, whole.outputs[:, t])
    for ours, theirs in zip(states, whole.states, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b)
    torch.testing.assert_close(whole.summary, whole.outputs[:, -1])


@every_cell
@pytest.mark.parametrize("residual", [False, True])
def test_a_forked_stack_steps_from_the_same_states_for_each_input(
    name: str, residual: bool
) -> None:
    torch.manual_seed(4)
    stack = RecurrentStack(cell_factory(name, {}), D, D, layers=3, residual=residual).double()
    states = stack(inputs().repeat(1, 1, 3)[..., :D]).states
    several = torch.randn(2, 5, D, dtype=torch.float64)  # five inputs for each of two kinds
    forked = stack.fork(several, states)
    for m in range(5):
        h, _ = stack.step(several[:, m].repeat(B // 2, 1), states)
        torch.testing.assert_close(forked[:, m], h)


@every_cell
def test_a_stack_goes_on_from_the_states_it_is_given(name: str) -> None:
    stack, x = build(name, layers=2), inputs()
    first = stack(x[:, :4])
    second = stack(x[:, 4:], first.states)
    torch.testing.assert_close(second.outputs, stack(x).outputs[:, 4:])


@every_cell
@pytest.mark.parametrize("residual", [False, True])
def test_layers_directions_and_residuals_are_those_of_a_loop(name: str, residual: bool) -> None:
    stack, x = build(name, layers=3, bidirectional=True, residual=residual), inputs()
    layer_input = x
    for ahead, back in zip(stack.ahead, stack.back, strict=True):
        forward = [ahead(layer_input[:, : t + 1])[0][:, -1] for t in range(S)]
        backward = [back(layer_input[:, t:].flip(1))[0][:, -1] for t in range(S)]
        outputs = torch.stack(
            [torch.cat(pair, dim=-1) for pair in zip(forward, backward, strict=True)], dim=1
        )
        same_width = layer_input.shape[-1] == 2 * D  # not so in the first layer
        layer_input = layer_input + outputs if residual and same_width else outputs
    encoded = stack(x)
    torch.testing.assert_close(encoded.outputs, layer_input)
    summary = torch.cat([layer_input[:, -1, :D], layer_input[:, 0, D:]], dim=-1)
    torch.testing.assert_close(encoded.summary, summary)


@every_cell
def test_each_half_of_a_bidirectional_summary_has_read_every_step(name: str) -> None:
    stack, x = build(name, bidirectional=True), inputs().requires_grad_()
    summary = stack(x).summary
    weights = torch.arange(1.0, D + 1)  # the plain sum of what a norm returns is a constant
    for half in (summary[:, :D], summary[:, D:]):
        (gradient,) = torch.autograd.grad((half * weights).sum(), x, retain_graph=True)
        assert bool(gradient.abs().sum(dim=(0, 2)).all())


def test_a_first_layer_of_equal_width_has_a_residual_too() -> None:
    torch.manual_seed(4)
    stack = RecurrentStack(cell_factory("gru", {}), D, D, residual=True)
    x = torch.randn(B, S, D)
    torch.testing.assert_close(stack(x).outputs, x + stack.ahead[0](x)[0])


# --- dropout and errors --------------------------------------------------------------------------


def test_dropout_acts_between_layers_only_and_in_training_only() -> None:
    x = inputs()
    one = build("gru", layers=1, dropout=0.9)
    torch.testing.assert_close(one.train()(x).outputs, one.eval()(x).outputs)
    three = build("gru", layers=3, dropout=0.9)
    plain = build("gru", layers=3)
    assert torch.equal(three.eval()(x).outputs, plain(x).outputs)
    dropped = three.train()(x)
    assert torch.equal(dropped.states[0][0], plain(x).states[0][0]), "the first input is whole"
    assert not torch.equal(dropped.states[1][0], plain(x).states[1][0])
    assert bool(dropped.outputs.all()), "the last output is whole"


def test_a_step_of_a_stack_drops_as_a_sequence_does() -> None:
    stack, x = build("gru", layers=2, dropout=0.5).train(), inputs()
    torch.manual_seed(0)
    whole = stack(x[:, :1])
    torch.manual_seed(0)
    h, _ = stack.step(x[:, 0], first_states(stack, x))
    torch.testing.assert_close(h, whole.outputs[:, 0])


def test_a_fork_of_a_stack_drops_as_a_step_does() -> None:
    stack, x = build("gru", layers=2, dropout=0.5).train(), inputs()
    states = stack(x).states
    torch.manual_seed(0)
    h, _ = stack.step(x[:, 0], states)
    torch.manual_seed(0)
    torch.testing.assert_close(stack.fork(x[:, :1], states)[:, 0], h)


def test_a_bidirectional_stack_cannot_be_stepped_nor_forked() -> None:
    stack, x = build("gru", bidirectional=True), inputs()
    with pytest.raises(ValueError, match="a bidirectional stack needs the whole sequence"):
        stack.step(x[:, 0], first_states(stack, x))
    with pytest.raises(ValueError, match="a bidirectional stack needs the whole sequence"):
        stack.fork(x, first_states(stack, x))


@pytest.fixture
def write_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a file beside those of the package's cells."""
    monkeypatch.setattr(cells, "__path__", [*cells.__path__, str(tmp_path)])

    def write(text: str) -> None:
        (tmp_path / "mine.py").write_text("from benchmark.cells.cell import Cell\n" + text)
        importlib.invalidate_caches()

    yield write
    sys.modules.pop("benchmark.cells.mine", None)


STEP_ALONE = """
import torch
from torch import nn


class Mine(Cell):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.gate = nn.Linear(input_size, hidden_size)

    def initial_state(self, like):
        return (like.new_zeros(len(like), self.hidden_size),)

    def step(self, x, state):
        h = 0.5 * state[0] + torch.tanh(self.gate(x))
        return h, (h,)
"""


def test_a_cell_that_is_its_equations_alone_can_be_used(write_cell: Callable[..., None]) -> None:
    write_cell(STEP_ALONE)
    assert "mine" in cell_names()
    stack = build("mine", layers=2, bidirectional=True)
    encoded = stack(inputs())
    assert encoded.outputs.shape == (B, S, 2 * D)
    encoded.outputs.sum().backward()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class Mine(Cell): ...", "Mine of benchmark/cells/mine.py has no initial_state and no st"),
        (
            STEP_ALONE + "class Other(Mine): ...",
            "benchmark/cells/mine.py defines Mine, Other",
        ),
        ("x = 1", "benchmark/cells/mine.py holds what cells share, and no cell; known: elman"),
    ],
)
def test_what_a_cells_file_lacks_is_told(
    write_cell: Callable[..., None], text: str, says: str
) -> None:
    write_cell(text)
    with pytest.raises(UserError, match=re.escape(says)):
        cell_factory("mine", {})


def test_a_broken_file_is_nobody_elses_mistake(write_cell: Callable[..., None]) -> None:
    write_cell("class Mine(Cell:")
    with pytest.raises(UserError, match="unknown cell 'grru'; did you mean 'gru'"):
        cell_factory("grru", {})
    with pytest.raises(SyntaxError):
        cell_factory("mine", {})
