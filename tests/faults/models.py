"""Runs that fail by themselves, never end, or live through a jump of the clock."""

from __future__ import annotations

import random
from pathlib import Path

from outcome import Outcome, tried
from small_suite import SmallSuite

TIME_LIMIT = 30.0  # seconds: others' runs take less on a busy machine too


def out_of_memory(folder: Path, times: int, rng: random.Random) -> Outcome:
    """One model asks for more memory than there is."""
    reason = "RuntimeError: "
    return _one_fails(folder, times, "out of memory in one model", "too_large", reason)


def not_a_number(folder: Path, times: int, rng: random.Random) -> Outcome:
    """The loss of one model is no number."""
    reason = "FloatingPointError: training diverged"
    return _one_fails(folder, times, "NaN loss in one model", "undefined", reason)


def endless(folder: Path, times: int, rng: random.Random) -> Outcome:
    """One run never ends; the suite has a time limit."""
    reason = f"it was still running after {TIME_LIMIT:g} seconds, the --time-limit"
    options = ("--time-limit", str(TIME_LIMIT))
    return _one_fails(folder, times, "a run that hangs, --time-limit", "endless", reason, options)


def clock_jumps(folder: Path, times: int, rng: random.Random) -> Outcome:
    """The time of day jumps a day back or forth with each batch, in the process of the suite."""
    calm = SmallSuite(folder / "calm", ("linear",), (3,))  # the same model
    assert calm.run() == 0, calm.output
    undisturbed = calm.rows()

    def once(number: int) -> int:
        jumping = SmallSuite(folder / str(number), ("jumping",), (3,))
        assert jumping.run() == 0, jumping.output
        scores = ("seed", "horizon", "status", "mse", "mae", "rmse", "mase", "crps", "val_mse")
        found, wanted = (
            sorted(tuple(row[key] for key in scores) for row in rows.values())
            for rows in (jumping.rows(), undisturbed)
        )
        return sum(row not in found for row in wanted)

    return tried("the clock jumps a day, back and forth", times, once)


def _one_fails(
    folder: Path, times: int, fault: str, name: str, reason: str, options: tuple[str, ...] = ()
) -> Outcome:
    """The model's runs are rows with the reason; all others are what they are without it."""
    alone = SmallSuite(folder / "undisturbed", horizons=(3,))
    assert alone.run() == 0, alone.output
    undisturbed = alone.rows()

    def once(number: int) -> int:
        suite = SmallSuite(folder / str(number), ("naive", name, "linear"), (3,))
        code, text = suite.run(*options), suite.output
        assert code == 1, text
        rows = suite.rows()
        failed = [row for run_id, row in rows.items() if run_id not in undisturbed]
        assert failed, text
        for row in failed:
            assert (row["model"], row["status"], row["mse"]) == (name, "failed", ""), row
            assert row["error"].startswith(reason), row
        return sum(rows.get(run_id) != row for run_id, row in undisturbed.items())

    return tried(fault, times, once)
