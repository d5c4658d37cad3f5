"""What is shown of a cell is what its step computes, at the unit that the event moves most."""

from __future__ import annotations

import sys

import pytest
import torch

from benchmark.abilities.gates import _most_telling, gates, watched
from benchmark.abilities.study import trained
from benchmark.abilities.tasks import KEYS, TASKS
from benchmark.cells import cell_factory, cell_names
from benchmark.cells.cell import Cell

BY_NAME = {task.name: task for task in TASKS}


def seen_of(name, batch=3, steps=7, width=16):
    torch.manual_seed(1)
    cell = cell_factory(name, {})(width, width).eval()
    x = torch.randn(batch, steps, width)
    with torch.no_grad():
        return cell, x, watched(cell, x)


def test_of_an_lstm_its_equations_hold_between_what_is_seen():
    cell, x, seen = seen_of("lstm")
    assert list(seen) == ["h", "c", "i", "f", "g", "o"]
    i, f, g, o, c, h = (seen[name] for name in "ifgoch")
    before = torch.cat([torch.zeros_like(c[:, :1]), c[:, :-1]], dim=1)
    torch.testing.assert_close(c, f * before + i * g)
    torch.testing.assert_close(h, o * torch.tanh(c))
    torch.testing.assert_close(h, cell(x)[0])
    for gate in (i, f, o):
        assert ((gate > 0) & (gate < 1)).all()  # behind their nonlinearity, not before it


def test_of_a_gru_the_parts_of_a_sum_are_left_out():
    cell, x, seen = seen_of("gru")
    assert list(seen) == ["h", "r", "z", "n"]
    torch.testing.assert_close(seen["h"], cell(x)[0])


@pytest.mark.parametrize("name", cell_names())
def test_every_cell_can_be_watched_and_computes_what_it_always_does(name):
    cell, x, seen = seen_of(name)
    assert seen
    assert all(values.shape[:2] == (3, 7) for values in seen.values())
    with torch.no_grad():
        again = watched(cell, x)
    assert all(torch.equal(again[key], values) for key, values in seen.items())
    inner = {key.rpartition(".")[0] for key in seen}
    assert inner == ({"blocks.0.cell", "blocks.1.cell"} if name == "xlstm" else {""})


class Growing(Cell):
    """Has what cannot be put side by side: a tensor that grows, one that is not always there."""

    def initial_state(self, like):
        return (like.new_zeros(len(like), 1),)

    def step(self, x, state):
        (past,) = state
        if past.shape[1] > 3:
            late = x[:, :1]
            past = torch.cat([past, late], dim=1)
        past = torch.cat([past, x[:, :1]], dim=1)
        mean = past.mean(dim=1, keepdim=True).expand(-1, self.hidden_size)
        return mean, (past,)


def test_what_is_not_there_at_every_step_is_left_out():
    cell = Growing(4, 4)
    assert list(watched(cell, torch.randn(2, 9, 4))) == ["mean"]


def by_hand(step):
    return lambda *inputs: step(*inputs)


class Odd(Growing):
    """Has variables that are no numbers for each sequence, and one that is complex."""

    @torch.autocast("cpu", enabled=False)  # which wraps it
    def step(self, x, state):
        mask, none, z = x > 0, x[:, :0], torch.complex(x, x)
        number = none.sum() + z.real.sum()
        return mask.to(x) + 0 * number, state


class Nameless(Growing):
    def step(self, x, state):
        h_t = torch.tanh(x)
        return h_t, state


class Hidden(Nameless):
    @by_hand
    def step(self, x, state):
        h = torch.tanh(x)
        return h, state


class Leaving(Growing):
    def step(self, x, state):
        del self
        sys.exit(0)


def test_a_step_may_be_wrapped_and_compute_what_is_no_number():
    x = torch.randn(2, 9, 4)
    seen = watched(Odd(4, 4), x)
    assert list(seen) == ["mask", "|z|"]
    torch.testing.assert_close(seen["|z|"], 2**0.5 * x.abs())
    assert watched(Nameless(4, 4), torch.randn(2, 9, 4)) == {}


@pytest.mark.parametrize("name", ["Nameless", "Hidden"])
def test_that_nothing_can_be_seen_is_found_before_the_training(name, command, monkeypatch):
    monkeypatch.setattr("benchmark.abilities.study.trained", None)
    told = command("gates", f"{__name__}.{name}")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"error: cell {__name__}.{name}: has no variable in its step that ")
    assert len(told.err.splitlines()) == 1


def test_a_step_that_ends_the_program_is_an_error():
    with pytest.raises(RuntimeError, match=r"the model ended the program: sys.exit\(0\)"):
        trained(f"{__name__}.Leaving", BY_NAME["adding"], 8, seed=1)


class Broken(Growing):
    def step(self, x, state):
        raise ArithmeticError


def test_another_profiler_goes_on_afterwards_even_after_an_error():
    called = []

    def other(frame, event, value):
        called.append(event)

    before = sys.getprofile()
    sys.setprofile(other)
    try:
        with pytest.raises(ArithmeticError):
            watched(Broken(4, 4), torch.randn(2, 9, 4))
        found = sys.getprofile()
    finally:
        sys.setprofile(before)
    assert found is other


def test_the_unit_is_the_one_whose_gates_move_most_and_shared_by_what_has_its_shape():
    torch.manual_seed(0)
    event = torch.rand(5, 8) < 0.3
    gate, loud = 0.5 * torch.rand(5, 8, 4), 100 * torch.randn(5, 8, 4)
    gate[..., 2] = torch.where(event, 0.9, 0.1)  # nothing else moves as much between 0 and 1
    loud[..., 1] += 1000 * event
    up = 50 * torch.rand(5, 8, 4)  # no gates: they leave 0 to 1 at one end
    up[..., 3] += 1000 * event
    memory = torch.randn(5, 8, 2, 3)  # no gate has this shape
    memory[..., 1, 2] += 9 * event
    seen = {"z": gate, "c": loud, "up": up, "down": -up, "C": memory}
    found = {one.name: one for one in _most_telling(seen, event)}
    units = {name: one.unit for name, one in found.items()}
    assert units == dict.fromkeys(seen, (2,)) | {"C": (1, 2)}
    assert found["z"].at_event == pytest.approx(0.9)
    assert found["z"].elsewhere == pytest.approx(0.1)
    at, other = [], []
    for b in range(5):
        for s in range(8):
            (at if event[b, s] else other).append(float(loud[b, s, 2]))
    assert found["c"].at_event == pytest.approx(sum(at) / len(at), rel=1e-5)
    assert found["c"].elsewhere == pytest.approx(sum(other) / len(other), rel=1e-5)
    assert found["c"].trace == tuple(loud[0, :, 2].tolist())


def test_the_steps_that_matter_are_those_that_the_task_is_about():
    source = torch.Generator().manual_seed(0)
    for name, right in (
        ("adding", lambda step: step[1] == 1.0),
        ("parity", lambda step: step[0] == 1.0),
        ("recall", lambda step: not any(step[KEYS:])),
    ):
        task = BY_NAME[name]
        x, _ = task.draw(20, 9, source)
        assert task.event(x).tolist() == [[right(s) for s in steps] for steps in x.tolist()]


def test_a_gru_that_has_learned_parity_rewrites_its_state_at_a_one():
    parity = type(BY_NAME["parity"])(
        **(vars(BY_NAME["parity"]) | {"length": 12, "longer": None, "steps": 200})
    )
    seen = gates(trained("gru", parity, 32, seed=1), parity)
    assert seen.right >= 0.99
    z = next(one for one in seen.variables if one.name == "z")
    assert abs(z.at_event - z.elsewhere) > 0.3
    assert len(z.trace) == 12
    ones = [z.trace[step] for step in seen.event]
    others = [value for step, value in enumerate(z.trace) if step not in seen.event]
    closer = [abs(value - z.at_event) < abs(value - z.elsewhere) for value in ones]
    assert sum(closer) / len(closer) > 0.8
    assert sum(abs(v - z.elsewhere) < abs(v - z.at_event) for v in others) / len(others) > 0.8


def test_the_command_prints_a_row_a_variable_and_draws_a_panel_each(command, monkeypatch):
    pytest.importorskip("vl_convert")
    import benchmark.abilities.tasks as tasks

    short = tuple(type(task)(**(vars(task) | {"steps": 3})) for task in TASKS)
    monkeypatch.setattr(tasks, "TASKS", short)
    told = command("gates", "lstm", "--task", "recall", "--plot", "gates.svg")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[:2] == ["1 of 1: lstm learns recall, seed 1", "Inside a trained lstm: recall"]
    rows = [line.split() for line in lines if line.startswith(" ") and len(line.split()) == 4]
    assert [row[0] for row in rows] == ["variable", "h", "c", "i", "f", "g", "o"]
    assert rows[0] == ["variable", "unit", "question", "elsewhere"]
    assert len({row[1] for row in rows[1:]}) == 1
    assert "   benchmark gates lstm --task recall --seed 1\n" in told.out
    assert lines[-1] == "Plot: gates.svg"
    with open("gates.svg", encoding="utf-8") as stream:
        drawn = stream.read()
    for row in rows[1:]:
        assert f">{row[0]}[{row[1]}], mean of all sequences: " in drawn
    assert all(f">{step}</text>" in drawn for step in range(1, 10))  # not 1.0, 1.5, ...


def test_mistakes_of_gates_are_one_line(command):
    told = command("gates", "gru", "--task", "ading")
    assert told.err == "error: --task: unknown task 'ading'; did you mean 'adding'?\n"
    told = command("gates", "grru")
    assert told.err.startswith("error: model.cell: unknown cell 'grru'; did you mean 'gru'?")
    told = command("gates", "gru", "--plot", "gates.txt")
    assert told.err.startswith("error: --plot gates.txt: does not end in .svg or .png or .pdf")


def test_that_nothing_can_be_drawn_is_found_before_the_training(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    monkeypatch.setattr("benchmark.abilities.study.trained", None)
    told = command("gates", "gru", "--plot", "gates.svg")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: --plot: vl-convert is not installed; pip install 'ts-bench")
