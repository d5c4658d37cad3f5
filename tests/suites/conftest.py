from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny import LINEAR

from benchmark.harness.spec import Execution, load_suite
from benchmark.suites.attempt import InProcess
from benchmark.suites.executor import MakeExecutor
from benchmark.suites.suite import Outcome, run_suite

NAIVE: dict[str, Any] = {
    "name": "naive", "dataset": "toy", "lookback": 24, "horizon": 12,
    "model": {"class": "SeasonalNaive"},
}  # fmt: skip
SUITE: dict[str, Any] = {
    "name": "tiny",
    "models": ["naive.yaml", "linear.yaml"],
    "grids": [{"datasets": ["toy"], "horizons": [6, 12]}],
    "seeds": [1, 2],
}


@dataclass(frozen=True)
class Done:
    """A suite that was run, and what it printed."""

    outcome: Outcome
    output: str


@pytest.fixture
def suite_yaml(toy: Path, write_yaml: Callable[[str, Any], str]) -> Callable[..., str]:
    """Write the YAMLs of a tiny suite; keywords replace keys of the suite's."""
    write_yaml("naive.yaml", NAIVE)
    write_yaml("linear.yaml", LINEAR)

    def write(**changes: Any) -> str:
        return write_yaml("tiny.yaml", SUITE | changes)

    return write


@pytest.fixture
def run_tiny(toy: Path, suite_yaml: Callable[..., str]) -> Callable[..., Done]:
    """Run the tiny suite; keywords replace keys of its YAML."""

    def run(
        overrides: Sequence[str] = (),
        strict: bool = False,
        force: bool = False,
        executor: MakeExecutor = InProcess,
        **changes: Any,
    ) -> Done:
        text = io.StringIO()
        path = Path(suite_yaml(**changes))
        outcome = run_suite(
            load_suite(path),
            str(path),
            Execution(results=toy / "results", device="cpu", force=force),
            Console(file=text, width=200),
            overrides,
            strict,
            executor,
        )
        return Done(outcome, text.getvalue())

    return run
