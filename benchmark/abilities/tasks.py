"""Three tasks that a forecast hides: each asks one thing of a recurrent memory and nothing else.

Sequences are drawn anew for every batch, so nothing can be learned by heart.

Shapes: B sequences, S steps, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

KEYS, BITS = 8, 4
"""Of `recall`: how many keys there are, and the bits of each one's value."""

NEAR = 0.04
"""Of `adding`: an error below it is right, as its authors have it."""

Draw = Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]]
Event = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class AbilityTask:
    """A task: what is read, what is asked, and how an answer is judged.

    Attributes:
        name: in a word.
        meaning: what is read and asked.
        draw: of a number of sequences, their length and a source of chance, the inputs
            ``(B, S, I)`` and what is asked for ``(B, S, O)``, NaN where nothing is.
        inputs: I.
        outputs: O.
        length: S, in training.
        longer: S of sequences that training never saw; None where length is the number of keys.
        steps: of training.
        tolerance: an answer is right if none of its outputs is as far away as that.
        chance: share of right answers of the best guess, without reading.
        event: the steps that matter, of inputs ``(B, S, I)``: true or false ``(B, S)``.
        event_name: what such a step holds, in a word.
    """

    name: str
    meaning: str
    draw: Draw
    inputs: int
    outputs: int
    length: int
    longer: int | None
    steps: int
    tolerance: float
    chance: float
    event: Event
    event_name: str


def parity(count: int, length: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Whether the number of ones so far is odd, after every bit.

    A state that is overwritten by a nonlinear function of itself and the bit can flip and hold;
    one that is scaled by a factor between 0 and 1, whatever the factor depends on, cannot.

    References: M. Beck et al., xLSTM (arXiv 2405.04517), section 4.1; R. Grazzi et al., Unlocking
    state-tracking in linear RNNs through negative eigenvalues (arXiv 2411.12537).
    """
    bits = torch.randint(0, 2, (count, length, 1), generator=source)
    return 2.0 * bits - 1, 2.0 * (bits.cumsum(dim=1) % 2) - 1


def recall(count: int, length: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """The value of one key of `length` - 1, asked for when all pairs have been read.

    A step holds a key (one of `KEYS`, each once) and its value (`BITS` signs); the last step holds
    a key alone. A state of D numbers that any input may overwrite has to learn where to put each
    value; one that is a matrix adds each value in the direction of its key.

    References: S. Arora et al., Zoology (arXiv 2312.04927); xLSTM (arXiv 2405.04517), section 4.1.
    """
    pairs = length - 1
    keys = torch.rand(count, KEYS, generator=source).argsort(dim=1)[:, :pairs]
    values = 2.0 * torch.randint(0, 2, (count, pairs, BITS), generator=source) - 1
    asked = torch.randint(0, pairs, (count, 1), generator=source)
    query = one_hot(keys.gather(1, asked), KEYS)  # (B, 1, KEYS)
    x = torch.zeros(count, length, KEYS + BITS)
    x[:, :, :KEYS] = torch.cat([one_hot(keys, KEYS), query], dim=1)
    x[:, :-1, KEYS:] = values
    y = torch.full((count, length, BITS), torch.nan)
    y[:, -1] = values.take_along_dim(asked[:, :, None], dim=1)[:, 0]
    return x, y


def adding(count: int, length: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """0.5 + (X_1 + X_2) / 4, of the two that were marked in a sequence of numbers from -1 to 1.

    What is marked early has to survive all that follows, and so has its gradient.

    Reference: S. Hochreiter, J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997),
    section 5.4.
    """
    numbers = 2 * torch.rand(count, length, generator=source) - 1
    marked = torch.rand(count, length, generator=source).topk(2, dim=1).indices
    marks = torch.zeros(count, length).scatter(1, marked, 1.0)
    y = torch.full((count, length, 1), torch.nan)
    y[:, -1, 0] = 0.5 + (numbers * marks).sum(dim=1) / 4
    return torch.stack([numbers, marks], dim=-1), y


TASKS = (
    AbilityTask(
        name="parity",
        meaning="bits, one a step; after each: is the number of ones so far odd? Asks for a state "
        "that flips and holds.",
        draw=parity,
        inputs=1,
        outputs=1,
        length=32,
        longer=64,
        steps=1000,
        tolerance=1.0,  # nearer than the other sign, on either side
        chance=0.5,
        event=lambda x: x[..., 0] > 0,
        event_name="one",
    ),
    AbilityTask(
        name="recall",
        meaning=f"{KEYS} pairs of a key and {BITS} signs, then one of the keys: which signs were "
        "its? Asks for room, and for a way to find what was put there.",
        draw=recall,
        inputs=KEYS + BITS,
        outputs=BITS,
        length=KEYS + 1,
        longer=None,
        steps=2000,
        tolerance=1.0,  # so every sign
        chance=0.5**BITS,
        event=lambda x: (x[..., KEYS:] == 0).all(dim=-1),
        event_name="question",
    ),
    AbilityTask(
        name="adding",
        meaning="numbers from -1 to 1, two of them marked; at the end: 0.5 plus a quarter of their "
        f"sum, to {NEAR}. Asks for a gradient that reaches far back.",
        draw=adding,
        inputs=2,
        outputs=1,
        length=64,
        longer=128,
        steps=1000,
        tolerance=NEAR,
        # (X_1 + X_2) / 4 has the density 2 - 4 |s|: within NEAR of 0 lies this much of it.
        chance=4 * NEAR * (1 - NEAR),
        event=lambda x: x[..., 1] > 0,
        event_name="mark",
    ),
)
NAMES = tuple(task.name for task in TASKS)
