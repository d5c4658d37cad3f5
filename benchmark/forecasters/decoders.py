"""Three ways to turn what a recurrence has read into the tokens of a horizon.

    direct      one linear layer from the last output (or from all outputs) to the whole horizon
    seq2seq     a second recurrence writes the horizon token by token, each fed the one before
                (Sutskever et al., arXiv:1409.3215; Cho et al., arXiv:1406.1078)
    segments    the first recurrence takes one step from its final state for every token at once,
                told which by a position (SegRNN's parallel multi-step forecasting,
                Lin et al., arXiv:2308.11200, Section 3.2), and of which channel by an embedding

All are called alike, with what the encoder returned, the last token of the lookback and, in
training, the true tokens of the horizon; each uses what it needs.

Shapes: N sequences (B, or B * C when channels are independent), S steps, D width, T token width,
M forecast tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmark.cells import RecurrentStack
from benchmark.cells.stack import Encoded
from benchmark.forecasters.tokens import Tokeniser


class DirectDecoder(nn.Module):
    """All tokens from one linear layer.

    Args:
        tokeniser: the sizes of tokens.
        width: D of the encoder's outputs.
        flatten: read every step's output instead of the summary.
        dropout: before the linear layer.
    """

    def __init__(self, tokeniser: Tokeniser, width: int, *, flatten: bool, dropout: float) -> None:
        super().__init__()
        self.flatten = flatten
        self.tokens = tokeniser
        self.dropout = nn.Dropout(dropout)
        features = width * tokeniser.num_tokens if flatten else width
        self.head = nn.Linear(features, tokeniser.num_forecast_tokens * tokeniser.token_size)

    def forward(self, encoded: Encoded, last: Tensor, target: Tensor | None) -> Tensor:
        """Read the encoding; return forecast tokens ``(N, M, T)``."""
        features = encoded.outputs.flatten(1) if self.flatten else encoded.summary
        return self.head(self.dropout(features)).unflatten(1, (-1, self.tokens.token_size))  # type: ignore[no-any-return]


class SequenceDecoder(nn.Module):
    """A second recurrence that starts from the encoder's state and feeds on its own output.

    The encoder hands over its forward state, and its summary is added to every input: what the
    backward direction read, or what a cell does to its state on the way out, is not lost.

    Args:
        tokeniser: the sizes of tokens.
        stack: builds layers like the encoder's from (input_size, hidden_size).
        hidden_size: D.
        context_size: width of the encoder's summary.
        teacher_forcing: probability that a step in training is fed the true token before it,
            drawn once for the whole batch at each step.
        dropout: before the output layer.
    """

    def __init__(
        self,
        tokeniser: Tokeniser,
        stack: Callable[[int, int], RecurrentStack],
        hidden_size: int,
        *,
        context_size: int,
        teacher_forcing: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.teacher_forcing = teacher_forcing
        self.num_tokens = tokeniser.num_forecast_tokens
        self.embed = nn.Linear(tokeniser.token_size, hidden_size)
        self.context = nn.Linear(context_size, hidden_size, bias=False)
        self.stack = stack(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, tokeniser.token_size)

    def forward(self, encoded: Encoded, last: Tensor, target: Tensor | None) -> Tensor:
        """Write the horizon token by token.

        Args:
            encoded: what the encoder returned.
            last: the last token of the lookback ``(N, T)``, the first one fed.
            target: true tokens ``(N, M, T)``, in training only.

        Returns:
            Forecast tokens ``(N, M, T)``.
        """
        states = encoded.states
        context = self.context(encoded.summary)
        token, tokens = last, []
        for position in range(self.num_tokens):
            if position and target is not None and bool(torch.rand(()) < self.teacher_forcing):
                token = target[:, position - 1]
            h, states = self.stack.step(self.embed(token) + context, states)
            token = self.head(self.dropout(h))
            tokens.append(token)
        return torch.stack(tokens, dim=1)


class SegmentDecoder(nn.Module):
    """One step of the encoder's own recurrence for every forecast token, all in parallel.

    A token's query is the same for every window, and a window's state the same for every token, so
    the stack forks: the step's matrix products are those of M * C queries and of N states, where
    SegRNN's own code repeats both and multiplies all N * M pairs.

    Args:
        tokeniser: the sizes of tokens.
        stack: the encoder's recurrence, whose weights are shared.
        hidden_size: D; the position embedding fills it, or half of it beside a channel embedding.
        per_channel: tell the recurrence which channel it forecasts, too.
        dropout: before the output layer.

    Raises:
        ValueError: `per_channel` and D is odd.
    """

    def __init__(
        self,
        tokeniser: Tokeniser,
        stack: RecurrentStack,
        hidden_size: int,
        *,
        per_channel: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        if per_channel and hidden_size % 2:
            raise ValueError(
                f"hidden_size is split between position and channel embeddings and must be even, "
                f"but is {hidden_size}"
            )
        width = hidden_size // 2 if per_channel else hidden_size
        self.position = nn.Parameter(torch.randn(tokeniser.num_forecast_tokens, width))
        self.channel = nn.Parameter(torch.randn(tokeniser.channels, width)) if per_channel else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, tokeniser.token_size)
        self._shared = (stack,)  # in a tuple: the weights belong to the encoder and are saved there

    def forward(self, encoded: Encoded, last: Tensor, target: Tensor | None) -> Tensor:
        """Read the encoding; return forecast tokens ``(N, M, T)``."""
        (stack,) = self._shared
        outputs = stack.fork(self.query(), encoded.states)  # (N, M, D)
        return self.head(self.dropout(outputs))  # type: ignore[no-any-return]

    def query(self) -> Tensor:
        """Which token, ``(1, M, D)``, or which token of which channel, ``(C, M, D)``."""
        if self.channel is None:
            return self.position.unsqueeze(0)
        (channels, _), (segments, _) = self.channel.shape, self.position.shape
        return torch.cat(
            [
                self.position.expand(channels, -1, -1),
                self.channel.unsqueeze(1).expand(-1, segments, -1),
            ],
            dim=-1,
        )
