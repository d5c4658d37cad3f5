"""From the ``class:`` of a YAML to a class: ours by name, a user's by path, and clear refusals."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.errors import UserError
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.resolve import (
    build_forecaster,
    find_forecaster,
    how_fitted,
    known_forecasters,
    resolve_model,
)

SHAPE = SeriesShape(12, 4, 2, season=4)

GOOD = """
from benchmark.config import Positive
from benchmark.forecasters.contract import Forecaster

class Held(Forecaster):
    fitted = "none"

    def __init__(self, shape, *, back: Positive = 1, weights: tuple[float, ...] = ()):
        super().__init__(shape)
        if back > shape.lookback:
            raise ValueError(f"back must be at most the lookback, but is {back}")
        self.back, self.weights = back, weights

    def forward(self, x):
        return x[:, -self.back, None].expand(-1, self.shape.horizon, -1)

class Unfinished(Forecaster):
    pass

class Other:
    pass

number = 3
"""


def refusal(name: str) -> str:
    with pytest.raises(UserError) as caught:
        find_forecaster(name, "f.yaml: model.class")
    message = str(caught.value)
    assert message.startswith("f.yaml: model.class: ")
    assert "\n" not in message
    return message


# --- ours ----------------------------------------------------------------------------------------


def test_every_concrete_forecaster_of_ours_is_found_by_its_name() -> None:
    known = known_forecasters()
    assert {"LastValue", "SeasonalNaive", "Linear", "DLinear", "Ridge", "Recurrent"} <= set(known)
    assert not {"Forecaster", "ClosedFormForecaster"} & set(known)
    for name, cls in known.items():
        assert cls.__name__ == name
        assert find_forecaster(name, "x") is cls


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Liner", "unknown forecaster 'Liner'; did you mean 'Linear'?"),
        ("Forecaster", "unknown forecaster 'Forecaster'"),
        ("Qqqq", "known: "),
        ("", "unknown forecaster ''"),
        (".", "is not a dotted path"),
        (".Linear", "is not a dotted path"),
        ("..Linear", "is not a dotted path"),
        ("module.", "is not a dotted path"),
        ("a..B", "is not a dotted path"),
    ],
)
def test_a_name_that_is_no_forecaster_is_refused(name: str, says: str) -> None:
    assert says in refusal(name)


def test_ours_can_be_named_by_their_full_path_too() -> None:
    assert find_forecaster("benchmark.forecasters.linear.Linear", "x") is Linear
    assert "did you mean 'Linear'?" in refusal("benchmark.forecasters.linear.Liner")
    assert "is not a concrete Forecaster" in refusal("benchmark.forecasters.contract.Forecaster")


# --- a user's ------------------------------------------------------------------------------------


def test_a_users_class_is_found_in_the_current_folder_and_built_from_its_options(
    write: Callable[[str, str], Path],
) -> None:
    write("my_models", GOOD)
    spec = {"class": "my_models.Held", "back": 2, "weights": [1, 0.5]}
    cls, options = resolve_model(spec, "f.yaml")
    assert options == {"back": 2, "weights": (1.0, 0.5)}
    built = build_forecaster(spec, SHAPE, "f.yaml")
    assert isinstance(built, cls)
    assert issubclass(cls, Forecaster)
    x = torch.arange(24.0).reshape(1, 12, 2)
    assert torch.equal(built(x), x[:, -2:-1].expand(-1, 4, -1))


def test_a_users_class_may_lie_in_a_package(write: Callable[[str, str], Path]) -> None:
    write("my_package/__init__", "")
    write("my_package/models", GOOD)
    assert find_forecaster("my_package.models.Held", "x").__name__ == "Held"


def test_the_current_folder_stays_on_the_search_path_and_shadows_nothing_there(
    write: Callable[[str, str], Path],
) -> None:
    folder = write("my_models", GOOD).parent
    write("my_broken", "1 / 0")
    before = list(sys.path)
    find_forecaster("my_models.Held", "x")
    assert "ZeroDivisionError: division by zero, at line 1 of my_broken.py" in refusal(
        "my_broken.Held"
    )
    assert sys.path == [*before, str(folder)]


def test_what_a_function_of_a_users_module_imports_is_found_beside_it(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = "import my_number\n        return my_number.one * x["
    write("my_models", GOOD.replace("return x[", lazy))
    write("my_number", "one = 1.0\n")
    built = build_forecaster({"class": "my_models.Held"}, SHAPE, "f.yaml")
    monkeypatch.delitem(sys.modules, "my_number", raising=False)
    assert built(torch.zeros(1, 12, 2)).shape == (1, 4, 2)


@pytest.mark.parametrize("name", ["colorsys", "torch"])
def test_a_users_module_that_another_stands_in_for_is_told_with_both_files(
    write: Callable[[str, str], Path], name: str
) -> None:
    own = importlib.import_module(name).__file__
    (write("my_models", GOOD).parent / f"{name}.py").write_text(GOOD)
    told = refusal(f"{name}.Held")
    assert f"{name} is imported from {own}, not from {name}.py in this folder; rename yours" in told


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_models.Hld", "my_models has no 'Hld'; did you mean 'Held'?"),
        ("my_models.Unfinished", "my_models.Unfinished is not a concrete Forecaster; derive it"),
        ("my_models.Other", "is not a concrete Forecaster"),
        ("my_models.number", "is not a concrete Forecaster"),
        ("my_modles.Held", "cannot import 'my_modles'; run from the folder that holds it"),
        ("my_models.inner.Held", "cannot import 'my_models.inner'"),
        ("no_package.inner.Held", "cannot import 'no_package.inner'"),
    ],
)
def test_a_path_that_leads_to_no_forecaster_is_refused(
    write: Callable[[str, str], Path], name: str, says: str
) -> None:
    write("my_models", GOOD)
    assert says in refusal(name)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_package", "ModuleNotFoundError: No module named 'no_package', at line 1 of "
         "my_models.py, 'import no_package'; mend that line"),
        ("from json import Nothing", "ImportError: cannot import name 'Nothing' from 'json'"),
        ("def broken(:", "SyntaxError: invalid syntax, at line 1 of my_models.py, 'def broken(:'"),
        ("if 1:\n1", "IndentationError: expected an indented block after 'if' statement on line 1, "
         "at line 2 of my_models.py, '1'"),
        ("import my_part", "SyntaxError: invalid syntax, at line 1 of my_part.py, '1 +', called at "
         "line 1 of my_models.py, 'import my_part'; mend that line"),
        ("import json\njson.loads('')", "at line 2 of my_models.py"),
        ("def f():\n    1 / 0\nf()", "ZeroDivisionError: division by zero, at line 2 of "
         "my_models.py, '1 / 0', called at line 3 of my_models.py, 'f()'; mend that line"),
        ("def f():\n    f()\nf()", "RecursionError: maximum recursion depth exceeded, at line 2"),
    ],
    ids=lambda value: value[:20],
)  # fmt: skip
def test_an_error_inside_a_users_module_is_told_by_its_line(
    write: Callable[[str, str], Path], source: str, says: str
) -> None:
    write("my_part", "1 +")
    write("my_models", f"{source}\n")
    told = refusal("my_models.Held")
    assert says in told
    assert told.count(" line ") <= 4


def test_an_error_outside_a_users_module_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.import_module", SeriesShape)
    with pytest.raises(TypeError, match="missing 3 required positional arguments"):
        find_forecaster("my_models.Held", "x")


# --- options -------------------------------------------------------------------------------------


def test_defaults_are_filled_in() -> None:
    assert resolve_model({"class": "Linear"}, "f.yaml") == (
        Linear,
        {"normalise": "none", "individual": False},
    )


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, "f.yaml: model.class: is missing"),
        ({"class": None}, "f.yaml: model.class: is missing"),
        ({"class": "Linear", "normalize": "last"}, "did you mean 'normalise'?"),
        ({"class": "Linear", "individual": 1}, "f.yaml: model.individual: input should be a valid"),
        ({"class": "Linear", "shape": 1}, "f.yaml: model.shape: unknown key"),
        ({"class": "Ridge", "batch_size": True}, "valid integer, got True"),
    ],
)
def test_options_are_checked_against_the_signature(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve_model(spec, "f.yaml")
    assert says in str(caught.value)


def test_the_options_of_a_model_inside_a_model_are_checked_where_they_stand() -> None:
    inner = {"class": "Ensemble", "members": [{"model": {"class": "DLinear", "kernel_sise": 25}}]}
    model = {"class": "Ensemble", "members": [{"model": {"class": "Linear"}}, {"model": inner}]}
    place = "f.yaml: model.members.1.model.members.0.model.kernel_sise"
    with pytest.raises(UserError, match=rf"^{re.escape(place)}: unknown key; .* 'kernel_size'"):
        resolve_model(model, "f.yaml")


def test_all_faults_of_the_options_are_told_at_once() -> None:
    with pytest.raises(UserError) as caught:
        resolve_model({"class": "Linear", "individual": 1, "layers": 2}, "f.yaml")
    lines = str(caught.value).split("\n")
    assert {line.split(": ")[1] for line in lines} == {"model.individual", "model.layers"}


@pytest.mark.parametrize(
    ("arguments", "given", "says"),
    [
        ("self, shape, *, width: int", {}, "model.width: is missing; add it"),
        ("self, shape, width: int", {}, "model.width: Own.__init__ takes it by position, and"),
        ("self, shape, width: int = 1, /", {"width": 2}, "write a * before it: def __init__(self,"),
        ("self, width: int = 1", {"width": 2}, "model.width: unknown key"),
        ("self", {}, "f.yaml: model: Own.__init__ takes no shape; write def __init__(self, shape)"),
        ("self, *, width: int", {"width": 2}, "Own.__init__ takes no shape"),
    ],
)
def test_an_option_that_no_yaml_can_give_is_refused_before_it_is_built(
    write: Callable[[str, str], Path], arguments: str, given: dict[str, Any], says: str
) -> None:
    write("my_models", f"{GOOD}\nclass Own(Held):\n    def __init__({arguments}): ...\n")
    with pytest.raises(UserError) as caught:
        resolve_model({"class": "my_models.Own"} | given, "f.yaml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", ["shape, width=1", "*args, **kwargs", "shape, **kwargs"])
def test_what_a_constructor_can_do_without_may_stand_anywhere(
    write: Callable[[str, str], Path], arguments: str
) -> None:
    write("my_models", f"{GOOD}\nclass Own(Held):\n    def __init__(self, {arguments}): ...\n")
    assert resolve_model({"class": "my_models.Own"}, "f.yaml")[1] == {}


def test_a_constructors_value_error_becomes_the_users_mistake_with_its_cause(
    write: Callable[[str, str], Path],
) -> None:
    write("my_models", GOOD)
    with pytest.raises(UserError, match="back must be at most the lookback") as caught:
        build_forecaster({"class": "my_models.Held", "back": 13}, SHAPE, "f.yaml")
    assert str(caught.value).startswith("f.yaml: model: ")
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    "own",
    [
        "pass",
        "def __init__(self, shape):\n        super().__init__(shape)\n"
        "        self.held = torch.nn.Parameter(torch.zeros(1), requires_grad=False)",
    ],
)
def test_nothing_to_train_is_told_when_it_is_to_be_fitted_by_gradient(
    write: Callable[[str, str], Path], own: str
) -> None:
    source = f"import torch\n{GOOD}\nclass Still(Held):\n    fitted = 'gradient'\n    {own}\n"
    write("my_models", source)
    what = "fitted is 'gradient', but there is no parameter to train; set fitted = \"none\" in"
    still = {"class": "my_models.Still"}
    with pytest.raises(UserError, match=f"^f.yaml: model: {what} Still$"):
        build_forecaster(still, SHAPE, "f.yaml")
    with pytest.raises(UserError, match=f"^f.yaml: model.members.0: model: {what} Still$"):
        build_forecaster({"class": "Ensemble", "members": [{"model": still}]}, SHAPE, "f.yaml")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"class": "Linear"}, "gradient"),
        ({"class": "Ridge"}, "closed_form"),
        ({"class": "SeasonalNaive", "seasons": 7}, "none"),
        ({"class": "Ensemble", "members": [{"model": {"class": "Ridge"}}]}, "closed_form"),
        (
            {
                "class": "Ensemble",
                "members": [{"model": {"class": "Ridge"}}, {"model": {"class": "Linear"}}],
            },
            "gradient",
        ),
        (
            {
                "class": "Ensemble",
                "members": [
                    {"model": {"class": "Ensemble", "members": [{"model": {"class": "Ridge"}}]}},
                    {"model": {"class": "LastValue"}},
                ],
            },
            "closed_form",
        ),
    ],
)
def test_how_a_model_is_fitted_is_told_by_what_it_is_made_of(
    spec: dict[str, Any], expected: str
) -> None:
    assert how_fitted(spec, "x") == expected


def test_a_model_that_fits_all_of_itself_is_fitted_as_it_says(
    write: Callable[[str, str], Path],
) -> None:
    write("my_models", GOOD)
    assert how_fitted({"class": "my_models.Held", "beside": {"class": "Linear"}}, "x") == "none"
