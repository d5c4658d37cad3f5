"""Parts of a suite share its runs out: each run is in one of them, on whatever machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.suites.part import WHOLE, Part

run_ids = st.sets(st.from_regex(r"(gru|linear)-ETTh1-[0-9]{2}-seed1-[0-9a-f]{10}", fullmatch=True))


@given(run_ids=run_ids, parts=st.integers(1, 9))
def test_each_run_is_in_one_part_and_parts_are_of_one_size(run_ids: set[str], parts: int) -> None:
    own = [Part(number, parts).of(run_ids) for number in range(1, parts + 1)]
    assert sorted(run_id for each in own for run_id in each) == sorted(run_ids)
    assert max(map(len, own)) - min(map(len, own)) <= 1
    assert WHOLE.of(run_ids) == run_ids
    assert own[0] == Part(1, parts).of(sorted(run_ids, reverse=True))


def test_no_part_has_all_the_slow_models() -> None:
    """As every fourth one of a list would be, where the list goes round four models."""
    run_ids = [
        f"{model}-ETTh1-96-seed{seed}" for seed in range(50) for model in ("slow", "a", "b", "c")
    ]
    counts = [
        sum("slow" in each for each in Part(number, 4).of(run_ids)) for number in (1, 2, 3, 4)
    ]
    assert sum(counts) == 50
    assert max(counts) < 30


def test_a_part_is_read() -> None:
    assert Part.parse("3/8") == Part(3, 8)
    assert Part.parse("1/1") == WHOLE


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "1/0", "-1/8", "1/8/2", "a/b", "1.5/2"])
def test_what_is_no_part_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match=r"^--part .*is no part of a whole; write 1/8"):
        Part.parse(text)
