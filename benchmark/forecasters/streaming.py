"""What a recurrence needs to go on where it stopped: its state instead of the rows it has read."""

from __future__ import annotations

from typing import NamedTuple

from benchmark.cells import State
from benchmark.forecasters.normalise import Taken


class StreamState(NamedTuple):
    """Everything a stream carries from one step to the next; its size never grows.

    The first dimension of a state is that of tokens: B, or B * C in the order (b1 c1, b1 c2, ...)
    where channels are independent.

    Attributes:
        states: of the stack, a layer each.
        taken: what the normaliser took out of the first window, for as long as the stream lasts.
    """

    states: list[State]
    taken: Taken

    def detach(self) -> StreamState:
        """Return the same values with no gradient to what made them.

        Between two steps in training this is truncated backpropagation through time: values go on
        for ever, the gradient and its memory only as far as the last `detach`.
        """
        states = [tuple(tensor.detach() for tensor in state) for state in self.states]
        taken = Taken(*(None if tensor is None else tensor.detach() for tensor in self.taken))
        return StreamState(states, taken)
