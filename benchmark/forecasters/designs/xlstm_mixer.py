"""xLSTM-Mixer: sLSTM blocks mix the channels of a linear forecast, seen from two sides.

    z = RevIN(x)
    u = W (z - z_L) + b + z_L                                  time mixing: NLinear's forecast
    e_c = W_e u_c + b_e                                        c = 1 ... C, from H steps to D
    E = (p_1 ... p_M, e_1 ... e_C)                             M learned tokens, then the channels
    v = sLSTM blocks(E)                                        joint mixing, from token to token
    w = sLSTM blocks(reversed E)                               the same blocks, the other view
    y_c = W_o (v_c, w_c) + b_o                                 view mixing, from 2 D to H steps
    y <- RevIN^-1(y)

The recurrence steps through channels, in the order of the data's columns: a channel's forecast
sees its own past and that of the channels before it. The learned tokens p are a soft prompt: what
the recurrence has read before the first channel.

Reversed is each token, within its D numbers, as the paper writes of the latent dimensions' order
and the authors' code does; the order of the channels is that of E in both views. Since the head
norms group neighbouring numbers and every weight has its place, the second view is another one.

The authors' code differs from the paper: RevIN has no learned scale and shift (`normalise`
chooses), M is tuned from 0 to 4 where the paper writes one token. It is followed where the paper
is silent: p starts at N(0, 0.01), and the blocks are those of the xLSTM's authors, each sLSTM
followed by a gated feed-forward network, dropout being between h and its norm alone.

Reference: M. Kraus et al., xLSTM-Mixer: multivariate time series forecasting by mixing via scalar
memories (2024), arXiv:2410.16928, Section 3.

Shapes: B batch, L lookback, H horizon, C channels, D width, M learned tokens.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.cells.xlstm import XLSTM
from benchmark.config import Positive, Probability
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.linear import Linear
from benchmark.forecasters.normalise import Normaliser


class XLSTMMixer(Forecaster):
    """sLSTM blocks over the channels of NLinear's forecast, in two views.

    Args:
        shape: the sizes the data decides.
        hidden_size: D.
        layers: sLSTM blocks, one after another.
        num_heads: of every block.
        taps: tokens that every block's convolution sees; 1 leaves it out.
        prompt: M.
        dropout: of every sLSTM's h, on its way to the norm.
        normalise: RevIN without a learned scale and shift, or with.

    Raises:
        ValueError: D is no multiple of `num_heads`.
    """

    def __init__(
        self,
        shape: SeriesShape,
        *,
        hidden_size: Positive = 256,
        layers: Positive = 1,
        num_heads: Positive = 8,
        taps: Positive = 1,
        prompt: Positive = 1,
        dropout: Probability = 0.1,
        normalise: Literal["standard", "revin"] = "standard",
    ) -> None:
        super().__init__(shape)
        self.normaliser = Normaliser(normalise, shape.channels)
        self.first = Linear(shape, normalise="last")
        self.embed = nn.Linear(shape.horizon, hidden_size)
        self.prompt = nn.Parameter(0.01 * torch.randn(prompt, hidden_size))
        self.blocks = XLSTM(
            hidden_size,
            hidden_size,
            blocks="s" * layers,
            num_heads=num_heads,
            taps=taps,
            dropout=dropout,
        )
        self.head = nn.Linear(2 * hidden_size, shape.horizon)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        channels = self.embed(self.first(z).transpose(1, 2))  # (B, C, D)
        tokens = torch.cat([self.prompt.expand(x.shape[0], -1, -1), channels], dim=1)
        views, _ = self.blocks(torch.cat([tokens, tokens.flip(-1)]))  # (2 B, M + C, D), in one go
        both = views[:, len(self.prompt) :].unflatten(0, (2, -1))  # (2, B, C, D)
        mixed = torch.cat(both.unbind(), dim=-1)  # (B, C, 2 D)
        return self.normaliser.inverse(self.head(mixed).transpose(1, 2), taken)
