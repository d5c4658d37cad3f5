"""A data set that can neither be found nor fetched: replaced, left out or refused, and said so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import benchmark.suites.suite as suites
from benchmark.data.card import DatasetCard
from benchmark.data.fetch import DatasetUnavailable
from benchmark.errors import UserError
from benchmark.records.store import Store

RunTiny = Callable[..., Any]
BOTH = [{"datasets": ["gone", "toy"], "horizons": [6]}]
GONE = [{"datasets": ["gone"], "horizons": [6]}]


@pytest.fixture(autouse=True)
def gone(toy: Path, write_dataset: Callable[..., Path]) -> None:
    """A card without a file and without an address."""
    write_dataset("gone").unlink()


def datasets(toy: Path) -> set[str]:
    return {record.dataset for record in Store(toy / "results").records()}


def test_a_stand_in_takes_its_place_once_and_is_named(toy: Path, run_tiny: RunTiny) -> None:
    done = run_tiny(grids=BOTH + GONE, fallback="toy", models=["naive.yaml"])
    (note,) = done.outcome.notes
    assert note.startswith("gone is not to be had: no file 'gone.csv' in ")
    assert note.endswith(". toy stands in for it: these are not gone numbers.")
    assert done.output.startswith(f"Note: {note}\n")
    assert done.outcome.missing == ()
    assert datasets(toy) == {"toy"}
    assert len(done.outcome.run_ids) == 1
    assert done.output.count("done ") == 1


def test_strict_refuses_a_stand_in_before_anything_runs(toy: Path, run_tiny: RunTiny) -> None:
    with pytest.raises(DatasetUnavailable, match="dataset 'gone'"):
        run_tiny(
            grids=[{"datasets": ["toy", "gone"], "horizons": [6]}], fallback="toy", strict=True
        )
    assert not (toy / "results").exists()


def test_without_a_stand_in_it_is_left_out_and_the_rest_runs(toy: Path, run_tiny: RunTiny) -> None:
    done = run_tiny(grids=BOTH + GONE, models=["naive.yaml"])
    assert done.outcome.missing == ("gone",)
    (note,) = done.outcome.notes
    assert note.startswith("gone is left out: no file 'gone.csv' in ")
    assert datasets(toy) == {"toy"}


def test_where_nothing_is_left_nothing_runs_and_nothing_breaks(
    toy: Path, run_tiny: RunTiny
) -> None:
    done = run_tiny(grids=GONE)
    assert done.outcome.run_ids == frozenset()
    assert done.outcome.missing == ("gone",)


def test_a_stand_in_that_is_gone_too_is_an_error(toy: Path, run_tiny: RunTiny) -> None:
    with pytest.raises(UserError, match="dataset 'gone'"):
        run_tiny(grids=GONE, fallback="gone")


def test_a_file_that_is_there_but_wrong_is_never_replaced(
    toy: Path, run_tiny: RunTiny, write_dataset: Callable[..., Path]
) -> None:
    path = write_dataset("altered", source={"sha256": "0" * 64})
    with pytest.raises(UserError, match="is not the file that card 'altered' names") as fault:
        run_tiny(grids=[{"datasets": ["altered"], "horizons": [6]}], fallback="toy")
    assert str(path.name) in str(fault.value)
    assert not (toy / "results").exists()


def test_a_data_set_is_looked_for_once_however_many_grids_name_it(
    toy: Path, run_tiny: RunTiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    fetch = suites.fetch

    def asking(card: DatasetCard) -> Path:
        asked.append(card.name)
        return fetch(card)

    monkeypatch.setattr(suites, "fetch", asking)
    run_tiny(grids=BOTH + GONE, fallback="toy", models=["naive.yaml"])
    assert sorted(asked) == ["gone", "toy"]
