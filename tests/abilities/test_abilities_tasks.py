"""The tasks ask what they say: each answer is found again by a loop over the steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from benchmark.abilities.study import (
    ASKED,
    BATCH,
    RATE,
    WEIGHTS,
    Answers,
    Reader,
    share_right,
    train_and_ask,
    trained,
    width_of,
)
from benchmark.abilities.table import abilities_table
from benchmark.abilities.tasks import KEYS, TASKS, adding, parity, recall
from benchmark.cells import cell_names
from benchmark.cli.commands import GOES_ON
from benchmark.reports.tables import markdown

BY_NAME = {task.name: task for task in TASKS}


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def test_parity_is_that_of_the_ones_so_far():
    x, y = parity(20, 9, source())
    for bits, answers in zip(x[..., 0].tolist(), y[..., 0].tolist(), strict=True):
        odd = False
        for bit, answer in zip(bits, answers, strict=True):
            odd ^= bit == 1.0
            assert answer == (1.0 if odd else -1.0)


def test_recall_asks_for_the_value_that_stood_beside_the_key():
    x, y = recall(50, KEYS + 1, source())
    assert (x[:, :, :KEYS].sum(dim=2) == 1).all()
    for steps, answers in zip(x, y, strict=True):
        stored = {int(step[:KEYS].argmax()): step[KEYS:] for step in steps[:-1]}
        assert len(stored) == KEYS
        assert set(torch.cat(list(stored.values())).tolist()) == {-1.0, 1.0}
        assert (answers[-1] == stored[int(steps[-1, :KEYS].argmax())]).all()
        assert (steps[-1, KEYS:] == 0).all()
        assert answers[:-1].isnan().all()


def test_adding_asks_for_the_sum_of_the_two_that_are_marked():
    x, y = adding(50, 12, source())
    for steps, answers in zip(x.tolist(), y, strict=True):
        marked = [number for number, mark in steps if mark == 1.0]
        assert len(marked) == 2
        assert answers[-1].item() == pytest.approx(0.5 + sum(marked) / 4, abs=1e-6)
        assert answers[:-1].isnan().all()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_guessing_is_right_as_often_as_the_table_says(task):
    class Guess(nn.Module):
        def forward(self, x):
            shape = (*x.shape[:2], task.outputs)
            return torch.full(shape, 0.5) if task.name == "adding" else torch.ones(shape) * 0.5

    right = share_right(Guess(), task, task.length)
    spread = (task.chance * (1 - task.chance) / ASKED) ** 0.5
    assert right == pytest.approx(task.chance, abs=4 * spread)


@pytest.mark.parametrize("cell", cell_names())
def test_every_cell_has_about_the_same_number_of_weights(cell, monkeypatch):
    for name in ("ASKED", "BATCH"):  # no more than that each task can be learned and asked
        monkeypatch.setattr(f"benchmark.abilities.study.{name}", 4)
    for task in TASKS:
        reader = train_and_ask(cell, replaced(task, steps=2), width_of(cell, task), seed=1)
        assert reader.weights == pytest.approx(WEIGHTS, rel=0.2)
        assert (reader.right_longer is None) == (task.longer is None)


def replaced(task, **values):
    return type(task)(**(vars(task) | values))


@pytest.mark.parametrize(("cell", "least", "most"), [("gru", 0.99, 1), ("mlstm", 0.4, 0.6)])
def test_a_state_that_is_overwritten_counts_and_one_that_is_scaled_does_not(cell, least, most):
    short = replaced(BY_NAME["parity"], length=12, longer=24, steps=200)
    answers = train_and_ask(cell, short, width=32, seed=1)
    assert least <= answers.right <= most
    assert least <= answers.right_longer <= most
    few = replaced(short, steps=9)
    assert train_and_ask(cell, few, width=32, seed=1) == train_and_ask(cell, few, width=32, seed=1)


def test_the_table_says_who_solves_what(command, tmp_path, monkeypatch):
    import benchmark.abilities.tasks as tasks

    monkeypatch.setattr(tasks, "TASKS", tuple(replaced(task, steps=3) for task in TASKS))
    monkeypatch.setattr("benchmark.abilities.study.ASKED", 20)
    path = tmp_path / "abilities.md"
    told = command("abilities", "gru", "elman", "--seeds", 2, "--output", path)
    assert (told.code, told.err) == (0, "")
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0].startswith("| cell | parity, 32 steps | parity, 64 steps | recall, 9 steps |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| gru", "| elman", "| guessing"]
    assert lines[-1] == "| guessing | 50% | 50% | 6% | 15% | 15% |"
    assert "Made by: benchmark abilities gru elman --seeds 2" in text
    assert "±" in lines[2]
    once = command("abilities", "gru", "gru", "--seeds", 1)
    assert once.code == 0
    assert "±" not in once.out, "a cell that is named twice has no more seeds"


def test_what_was_answered_before_ctrl_c_is_shown(command, tmp_path, monkeypatch):
    import benchmark.abilities.study as study

    seen = []

    def interrupted(cell, task, width, seed):
        seen.append(task.name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return Answers(task.name, cell, seed, width, 999, 0.25, 0.2 if task.longer else None)

    monkeypatch.setattr(study, "train_and_ask", interrupted)
    told = command("abilities", "gru", "--output", tmp_path / "abilities.md")
    assert (told.code, told.err) == (1, "")
    assert ["gru", "25%", "20%", "25%", "-", "-"] in [
        line.split() for line in told.out.splitlines()
    ]
    assert told.out.splitlines()[-1] == (
        "Stopped after 2 of 9 trainings; nothing is written. The same command goes on from here."
    )
    assert not (tmp_path / "abilities.md").exists()
    seen += ["and no more of that"]
    again = command("abilities", "gru", "--output", tmp_path / "abilities.md")
    assert (again.code, len(seen)) == (0, 4 + 7), "two of nine are known"
    assert (tmp_path / "abilities.md").exists()
    assert not list(tmp_path.rglob("unfinished/*")), "all is done"


def test_ctrl_c_before_the_first_answer_is_ctrl_c(command, monkeypatch):
    def interrupted(*job):
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.abilities.study.train_and_ask", interrupted)
    told = command("abilities", "gru", "--only", "parity")
    assert (told.code, told.err) == (130, f"\nStopped.{GOES_ON}\n")
    assert told.out == "1 of 3: gru learns parity, seed 1\n"


def test_a_cell_is_trained_by_the_steps_of_a_bare_loop(monkeypatch):
    monkeypatch.setattr("benchmark.abilities.study.CLIP", clip := 0.01)  # or nothing is clipped
    task = replace(BY_NAME["recall"], steps=4)
    found = trained("gru", task, 8, seed=3)
    torch.manual_seed(3)
    reader, drawn = Reader("gru", task, 8), source(3)
    optimiser = torch.optim.Adam(reader.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=4)
    for _ in range(4):
        x, y = task.draw(BATCH, task.length, drawn)
        loss = nn.functional.mse_loss(reader(x)[:, -1], y[:, -1])  # all that recall asks for
        parameters = list(reader.parameters())
        gradients = torch.autograd.grad(loss, parameters)
        size = torch.stack([gradient.norm() for gradient in gradients]).norm()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient * min(1.0, clip / float(size))
        optimiser.step()
        schedule.step()
    for name, weight in reader.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight, rtol=1e-4, atol=1e-6)


def test_a_cell_is_asked_without_its_dropout():
    task = BY_NAME["parity"]
    silent = nn.Sequential(nn.Dropout(0.999), nn.Linear(1, 1))
    share_right(silent, task, 8)
    assert not silent.training


def test_what_is_solved_is_bold_and_seeds_make_a_mean():
    seeds = ((1, 0.99, 0.98), (2, 1.0, 0.96))
    answers = [Answers("parity", "gru", seed, 32, 999, *shares) for seed, *shares in seeds]
    text = markdown(abilities_table(answers, [BY_NAME["parity"]], "x"))
    assert "| gru | **100±1%** | 97±1% |" in text
    assert "mean ± standard deviation over 2 seeds; bold from 99%" in text


def test_mistakes_are_one_line(command):
    told = command("abilities", "--only", "paritie")
    assert told.err == "error: --only: unknown task 'paritie'; did you mean 'parity'?\n"
    told = command("abilities", "grru")
    assert told.err.startswith("error: model.cell: unknown cell 'grru'; did you mean 'gru'?")
