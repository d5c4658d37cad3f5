"""Mistakes in a user's own model: told by the line of its file, the traceback kept."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistakes import LINEAR, mistaken

import benchmark
from benchmark.records.table import read_results

Command = Callable[..., Any]

OWN = """\
import torch
from benchmark.forecasters.linear import Linear

class Turned(Linear):
    def forward(self, x):
        return super().forward(x).transpose(1, 2)

class Naive(Linear):
    fitted = "none"
    def forward(self, x):
        return x[:, -1:]

class Odd(Linear):
    def forward(self, x):
        return self.mixed(x)
    def mixed(self, x):
        return x @ torch.zeros(7, 7)

class Pair(Linear):
    def forward(self, x):
        return super().forward(x), x

class Silent(Linear):
    fitted = "none"
    def forward(self, x):
        super().forward(x)

class Cut(Linear):
    def forward(self, x):
        return super().forward(x).detach()

class Unbuilt(Linear):
    def __init__(self, shape, *, width: int = 3):
        super().__init__(shape, widht=width)

class Overwritten(Linear):
    def forward(self, x):
        y = torch.sigmoid(super().forward(x))
        y *= 2
        return y

class Taught(Linear):
    def forward(self, x, y):
        return super().forward(x)

class Typed(Linear):
    def __init__(self, shape, *, start: torch.Tensor = torch.zeros(1)):
        super().__init__(shape)

class Kind(Linear):
    fitted = "closed form"

class Unsolved(Linear):
    fitted = "closed_form"
    def fit(self, train, validation):
        self.map.weight.data.zero_()

class Unmapped(Naive):
    fitted = "gradient"  # as where nothing is said
    def __init__(self, shape):
        super().__init__(shape)
        del self.map
    def fit(self, train, validation):
        self.mean = 0.0

class Adapting(Unmapped):
    fitted = "none"
    def forward(self, x):
        self.fit(x, None)
        return x[:, -1:].repeat(1, self.shape.horizon, 1) + self.mean

class Given(Linear):
    def __init__(self, shape):
        super().__init__(shape)
        return 1

class Undetached(Linear):
    h = 0.0
    def forward(self, x):
        y = super().forward(x) + self.h
        self.h = 0.1 * y.mean()
        return y

class Lazy(Linear):
    def __init__(self, shape):
        super().__init__(shape)
        self.map = torch.nn.LazyLinear(shape.horizon)

class Reserved(Linear):
    def __init__(self, shape, *, model_config: int = 3):
        super().__init__(shape)
"""


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Turned", ["a forecast must have shape (64, 12, 3), but has (64, 3, 12)"]),
        ("Naive", ["a forecast must have shape (139, 12, 3), but has (139, 1, 3)"]),
        ("Pair", ["a forecast must be a tensor (B, H, C), but forward returns a tuple"]),
        ("Silent", ["a forecast must be a tensor (B, H, C), but forward returns nothing"]),
        ("Cut", ["but no gradient comes to them (a detach(), no_grad() or numpy in forward?"]),
        ("Overwritten", [
            "error: model.yaml: model: in forward a number that the gradient needs is written "
            "over; write n = n * 2, not n *= 2, nor n[:, 0] = 0\n",
        ]),
        ("Undetached", [
            "error: model.yaml: model: in forward a gradient would go back into an earlier batch; "
            "detach what is kept between batches: self.h = h.detach()\n",
        ]),
        ("Taught", [
            "model: TypeError: Taught.forward() missing 1 required positional argument: 'y'; the "
            "whole traceback is in ",
        ]),
        ("Odd", [
            "RuntimeError: ", "at line 17 of users_own.py, 'return x @ torch.zeros(7, 7)', called "
            "at line 15 of users_own.py, 'return self.mixed(x)'; the whole traceback is in ",
        ]),
        ("Unbuilt", [
            "TypeError: Linear.__init__() got an unexpected keyword argument 'widht', at line 34 "
            "of users_own.py, 'super().__init__(shape, widht=width)'; the whole traceback is in ",
        ]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_a_users_model_raises_is_told_by_its_line_and_the_rest_is_kept(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
    name: str,
    parts: list[str],
) -> None:
    write_module("users_own", OWN)
    write_yaml("model.yaml", LINEAR.replace("Linear", f"users_own.{name}"))
    answer = command("run", "model.yaml")
    mistaken(answer, "error: model.yaml: model: ", *parts)
    assert answer.err.count("\n") == 1
    (row,) = read_results(Path("results/results.csv")).to_dict("records")
    assert row["status"] == "failed"
    whole = Path("results/runs", row["run_id"], "traceback.txt")
    assert whole.read_text().startswith("Traceback (most recent call last):")
    if "traceback" in parts[-1]:
        assert answer.err.endswith(f"{whole.absolute()}\n")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("class X(Linear)", "X: model.class: SyntaxError: expected ':', at line 1 of users_broken"),
        (OWN + "class X(Unbuilt): ...\n", "users_broken.X: model: TypeError: "),
        ("from benchmark.forecasters.naive import LastValue\n"
         "class X(LastValue):\n    fitted = 'gradient'\n",
         "fitted is 'gradient', but there is no parameter to train; set fitted = \"none\" in X"),
        ("from benchmark.forecasters.contract import Forecaster\n"
         "class X(Forecaster):\n    def __init__(self, shape):\n        self.shape = shape\n"
         "    def forward(self, x):\n        return x\n",
         "X does not call super().__init__(shape); make that the first line of its __init__"),
    ],
    ids=["import", "build", "train", "init"],
)  # fmt: skip
def test_a_check_of_what_is_not_there_to_be_checked_ends_at_once(
    command: Command, write_module: Callable[[str, str], None], text: str, part: str
) -> None:
    write_module("users_broken", text)
    answer = command("check", "users_broken.X")
    mistaken(answer, part)
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Typed", "users_own.Typed: has an option of a type that no YAML holds (<class 'torch.Ten"),
        ("Kind", "model.yaml: model: Kind.fitted is 'closed form'; set it to 'gradient', 'closed_"),
        ("Unsolved", "model.yaml: model: Unsolved is no ClosedFormForecaster: nothing would call"),
        ("Unmapped", "model.yaml: model: Unmapped is no ClosedFormForecaster: nothing would call"),
        ("Lazy", "model.yaml: model: Lazy has lazy layers, whose weights are not there before"),
        ("Reserved", "users_own.Reserved: has an option named model_config, which has another"),
    ],
)
def test_a_class_that_cannot_be_run_as_it_is_meant_leaves_no_row(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
    name: str,
    part: str,
) -> None:
    write_module("users_own", OWN)
    write_yaml("model.yaml", LINEAR.replace("Linear", f"users_own.{name}"))
    answer = command("run", "model.yaml", "--checkpoint")
    mistaken(answer, part)
    assert answer.err.count("\n") == 1
    assert not Path("results/results.csv").exists()


def test_a_class_that_says_it_is_not_fitted_may_call_its_fit_itself(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> None:
    write_module("users_own", OWN)
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_own.Adapting"))
    answer = command("run", "model.yaml")
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.parametrize("word", ["check", "audit"])
def test_a_method_of_other_arguments_is_told_by_every_command(
    command: Command, write_module: Callable[[str, str], None], word: str
) -> None:
    write_module("users_own", OWN)
    answer = command(word, "users_own.Given")
    mistaken(answer, "Given: model: TypeError: __init__() should return None, not 'int'")
    assert answer.err.count("\n") == 1


def test_a_module_in_utf_16_is_told_by_its_name(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    Path("users_wide.py").write_text(OWN, encoding="utf-16-le")
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_wide.Odd"))
    answer = command("run", "model.yaml")
    mistaken(answer, "model.yaml: model.class: users_wide: SyntaxError: ", "; save it as UTF-8\n")


FICKLE = """\
import os
from benchmark.forecasters.linear import Linear

class Fickle(Linear):

    def forward(self, x):
        if os.path.exists("fails"):
            raise ValueError("what now?")
        return super().forward(x)
"""


def test_a_run_that_fails_when_it_is_run_again_leaves_what_was_done(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> None:
    write_module("users_fickle", FICKLE)
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_fickle.Fickle"))
    assert command("run", "model.yaml").code == 0
    rows = Path("results/results.csv").read_text()
    Path("fails").touch()
    again = command("run", "model.yaml", "--force")
    mistaken(again, "ValueError: what now?, at line 8 of users_fickle.py")
    assert again.err.endswith("; what was done before is kept\n")
    assert Path("results/results.csv").read_text() == rows


@pytest.mark.parametrize(
    "words",
    [
        ("forecast", "RUN", "--input", "datasets/toy.csv", "--output", "next.csv"),
        ("backtest", "RUN"),
        ("speed", "model.yaml"),
        ("audit", "model.yaml"),
    ],
    ids=lambda words: words[0],
)
def test_whatever_is_done_with_a_users_model_its_errors_are_told_by_its_line(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
    words: tuple[str, ...],
) -> None:
    write_module("users_fickle", FICKLE)
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_fickle.Fickle"))
    assert command("run", "model.yaml", "--checkpoint").code == 0
    Path("fails").touch()
    (run,) = Path("results/runs").iterdir()
    answer = command(*(str(run) if word == "RUN" else word for word in words))
    mistaken(answer, "ValueError: what now?, at line 8 of users_fickle.py, 'raise ValueError(")
    assert answer.err.count("\n") == 1


OVERWRITING = """
import torch
from benchmark.cells.elman import Elman
from benchmark.forecasters.linear import Linear

class Model(Linear):
    def forward(self, x):
        y = torch.sigmoid(super().forward(x))
        y *= 2
        return y

class Faster(Elman):
    def step(self, x, state):
        h, state = super().step(x, state)
        return 2 * torch.sigmoid(h), state

    def forward(self, x, state=None):
        h, state = super().forward(x, state)
        h = torch.sigmoid(h)
        h *= 2
        return h, state
"""


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("speed", "model.yaml"), "linear: model: in forward "),
        (("gradients", "users_over.Faster", "--length", "9"), "cell users_over.Faster: "),
        (("gates", "users_over.Faster"), "cell users_over.Faster: "),
    ],
    ids=["speed", "gradients", "gates"],
)
def test_what_is_written_over_before_its_gradient_is_told_though_no_line_of_it_is_known(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
    words: tuple[str, ...],
    where: str,
) -> None:
    write_module("users_over", OVERWRITING)
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_over.Model"))
    answer = command(*words)
    told = f"error: {where}a number that the gradient needs is written over; write n = n * 2, not"
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert answer.err.startswith(told), answer


def test_a_module_beside_the_yaml_that_was_named_is_found_from_another_folder(
    toy: Path, command: Command
) -> None:
    folder = toy / "study"
    folder.mkdir()
    own = "from benchmark.forecasters.naive import LastValue\nclass Own(LastValue):\n    "
    (folder / "users_beside.py").write_text(f"{own}seeded = False\n")
    model = "name: own\nmodel: {class: users_beside.Own}\n"
    (folder / "own.yaml").write_text(f"{model}dataset: toy\nlookback: 24\nhorizon: 12\n")
    grid = "{datasets: [toy], horizons: [12], lookbacks: [24]}"
    (folder / "both.yaml").write_text(f"name: both\nmodels: [own.yaml]\ngrids: [{grid}]\n")
    (toy / "suites").mkdir()
    other = f"name: other\nmodels: [../study/own.yaml]\ngrids: [{grid}]\n"
    (toy / "suites/other.yaml").write_text(other)
    for words in (
        ("suite", "study/both.yaml"),
        ("run", "study/own.yaml"),
        ("check", "study/own.yaml"),
        ("speed", "study/own.yaml"),
        ("tune", "study/own.yaml", "--set", "search={lookback: [12, 24]}", "--budget", "1"),
        ("suite", "suites/other.yaml", "--force"),
    ):
        _forget()
        assert command(*words).code == 0, words
    _forget()
    task = benchmark.Task(benchmark.load_dataset("toy"), horizon=12, lookback=24)
    benchmark.fit("study/own.yaml", task)
    assert "users_beside" in sys.modules
    sys.modules.pop("users_beside")


@pytest.mark.parametrize("own", ["users_twice.py", "users_twice/__init__.py"])
@pytest.mark.parametrize("words", [("run",), ("tune", "--budget", "1"), ("speed",)], ids=str)
def test_a_module_beside_the_yaml_that_another_shadows_is_told_with_both_files(
    toy: Path,
    command: Command,
    write_module: Callable[[str, str], None],
    own: str,
    words: tuple[str, ...],
) -> None:
    text = "from benchmark.forecasters.linear import Linear\nclass Own(Linear): ...\n"
    write_module("users_twice", text)
    beside = toy / "study" / own
    beside.parent.mkdir(parents=True)
    beside.write_text(text)
    yaml = toy / "study/own.yaml"
    yaml.write_text(LINEAR.replace("Linear", "users_twice.Own") + "search: {lookback: [12, 24]}\n")
    told = f"users_twice is imported from {toy / 'users_twice.py'}, not from {beside}; rename"
    mistaken(command(words[0], "study/own.yaml", *words[1:]), told)
    beside.unlink()
    assert command(words[0], "study/own.yaml", *words[1:]).code == 0


def test_a_module_beside_a_runs_own_yaml_is_not_imported(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str]
) -> None:
    assert command("run", write_yaml("model.yaml", LINEAR), "--checkpoint").code == 0
    (run,) = Path("results/runs").iterdir()
    (run / "users_brought.py").write_text("from pathlib import Path\nPath('mark').touch()\n")
    text = (run / "run.yaml").read_text()
    (run / "run.yaml").write_text(text.replace("class: Linear", "class: users_brought.Own"))
    (run / "SHA256SUMS").unlink()
    for words in (("backtest", run), ("run", run / "run.yaml")):
        _forget()
        cure = "cannot import 'users_brought'; run from the folder that holds it, or install it"
        mistaken(command(*words), cure)
        assert not Path("mark").exists()


def _forget() -> None:
    """As a new process has it."""
    sys.modules.pop("users_beside", None)
    sys.path[:] = [path for path in sys.path if not path.startswith(str(Path.cwd()))]


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (
            "training.schedule=cosine",
            "training.schedule: is a mapping, got 'cosine'; write {kind: ",
        ),
        ("training.lr=0.1", "training.lr: unknown key; did you mean 'training.learning_rate'?"),
        ("training.precision=16", "training.precision: input should be '32' or 'bf16', got 16"),
    ],
)
def test_a_setting_as_other_libraries_write_it_is_told_as_ours(
    toy: Path, command: Command, write_yaml: Callable[[str, Any], str], key: str, says: str
) -> None:
    write_yaml("model.yaml", LINEAR)
    mistaken(command("run", "model.yaml", "--set", key), f"model.yaml with overrides: {says}")


GAPS = """
import torch
from benchmark.forecasters.contract import ClosedFormForecaster

class Mean(ClosedFormForecaster):
    def __init__(self, shape):
        super().__init__(shape)
        self.register_buffer("mean", torch.zeros(shape.channels))  # one of them NaN is enough
    def fit(self, train, validation):
        self.mean = torch.cat([y for _, y in train.in_order(64)]).mean(dim=(0, 1))
    def forward(self, x):
        return x[:, -1:].expand(-1, self.shape.horizon, -1) + self.mean

class Refuses(Mean):
    def fit(self, train, validation):
        raise ValueError("Input y contains NaN.")

"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Mean", "weights that are fitted must be numbers, but some are NaN; horizons hold "),
        ("Refuses", "ValueError: Input y contains NaN, at line 16 of users_gaps.py, 'raise Value"),
    ],
)
def test_a_closed_form_that_knows_of_no_gaps_is_told_by_its_name_and_with_the_cure(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
    write_dataset: Callable[..., Path],
    values: Any,
    name: str,
    says: str,
) -> None:
    gaps = values.copy()
    gaps[100:103, 1] = float("nan")
    write_dataset(values=gaps, missing="mask")
    write_module("users_gaps", GAPS)
    write_yaml("model.yaml", LINEAR.replace("Linear", f"users_gaps.{name}"))
    answer = command("run", "model.yaml")
    mistaken(answer, f"error: model.yaml: model: {says}")
    assert (
        "horizons hold NaN where a value is missing: leave those rows out of the fit" in answer.err
    )


ADAPTING = """
import torch
from benchmark.forecasters.linear import Linear

class Adapting(Linear):
    def forward(self, x):
        with torch.enable_grad():
            level = torch.zeros_like(x[:, :1], requires_grad=True)
            loss = (x[:, -4:] - level).square().sum()
            (step,) = torch.autograd.grad(loss, level, create_graph=True)
            return super().forward(x) - 0.01 * step
"""


def test_a_model_that_adapts_by_gradient_while_it_forecasts_is_scored_and_used(
    toy: Path,
    command: Command,
    write_yaml: Callable[[str, Any], str],
    write_module: Callable[[str, str], None],
) -> None:
    write_module("users_adapting", ADAPTING)
    write_yaml("model.yaml", LINEAR.replace("Linear", "users_adapting.Adapting"))
    run = command("run", "model.yaml", "--checkpoint")
    assert (run.code, run.err) == (0, "")
    words = ("forecast", "linear", "--input", "datasets/toy.csv", "--output", "next.csv")
    for used in (words, ("backtest", "linear")):
        answer = command(*used)
        assert answer.code == 0, answer.err
