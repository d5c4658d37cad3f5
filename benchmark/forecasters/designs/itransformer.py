"""iTransformer: a Transformer whose tokens are channels, each with its whole past.

    z    = (x - mean(x)) / sd(x)                        each channel of a window
    h_c  = W_embed (z_{1,c}, ..., z_{L,c})              one token a channel
    h   <- LayerNorm(h + Attention(h))                  over the C channels
    h   <- LayerNorm(h + W_2 GELU(W_1 h))               `layers` times both
    y_c  = W_head LayerNorm(h_c)                        put back between mean and sd

Differs from PatchTST by what attends to what: there patches of one channel, here channels of one
window. Time is inside a token, and it is W_embed and the feed-forward network that learn it. There
is no position: a channel is known by its values alone, so permuting channels permutes the forecast,
although each forecast depends on all of them.

The encoder layers are torch's own; their queries, keys and values begin 1.2 times as large as the
official code's, and without biases. That code also gives the hour, day and month of each step as
four further tokens, which the paper's text leaves out and a forecaster here is not told.

Shapes: B batch, L lookback, C channels, D width.

Reference: Y. Liu et al., iTransformer: inverted transformers are effective for time series
forecasting, ICLR 2024, arXiv:2310.06625, Section 3.
"""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.cells.heads import require_multiple
from benchmark.config import Positive, Probability
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normaliser


class ITransformer(Forecaster):
    """Channels as tokens -> Transformer encoder -> one linear layer from a token to its horizon.

    Args:
        shape: the sizes the data decides.
        hidden_size: D.
        layers: depth of the encoder.
        num_heads: of attention, a divisor of D.
        feed_forward_size: width of W_1's output.
        dropout: on tokens as they enter, on attention's weights and on every branch.

    Raises:
        ValueError: D is no multiple of the number of heads.
    """

    def __init__(
        self,
        shape: SeriesShape,
        *,
        hidden_size: Positive = 512,
        layers: Positive = 2,
        num_heads: Positive = 8,
        feed_forward_size: Positive = 512,
        dropout: Probability = 0.1,
    ) -> None:
        super().__init__(shape)
        require_multiple("hidden_size", hidden_size, "num_heads", num_heads)
        self.normaliser = Normaliser("standard", shape.channels)
        self.embed = nn.Sequential(nn.Linear(shape.lookback, hidden_size), nn.Dropout(dropout))
        self.encoder = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    hidden_size,
                    num_heads,
                    feed_forward_size,
                    dropout=dropout,
                    activation="gelu",
                    batch_first=True,
                )
                for _ in range(layers)
            ),
            nn.LayerNorm(hidden_size),
        )
        self.head = nn.Linear(hidden_size, shape.horizon)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        h = self.encoder(self.embed(z.transpose(1, 2)))  # (B, C, D)
        return self.normaliser.inverse(self.head(h).transpose(1, 2), taken)
