"""One forecaster for every recurrence, so that two rows of a table differ by the cell alone.

    normalise -> tokens -> embed -> cells, in layers -> decode -> denormalise
                                                          (+ a linear map of the window, optional)

Each stage is one option of the YAML, and each file of it is short: `normalise.py`, `tokens.py`,
`benchmark/cells/`, `decoders.py`. SegRNN (arXiv:2308.11200), for instance, is ``cell: gru,
normalise: last, patch: 24, channels: independent, embedding: relu, decoder: segments``.

Training reads windows. In use rows arrive one after another, and `Recurrent.start` and
`Recurrent.step` read each of them once (`streaming.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from benchmark.cells import RecurrentStack, State, cell_factory, find_cell
from benchmark.config import Positive, Probability
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.decoders import DirectDecoder, SegmentDecoder, SequenceDecoder
from benchmark.forecasters.linear import TimeLinear
from benchmark.forecasters.normalise import Normalisation, Normaliser, Taken
from benchmark.forecasters.streaming import StreamState
from benchmark.forecasters.tokens import Tokeniser


class Recurrent(Forecaster):
    """A stack of recurrent cells between a tokeniser and a decoder.

    Args:
        shape: the sizes the data decides.
        cell: a file of ``benchmark/cells``: elman, gru, lstm, ...; or a cell of the user's own, as
            ``my_module.MyCell``.
        cell_options: the cell's own arguments, e.g. ``{nonlinearity: relu}``.
        hidden_size: width of the state, of each direction.
        layers: depth.
        bidirectional: read the lookback from both ends.
        residual: add each layer's input to its output where their widths agree.
        dropout: between layers and before the output layer.
        normalise: what is taken out of a window and put back into its forecast.
        patch: time steps in a token; 1 reads point by point.
        channels: ``mixing`` reads all channels in one token, ``independent`` each by itself with
            shared weights.
        embedding: how tokens enter the first cell: as they are, through a linear layer, or
            through a linear layer and a rectifier.
        decoder: ``direct`` (from the last output), ``flatten`` (from all outputs), ``seq2seq``,
            ``segments``, or ``shared_segments``: where channels are independent it is not told
            which of them it forecasts.
        teacher_forcing: for `seq2seq` in training: how often the true token is fed back.
        linear_skip: add a linear map of the normalised window to the forecast.

    Raises:
        ValueError: options that do not go together.
    """

    def __init__(
        self,
        shape: SeriesShape,
        *,
        cell: str,
        cell_options: dict[str, Any] = {},  # noqa: B006 - never changed
        hidden_size: Positive = 64,
        layers: Positive = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: Probability = 0.0,
        normalise: Normalisation = "none",
        patch: Positive = 1,
        channels: Literal["mixing", "independent"] = "mixing",
        embedding: Literal["none", "linear", "relu"] = "none",
        decoder: Literal["direct", "flatten", "seq2seq", "segments", "shared_segments"] = "direct",
        teacher_forcing: Annotated[float, Field(ge=0, le=1)] = 0.0,
        linear_skip: bool = False,
    ) -> None:
        super().__init__(shape)
        if teacher_forcing and decoder != "seq2seq":
            raise ValueError(f"teacher_forcing is for decoder seq2seq, but decoder is {decoder}")
        if decoder in ("segments", "shared_segments") and (bidirectional or embedding == "none"):
            raise ValueError(
                f"decoder {decoder} steps the encoder's own cells on embedded positions "
                "and needs an embedding and one direction, but "
                f"embedding is {embedding} and bidirectional is {bidirectional}"
            )
        independent = channels == "independent"
        build = cell_factory(cell, cell_options)
        self.tokens = Tokeniser(shape, patch=patch, independent=independent)
        self.normaliser = Normaliser(normalise, shape.channels)
        self.embed = _embedding(embedding, self.tokens.token_size, hidden_size)
        first_width = self.tokens.token_size if embedding == "none" else hidden_size
        stack = partial(RecurrentStack, build, layers=layers, residual=residual, dropout=dropout)
        self.stack = stack(first_width, hidden_size, bidirectional=bidirectional)
        width = self.stack.output_size
        if residual and layers == 1 and first_width != width and decoder != "seq2seq":
            raise ValueError(
                "residual adds a layer's input to its output and needs widths that agree, but "
                f"the only layer reads {first_width} numbers and writes {width}"
            )
        direct = partial(DirectDecoder, self.tokens, width, dropout=dropout)
        segments = partial(SegmentDecoder, self.tokens, self.stack, hidden_size, dropout=dropout)
        decoders: dict[str, Callable[[], nn.Module]] = {
            "direct": partial(direct, flatten=False),
            "flatten": partial(direct, flatten=True),
            "seq2seq": partial(
                SequenceDecoder,
                self.tokens,
                stack,
                hidden_size,
                context_size=width,
                teacher_forcing=teacher_forcing,
                dropout=dropout,
            ),
            "segments": partial(segments, per_channel=independent),
            "shared_segments": partial(segments, per_channel=False),
        }
        self.decoder = decoders[decoder]()
        self.skip = TimeLinear(shape) if linear_skip else None
        self.teacher_forcing = teacher_forcing
        self.tied_steps = decoder == "seq2seq"
        whole = {
            "bidirectional": bidirectional,
            "decoder flatten": decoder == "flatten",
            "linear_skip": linear_skip,
        }
        self.needs_window = [option for option, chosen in whole.items() if chosen]
        self.channel_independent = (
            independent and decoder != "segments" and not self.normaliser.per_channel
        )

    @classmethod
    def named_classes(cls, options: Mapping[str, Any]) -> Sequence[type]:
        """A cell of the user's own is code that the option `cell` names."""
        name = options.get("cell")
        return [find_cell(name)] if isinstance(name, str) and "." in name else []

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        return self._read(x, self.normaliser.measure(x))[0]

    def training_forecast(self, x: Tensor, y: Tensor) -> Tensor:
        """Forecast while training; `seq2seq` may be fed true tokens of ``(B, H, C)``."""
        target = y if self.teacher_forcing else None
        return self._read(x, self.normaliser.measure(x), target=target)[0]

    def start(self, x: Tensor) -> tuple[Tensor, StreamState]:
        """Open a stream: `forward` on a lookback, and the state to go on from.

        What the normaliser takes out of this lookback is taken out of all that follows it. A
        window that moved on would have a new statistic, hence other tokens from its first step on,
        and no state of a nonlinear recurrence can be corrected for that without reading them
        again: to renew the statistic, start anew.

        Args:
            x: ``(B, any, C)``, a whole number of patches.

        Returns:
            The forecast ``(B, H, C)`` of the rows after `x`, and the state after it.

        Raises:
            ValueError: the forecaster needs a whole window, or `x` is not of that shape.
        """
        if self.needs_window:
            raise ValueError(
                "a stream forecasts from a state that reads forward, but "
                f"the whole window is needed by {' and '.join(self.needs_window)}"
            )
        return self._read(x, self.normaliser.measure(x))

    def step(self, rows: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Read on, at a cost that does not depend on how much was read before.

        Args:
            rows: ``(B, k * P, C)``, the next patch of P time steps or several.
            state: as `start` or `step` returned it; it is left as it was.

        Returns:
            The forecast ``(B, H, C)`` of the rows after these, and the state after them.

        Raises:
            ValueError: `rows` is not of that shape, or B is not the state's.
        """
        sequences_each = self.shape.channels if self.tokens.independent else 1
        num_series = len(state.states[0][0]) // sequences_each
        if len(rows) != num_series:
            raise ValueError(
                f"rows must continue every series of the state, but rows are of {len(rows)} "
                f"and the state is of {num_series}"
            )
        return self._read(rows, state.taken, state.states)

    def _read(
        self,
        rows: Tensor,
        taken: Taken,
        states: list[State] | None = None,
        *,
        target: Tensor | None = None,
    ) -> tuple[Tensor, StreamState]:
        self.tokens.require_patches(rows)
        z = self.normaliser.remove(rows, taken)
        tokens = self.tokens.cut(z)  # (N, S, T), N = B or B * C
        encoded = self.stack(self.embed(tokens), states)
        if target is not None:
            target = self.tokens.cut_target(self.normaliser.remove(target, taken))
        forecast = self.decoder(encoded, tokens[:, -1], target)  # (N, M, T)
        series = self.tokens.join(forecast)  # (B, H, C)
        if self.skip is not None:
            series = series + self.skip(z)
        return self.normaliser.inverse(series, taken), StreamState(encoded.states, taken)


def _embedding(kind: str, token_size: int, hidden_size: int) -> nn.Module:
    if kind == "none":
        return nn.Identity()
    linear = nn.Linear(token_size, hidden_size)
    return nn.Sequential(linear, nn.ReLU()) if kind == "relu" else linear
