"""S-Mamba: Mamba over the channels, read in both directions; time is inside a token.

    z    = (x - mean(x)) / sd(x)                        each channel of a window
    h_c  = W_embed (z_{1,c}, ..., z_{L,c})              one token a channel
    h   <- LayerNorm(h + Mamba(h) + flip(Mamba'(flip(h))))
    h   <- LayerNorm(h + W_2 GELU(W_1 h))               `layers` times both
    y_c  = W_head LayerNorm(h_c)                        put back between mean and sd

Differs from iTransformer by the third line alone: two Mambas in the place of attention, at a cost
linear in the number of channels. But Mamba has an order: what a channel learns of another depends
on how far apart, and on which side, the two stand in the file.

The official code also gives the hour, day and month of each step as four further tokens behind the
channels, which the paper's text leaves out and a forecaster here is not told. Dropout is in the
feed-forward network and on tokens as they enter; nothing is dropped behind Mamba.

Shapes: B batch, L lookback, C channels, D width.

Reference: Z. Wang et al., Is Mamba effective for time series forecasting? (2024), arXiv:2403.11144,
Section 4 and Algorithms 1 and 2.
"""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.cells.mamba import Mamba
from benchmark.config import Positive, Probability
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normaliser


class SMamba(Forecaster):
    """Channels as tokens -> bidirectional Mamba -> one linear layer from a token to its horizon.

    Args:
        shape: the sizes the data decides.
        hidden_size: D.
        layers: depth.
        feed_forward_size: width of W_1's output.
        state_size: numbers that Mamba remembers of each of its channels.
        conv_width: tokens that Mamba's convolution sees.
        expand: width inside Mamba over D.
        dropout: on tokens as they enter, and in and behind the feed-forward network.
    """

    def __init__(
        self,
        shape: SeriesShape,
        *,
        hidden_size: Positive = 256,
        layers: Positive = 2,
        feed_forward_size: Positive = 256,
        state_size: Positive = 2,
        conv_width: Positive = 2,
        expand: Positive = 1,
        dropout: Probability = 0.1,
    ) -> None:
        super().__init__(shape)

        def mamba() -> Mamba:
            return Mamba(
                hidden_size,
                hidden_size,
                state_size=state_size,
                conv_width=conv_width,
                expand=expand,
            )

        self.normaliser = Normaliser("standard", shape.channels)
        self.embed = nn.Sequential(nn.Linear(shape.lookback, hidden_size), nn.Dropout(dropout))
        self.encoder = nn.Sequential(
            *(Layer(mamba(), mamba(), feed_forward_size, dropout) for _ in range(layers)),
            nn.LayerNorm(hidden_size),
        )
        self.head = nn.Linear(hidden_size, shape.horizon)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        h = self.encoder(self.embed(z.transpose(1, 2)))  # (B, C, D)
        return self.normaliser.inverse(self.head(h).transpose(1, 2), taken)


class Layer(nn.Module):
    """Mamba in both directions, then a feed-forward network, each added to its input.

    Args:
        ahead: reads the channels first to last.
        back: reads them last to first.
        feed_forward_size: width between the feed-forward network's two maps.
        dropout: in and behind the feed-forward network.
    """

    def __init__(self, ahead: Mamba, back: Mamba, feed_forward_size: int, dropout: float) -> None:
        super().__init__()
        width = ahead.hidden_size
        self.ahead, self.back = ahead, back
        self.mixing_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(feed_forward_size, width),
            nn.Dropout(dropout),
        )
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(self, h: Tensor) -> Tensor:
        """``(B, C, D)`` -> ``(B, C, D)``."""
        ahead, _ = self.ahead(h)
        back, _ = self.back(h.flip(1))
        h = self.mixing_norm(h + ahead + back.flip(1))
        return self.feed_forward_norm(h + self.feed_forward(h))  # type: ignore[no-any-return]
