"""How the runs of a suite are begun, tried again and stopped, whatever executes them."""

from __future__ import annotations

import io
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmark.errors import UserError
from benchmark.harness.plan import Plan, plan
from benchmark.harness.run import run
from benchmark.harness.spec import Execution, RunSpec, with_task
from benchmark.records.record import RunRecord
from benchmark.records.store import Store
from benchmark.suites.attempt import InProcess
from benchmark.suites.conduct import STOPPING, run_all
from benchmark.suites.estimate import SECONDS_BY_GRADIENT, SECONDS_OVERHEAD, expected_seconds
from benchmark.suites.executor import Executor, Report, RunLost

KILLED = RunLost("its process was killed (signal 9)", again=True)
Script = Callable[[str, int], Exception | None]


class Scripted(InProcess):
    """Runs end one a poll, in the order of their submission, and as the script says.

    The script is given a run's id and the number of its attempt, and returns what it is lost by.
    """

    def __init__(self, slots: int, script: Script, execution: Execution, report: Report) -> None:
        super().__init__(execution, report)
        self.slots = slots  # type: ignore[misc]
        self.script = script
        self.begun: list[str] = []
        self.most = 0
        self.open: deque[Future[Any]] = deque()

    def submit(self, planned: Plan) -> Future[Any]:
        self.begun.append(planned.run_id)
        self.open.append(Future())
        self.most = max(self.most, len(self.open))
        return self.open[-1]

    def poll(self) -> None:
        if self.open:
            self.open.popleft().set_result(None)

    def result(self, planned: Plan, future: Future[Any]) -> RunRecord:
        end = self.script(planned.run_id, self.begun.count(planned.run_id))
        if end:
            raise end
        return super().result(planned, super().submit(planned))


@pytest.fixture
def plans(toy: Path) -> list[Plan]:
    """Four runs of the naive model."""
    model = {"class": "SeasonalNaive"}
    spec = RunSpec(name="naive", dataset="toy", lookback=24, horizon=6, model=model)
    return [
        plan(with_task(spec, dataset="toy", horizon=h, lookback=24, seed=1), "naive.yaml")
        for h in range(1, 5)
    ]


Conduct = Callable[..., Any]


@pytest.fixture
def conduct(toy: Path, plans: list[Plan]) -> Conduct:
    """Run the four, with a script; what ran them, what failed, whether it was stopped, the text."""

    def conduct(
        script: Script, slots: int = 2, force: bool = False
    ) -> tuple[Scripted, list[RunRecord], bool, str]:
        made: list[Scripted] = []

        @contextmanager
        def make(execution: Execution, report: Report) -> Iterator[Executor]:
            made.append(Scripted(slots, script, execution, report))
            yield made[0]

        text = io.StringIO()
        execution = Execution(results=toy / "results", device="cpu", force=force)
        expected = {planned.run_id: 1.0 for planned in plans}
        console = Console(file=text, width=200)
        others = set(threading.enumerate())  # of earlier tests; some never end
        failed, stopped = run_all(plans, expected, make, execution, console)
        for thread in set(threading.enumerate()) - others:
            thread.join()
        return made[0], failed, stopped, text.getvalue()

    return conduct


def statuses(toy: Path) -> list[tuple[int, str, str | None]]:
    return [(r.horizon, r.status, r.error) for r in Store(toy / "results").records()]


def test_every_run_is_begun_in_order_and_no_more_at_once_than_there_are_slots(
    plans: list[Plan], conduct: Conduct, toy: Path
) -> None:
    executor, failed, stopped, _ = conduct(lambda *_: None, slots=3)
    assert executor.begun == [planned.run_id for planned in plans]
    assert executor.most == 3
    assert (failed, stopped) == ([], False)
    assert statuses(toy) == [(h, "done", None) for h in range(1, 5)]


def test_what_another_command_has_done_meanwhile_is_not_begun(
    plans: list[Plan], conduct: Conduct, toy: Path
) -> None:
    def script(run_id: str, attempt: int) -> None:
        if run_id == plans[0].run_id:
            run(plans[2], Execution(results=toy / "results", device="cpu"))

    executor, failed, _, text = conduct(script, slots=1)
    assert executor.begun == [planned.run_id for planned in plans if planned is not plans[2]]
    assert failed == []
    assert statuses(toy) == [(h, "done", None) for h in range(1, 5)]
    assert "done   naive toy 3 seed 1, by another command\n" in text
    executor, _, _, _ = conduct(lambda *_: None, force=True)
    assert executor.begun == [planned.run_id for planned in plans]


def test_a_run_whose_process_is_killed_is_tried_again_and_no_other_is(
    plans: list[Plan], conduct: Conduct, toy: Path
) -> None:
    victim = plans[1].run_id
    executor, failed, _, text = conduct(
        lambda run_id, attempt: KILLED if run_id == victim and attempt < 3 else None
    )
    assert executor.begun.count(victim) == 3
    assert len(executor.begun) == 6
    assert failed == []
    assert statuses(toy) == [(h, "done", None) for h in range(1, 5)]
    assert text.count("done ") == 4


def test_with_force_a_first_attempt_begins_anew_and_a_second_goes_on(
    plans: list[Plan], conduct: Conduct, toy: Path
) -> None:
    state = toy / f"results/runs/.unfinished-{plans[1].run_id}"
    state.mkdir(parents=True)
    there = []

    def script(run_id: str, attempt: int) -> Exception | None:
        if run_id != plans[1].run_id:
            return None
        there.append(state.exists())
        state.mkdir(exist_ok=True)
        return KILLED if attempt < 2 else None

    conduct(script, force=True)
    assert there == [False, True]


def test_a_run_that_is_killed_every_time_is_a_failed_row_with_its_reason(
    plans: list[Plan], conduct: Conduct, toy: Path
) -> None:
    victim = plans[1].run_id
    executor, (failed,), stopped, text = conduct(
        lambda run_id, attempt: KILLED if run_id == victim else None
    )
    reason = "its process was killed (signal 9), 3 attempts"
    assert executor.begun.count(victim) == 3
    assert (failed.run_id, failed.status, failed.error) == (victim, "failed", reason)
    assert not stopped
    assert statuses(toy)[1] == (2, "failed", reason)
    assert sum(status == "done" for _, status, _ in statuses(toy)) == 3
    assert reason in text
    folder = toy / "results" / "runs" / victim
    assert (folder / "run.yaml").exists()


def test_a_run_that_took_too_long_is_not_tried_again(
    plans: list[Plan], conduct: Conduct, toy: Path
) -> None:
    late = plans[0].run_id
    executor, (failed,), _, _ = conduct(
        lambda run_id, _: RunLost("too long", again=False) if run_id == late else None
    )
    assert executor.begun.count(late) == 1
    assert failed.error == "too long"


def test_what_the_disk_refuses_ends_the_suite(conduct: Conduct, toy: Path) -> None:
    with pytest.raises(UserError, match="the disk is full"):
        conduct(lambda *_: UserError("results", "the disk is full"))


def test_ctrl_c_lets_the_runs_under_way_finish_and_begins_no_other(
    conduct: Conduct, toy: Path
) -> None:
    def script(run_id: str, attempt: int) -> None:
        if "-1-seed" in run_id:
            signal.raise_signal(signal.SIGINT)

    executor, failed, stopped, text = conduct(script)
    assert len(executor.begun) == 2
    assert stopped
    assert failed == []
    assert statuses(toy) == [(1, "done", None), (2, "done", None)]
    assert STOPPING in text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_after_ctrl_c_a_killed_run_is_left_for_the_next_time(conduct: Conduct, toy: Path) -> None:
    def script(run_id: str, attempt: int) -> Exception | None:
        if "-1-seed" in run_id:
            signal.raise_signal(signal.SIGINT)
        return KILLED if "-2-seed" in run_id else None

    executor, failed, stopped, _ = conduct(script)
    assert len(executor.begun) == 2
    assert (failed, stopped) == ([], True)
    assert statuses(toy) == [(1, "done", None)]


def test_ctrl_c_twice_stops_at_once(conduct: Conduct, toy: Path) -> None:
    def script(run_id: str, attempt: int) -> None:
        if "-2-seed" in run_id:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    _, failed, stopped, _ = conduct(script)
    assert (failed, stopped) == ([], True)
    assert statuses(toy) == [(1, "done", None)]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_ctrl_c_is_ignored_it_stays_ignored(
    conduct: Conduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _, _, stopped, _ = conduct(lambda *_: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert not stopped


def test_a_run_is_expected_to_take_what_it_took_before_else_what_its_model_took(
    plans: list[Plan], conduct: Conduct, toy: Path
) -> None:
    conduct(lambda *_: None)
    done = Store(toy / "results").records()
    again = [row.model_copy(update={"train_seconds": 7.0}) for row in done[:1]]
    again += [row.model_copy(update={"train_seconds": 9.0}) for row in done[:1]]
    ours = plans[0].spec.model_copy(update={"name": "gru"})
    own = plans[0].spec.model_copy(update={"name": "own", "model": {"class": "Linear"}})
    pending = [*plans[:2], plan(ours, "gru.yaml"), plan(own, "own.yaml")]
    first, second, third, fourth = expected_seconds(pending, again).values()
    assert first == 8.0 + SECONDS_OVERHEAD
    assert second == 1.0 + SECONDS_OVERHEAD, "another horizon is another run"
    assert 10.0 < third < 200.0, "the GRU's seconds in the reference results"
    assert third != SECONDS_BY_GRADIENT + SECONDS_OVERHEAD
    assert fourth == SECONDS_BY_GRADIENT + SECONDS_OVERHEAD
