"""Pieces of a study are kept until it is done, and are what was made, to the last bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.harness.pieces import Pieces, made_anew


@dataclass(frozen=True)
class Found:
    name: str
    values: tuple[float, ...]
    by_way: Mapping[str, tuple[float, ...]]
    longer: float | None


FOUND = Found("a", (0.1, 1e-300, math.inf), {"b": (1 / 3,)}, None)


def stopped_after(found: Found, of: object = "a") -> None:
    """A study that makes one piece and never comes to its end."""
    assert Pieces()(Found, of, lambda: found) == found


def never() -> Found:
    raise AssertionError("it was kept")


def left(workplace: Path) -> list[str]:
    return [path.name for path in workplace.parent.rglob("unfinished/*")]


def test_a_piece_is_made_once_and_gone_when_all_is_done(workplace: Path) -> None:
    stopped_after(FOUND)
    assert len(left(workplace)) == 1
    pieces = Pieces()
    assert pieces(Found, "a", never) == FOUND
    assert pieces(list[Found], "b", lambda: [FOUND]) == [FOUND]
    assert pieces(list[Found], "b", list) == [FOUND]
    assert len(left(workplace)) == 2
    pieces.forget()
    assert left(workplace) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.floats(allow_nan=False))
def test_a_number_comes_back_as_it_was(workplace: Path, value: float) -> None:
    pieces = Pieces()
    assert pieces(float, "number", lambda: value) == value
    again = pieces(float, "number", lambda: math.nan)
    assert (again, math.copysign(1, again)) == (value, math.copysign(1, value))
    pieces.forget()


def test_an_error_in_the_making_is_told_alone(workplace: Path) -> None:
    def fail() -> Found:
        raise FloatingPointError("training diverged")

    with pytest.raises(FloatingPointError) as caught:
        Pieces()(Found, "a", fail)
    assert caught.value.__context__ is None


def test_what_decides_it_tells_pieces_apart(workplace: Path) -> None:
    other = Found("b", (), {}, 0.5)
    stopped_after(FOUND, ["a", 1])
    stopped_after(other, ["a", 2])
    assert Pieces()(Found, ["a", 1], never) == FOUND
    assert Pieces()(Found, ["a", 2], never) == other


def test_other_threads_make_it_anew(workplace: Path) -> None:
    stopped_after(FOUND)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        stopped_after(Found("other", (), {}, None))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "a"}', "\0"])
def test_what_is_damaged_is_made_again(workplace: Path, text: str) -> None:
    stopped_after(FOUND)
    (path,) = workplace.parent.rglob("unfinished/*")
    path.write_text(text)
    stopped_after(FOUND)
    assert Pieces()(Found, "a", never) == FOUND


def test_without_a_place_to_keep_it_nothing_is_kept(workplace: Path) -> None:
    (workplace.parent / "users-cache").mkdir(exist_ok=True)
    for folder in workplace.parent.rglob("users-cache"):
        (folder / "ts-benchmark").write_text("a file in the way")
    stopped_after(FOUND)
    stopped_after(Found("other", (), {}, None))


def test_to_make_it_anew_keeps_nothing(workplace: Path) -> None:
    assert made_anew(Found, "a", lambda: FOUND) == FOUND
    assert left(workplace) == []
