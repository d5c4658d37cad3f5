"""PatchTST: a Transformer that reads one channel at a time, in patches that overlap.

    z         = (x - mean(x)) / sd(x)                   a channel of a window, all by itself
    p_s       = z_{s V + 1} .. z_{s V + P}              after z_L is repeated V times at the end
    u_s       = W_P p_s + W_pos_s                       s = 0 .. S - 1, S = floor((L - P) / V) + 2
    scores_l  = q k^T / sqrt(D / K) + scores_{l-1}      of each head; scores_0 = 0
    u        <- BatchNorm(u + W_O softmax(scores_l) v)  q, k, v = W_q u, W_k u, W_v u
    u        <- BatchNorm(u + W_2 GELU(W_1 u))          l = 1 .. layers
    y         = W_head (u_0, ..., u_{S-1})              put back between mean and sd

Differs from the recurrences on patches by what joins the patches: each looks at all others at once,
and an order there is in W_pos alone. Batch norm takes its statistics over all windows, channels and
patches of a batch; in evaluation they are running averages.

Two things are the official code's and not in the paper's text: the scores of a layer are added to
those of the layer before (R. He et al., RealFormer, arXiv:2012.11747), and dropout acts twice on
what attention returns, once behind W_O and once before the sum.

Shapes: B batch, L lookback, C channels, P patch, V stride, S patches, D width, K heads, N = B * C.

Reference: Y. Nie et al., A time series is worth 64 words: long-term forecasting with transformers,
ICLR 2023, arXiv:2211.14730, Section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.cells.heads import require_multiple
from benchmark.config import Positive, Probability
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normaliser
from benchmark.forecasters.tokens import OverlappingPatches


class PatchTST(Forecaster):
    """Patches of one channel -> Transformer encoder with batch norm -> one linear layer.

    Args:
        shape: the sizes the data decides.
        hidden_size: D.
        layers: depth of the encoder.
        num_heads: K, a divisor of D.
        feed_forward_size: width of W_1's output.
        patch: P.
        stride: V, steps from one patch to the next.
        dropout: on patches as they enter, on what attention returns (twice) and in and behind the
            feed-forward network.

    Raises:
        ValueError: D is no multiple of K, or a patch is longer than the lookback.
    """

    channel_independent = True

    def __init__(
        self,
        shape: SeriesShape,
        *,
        hidden_size: Positive = 16,
        layers: Positive = 3,
        num_heads: Positive = 4,
        feed_forward_size: Positive = 128,
        patch: Positive = 16,
        stride: Positive = 8,
        dropout: Probability = 0.3,
    ) -> None:
        super().__init__(shape)
        require_multiple("hidden_size", hidden_size, "num_heads", num_heads)
        self.patches = OverlappingPatches(shape.lookback, patch, stride)
        self.normaliser = Normaliser("standard", shape.channels)
        self.embed = nn.Linear(patch, hidden_size)
        self.position = nn.Parameter(
            torch.empty(self.patches.count, hidden_size).uniform_(-0.02, 0.02)
        )
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(hidden_size, num_heads, feed_forward_size, dropout) for _ in range(layers)
        )
        self.head = nn.Linear(self.patches.count * hidden_size, shape.horizon)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        cut = self.patches.cut(z.transpose(1, 2).flatten(0, 1))  # (N, S, P)
        u = self.dropout(self.embed(cut) + self.position)  # (N, S, D)
        scores = None
        for layer in self.layers:
            u, scores = layer(u, scores)
        y = self.head(u.flatten(1)).view(x.shape[0], -1, self.shape.horizon)  # (B, C, H)
        return self.normaliser.inverse(y.transpose(1, 2), taken)


class EncoderLayer(nn.Module):
    """Attention, then a feed-forward network, each added to its input and batch-normalised.

    Args:
        width: D.
        num_heads: K.
        feed_forward_size: width between the feed-forward network's two maps.
        dropout: see `PatchTST`.
    """

    def __init__(self, width: int, num_heads: int, feed_forward_size: int, dropout: float) -> None:
        super().__init__()
        self.attention = ResidualAttention(width, num_heads)
        self.attention_dropout = nn.Sequential(nn.Dropout(dropout), nn.Dropout(dropout))
        self.attention_norm = nn.BatchNorm1d(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(feed_forward_size, width),
            nn.Dropout(dropout),
        )
        self.feed_forward_norm = nn.BatchNorm1d(width)

    def forward(self, u: Tensor, scores: Tensor | None) -> tuple[Tensor, Tensor]:
        """Tokens ``(N, S, D)`` and the scores of the layer before -> both of this layer."""
        read, scores = self.attention(u, scores)
        u = _each_token(self.attention_norm, u + self.attention_dropout(read))
        return _each_token(self.feed_forward_norm, u + self.feed_forward(u)), scores


class ResidualAttention(nn.Module):
    """Multi-head attention that hands its scores on; torch's own keeps them to itself.

    Args:
        width: D.
        num_heads: K.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, u: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """``(N, S, D)``, scores ``(N, K, S, S)`` or None -> ``(N, S, D)``, ``(N, K, S, S)``."""
        heads = self.in_proj(u).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = heads  # (N, K, S, D / K) each
        scores = queries * queries.shape[-1] ** -0.5 @ keys.mT
        if before is not None:
            scores = scores + before
        read = scores.softmax(dim=-1) @ values
        return self.out_proj(read.transpose(1, 2).flatten(2)), scores


def _each_token(norm: nn.BatchNorm1d, u: Tensor) -> Tensor:
    """Normalise ``(N, S, D)`` with one mean and one variance for each of its D features."""
    return norm(u.flatten(0, 1)).view_as(u)  # type: ignore[no-any-return]
