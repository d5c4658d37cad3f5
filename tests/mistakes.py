"""What the tests of a user's mistakes share: a configuration, and how a mistake is answered."""

from typing import Any

LINEAR = """\
name: linear
dataset: toy
lookback: 24
horizon: 12
model: {class: Linear}
training: {epochs: 1, batch_size: 64}
"""


def mistaken(answer: Any, *parts: str) -> None:
    """Assert a plain answer to a mistake: a line a fault, all parts named, no traceback."""
    assert answer.code == 2, answer
    assert answer.out == ""
    assert 1 <= answer.err.count("\n") <= 3, answer.err
    assert all(line.startswith("error: ") for line in answer.err.splitlines())
    assert "Traceback" not in answer.err
    for part in parts:
        assert part in answer.err, answer.err
