"""TimeMachine: four Mambas, two at each of two widths.

    z    = RevIN(x)                                     a gain and a shift for each channel
    u    = W_1 z                                        L -> n1, each channel
    v    = W_2 drop(u)                                  n1 -> n2
    q    = v + Mamba_1(drop(v)) + Mamba_2(drop(v))      the inner pair, of width n2
    p    = Mamba_3(drop(u)) + Mamba_4(drop(u))          the outer pair, of width n1
    y    = W_4 (u + W_3 q, p)                           n2 -> n1, then 2 n1 -> H; then RevIN undone

What a step is depends on the channels. Mixed, a step is a channel, and both Mambas of a pair read
the same sequence of C. Independent, each channel is alone: one Mamba of a pair sees a sequence of
one step, of width n, and the other the n numbers one after another, as a sequence of width 1.

So in the published setting for ETTh1, which is independent, two of the four recur over nothing:
their decay multiplies a memory of zeros and can learn nothing, and of their convolutions one tap
is used. They are computed, and their parameters counted, as the gated products that they are. The
other two run along an axis which W_1 and W_2 have made, not along time.

Shapes: B batch, L lookback, H horizon, C channels, N sequences (B, or B * C), S steps (C, or 1).

Reference: M. A. Ahamed and Q. Cheng, TimeMachine: a time series is worth 4 Mambas for long-term
forecasting (2024), arXiv:2403.09898, Section 3.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from benchmark.cells.mamba import Mamba
from benchmark.cells.skip_gate import skip_gate
from benchmark.config import Positive, Probability
from benchmark.forecasters.contract import Forecaster, SeriesShape
from benchmark.forecasters.normalise import Normaliser

SEQUENCES = 16  # read at a time, see `along_features`


class TimeMachine(Forecaster):
    """A pair of Mambas at each of two widths, between RevIN and its inverse.

    Args:
        shape: the sizes the data decides.
        hidden_size: n1, of the outer pair.
        inner_size: n2, of the inner pair.
        channels: ``independent`` or ``mixing``, see above.
        state_size: numbers that a Mamba remembers of each of its channels.
        conv_width: steps that a Mamba's convolution sees.
        expand: width inside a Mamba over its width outside.
        dropout: before either pair.
    """

    def __init__(
        self,
        shape: SeriesShape,
        *,
        hidden_size: Positive = 512,
        inner_size: Positive = 128,
        channels: Literal["mixing", "independent"] = "independent",
        state_size: Positive = 256,
        conv_width: Positive = 2,
        expand: Positive = 1,
        dropout: Probability = 0.7,
    ) -> None:
        super().__init__(shape)
        self.independent = channels == "independent"

        def mamba(width: int) -> Mamba:
            return Mamba(width, width, state_size=state_size, conv_width=conv_width, expand=expand)

        def pair(width: int) -> MambaPair:
            second = mamba(1) if self.independent else mamba(width)
            return MambaPair(mamba(width), second, independent=self.independent)

        self.normaliser = Normaliser("revin", shape.channels)
        self.embed = nn.Linear(shape.lookback, hidden_size)
        self.narrow = nn.Linear(hidden_size, inner_size)
        self.inner = pair(inner_size)
        self.outer = pair(hidden_size)
        self.widen = nn.Linear(inner_size, hidden_size)
        self.head = nn.Linear(2 * hidden_size, shape.horizon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, C)`` -> ``(B, H, C)``."""
        z, taken = self.normaliser(x)
        z = z.transpose(1, 2)  # (B, C, L)
        if self.independent:
            z = z.flatten(0, 1).unsqueeze(1)  # (N, 1, L)
        u = self.embed(z)  # (N, S, n1)
        dropped = self.dropout(u)
        v = self.narrow(dropped)  # (N, S, n2)
        q = v + self.inner(self.dropout(v))
        p = self.outer(dropped)
        y = self.head(torch.cat([u + self.widen(q), p], dim=-1))  # (N, S, H)
        y = y.view(x.shape[0], -1, self.shape.horizon).transpose(1, 2)
        return self.normaliser.inverse(y, taken)


class MambaPair(nn.Module):
    """The sum of two Mambas.

    Args:
        first: of width n.
        second: of width n, or of width 1 if channels are independent.
        independent: whether a sequence is a single step, and `second` reads along its features.
    """

    def __init__(self, first: Mamba, second: Mamba, *, independent: bool) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.independent = independent
        if independent:  # nothing for A to act on, hence no gradient: a constant
            A_log = first.A_log.detach()
            del first.A_log
            first.register_buffer("A_log", A_log)

    def forward(self, u: Tensor) -> Tensor:
        """``(N, S, n)`` -> ``(N, S, n)``."""
        if self.independent:
            return one_step(self.first, u) + along_features(self.second, u)
        return self.first(u)[0] + self.second(u)[0]  # type: ignore[no-any-return]


def one_step(cell: Mamba, u: Tensor) -> Tensor:
    """Mamba's output on sequences ``(N, 1, n)``: y = (dt (C . B) + D) x, for h_1 = (dt x) B.

    This spares the memory, which would be two gigabytes for a batch of the published settings.
    """
    x, z = cell.in_proj(u).chunk(2, dim=-1)
    x = F.silu(cell.conv(x, cell.conv.initial_state(x))[0])
    dt, _, B, C = cell.select(x)
    y = dt * x * (B * C).sum(dim=-1, keepdim=True)
    return cell.out_proj(skip_gate(y, x, cell.D, z))  # type: ignore[no-any-return]


def along_features(cell: Mamba, u: Tensor) -> Tensor:
    """Mamba's output on ``(N, 1, n)`` read as N sequences of n steps and width 1.

    Of every number it keeps 2 state_size more. On a CPU they would fill its memory, and fetching
    them takes longer than computing them, so a few sequences are read at a time and once more in
    the backward pass.
    """
    if not u.is_cpu:
        return cell(u.mT)[0].mT  # type: ignore[no-any-return]
    pieces = [
        checkpoint(cell, piece, use_reentrant=False, preserve_rng_state=False)[0]
        for piece in torch.split(u.mT, SEQUENCES)
    ]
    return torch.cat(pieces).mT
