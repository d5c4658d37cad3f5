"""A memory of what followed what, solved by least squares at every step: RLS, or a mesa layer.

Key k_s: the stretch of L steps before s, of any channel, less its mean. Value v_s: the H steps from
s on, less the same mean. Each hour that completes a pair adds it to a memory of two matrices:

    S_t = S_{t-1} + k k^T    (L, L)        C_t = C_{t-1} + k v^T    (L, H)

and the forecast reads it with the latest stretch, less its mean c, as the query q,

    y = c + C^T (S + p I)^-1 q,

which is the ridge regression of all pairs seen. C alone is the memory of an mLSTM, or of linear
attention, without gates (`benchmark.cells.mlstm`): reading it by C^T q answers with every value
whose key resembles the query, and the inverse of S is what undoes the keys' overlap. No weight is
learned by gradient. Before the window, the memory holds the train pairs, as means; of the window it
holds the pairs inside, as means; they are mixed,

    S = (1 - w) S_train + w S_window,      C likewise.

So the map from lookback to horizon follows the series after its train rows have ended, seeing no
step that a lookback does not hold. The share w says how fast the series changes, which one season
does not tell: it is an option.

A plain ridge takes all weights to be equally likely to be large. They are not:

- What was long ago says less. The identity gives way to D = diag((1 + lag / season)^(2 fade)),
  divided by its mean. At a fade of 1 it grows as the square of a step's age in seasons: a weight's
  prior standard deviation falls as one over its lag (Litterman's Minnesota prior).
- A horizon's level and its mean day can be predicted; how one of its days differs from the next can
  hardly be. So the horizon is the sum of three orthogonal parts, its level, the rest of its mean
  season and the rest, by projections P_1, P_2 and P_3; each has a penalty of its own,

    y = c + sum_i P_i C^T (S + p_i D)^-1 q,

which is three ridge regressions, as a rotation of the targets changes nothing in one. Of orthogonal
parts the errors add up, so each penalty is chosen on validation by itself.

The windows inside a series u overlap, which makes their moments cheap. With N pairs of width L + H,
R[i, j] = sum_s u[s+i] u[s+j] over s < N has its first row from one Fourier transform, and then

    R[i+1, j+1] = R[i, j] + u[N+i] u[N+j] - u[i] u[j],

and taking the keys' means out of all that changes two terms more. Only what lies on and above the
diagonal is computed: S is symmetric.

References: R. L. Plackett, Some theorems in least squares, Biometrika 37 (1950), for the recursion;
R. B. Litterman, Forecasting with Bayesian vector autoregressions: five years of experience, Journal
of Business and Economic Statistics 4 (1986), for the prior; J. von Oswald et al., Uncovering
mesa-optimization algorithms in Transformers (2023), arXiv:2309.05858, and MesaNet (2025),
arXiv:2506.05233, Section 3, for the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from benchmark.config import Positive, Probability
from benchmark.forecasters.contract import ClosedFormForecaster, SeriesShape, WindowSource
from benchmark.forecasters.ridge import PENALTIES, Moments, check_finite

JUDGES = 64
"""Validation windows that choose the penalty, spread evenly: each costs a decomposition."""

SPAN = 4
"""Windows whose memories are held at once: some megabytes each."""


class Pairs(NamedTuple):
    """Second moments of centred pairs, means over pairs and channels; of each window its own."""

    xx: Tensor  # (B, L, L) on and above its diagonal, or of one memory for all windows (L, L)
    xy: Tensor  # (B, L, H), or (L, H)

    @classmethod
    def inside(cls, series: Tensor, lookback: int, horizon: int) -> Pairs:
        """Of every pair whose ``lookback + horizon`` steps lie inside a series ``(B, C, T)``."""
        series = series - series.mean(dim=-1, keepdim=True)  # changes rounding and nothing else
        width = lookback + horizon
        products = _sliding_products(series, lookback, width)  # (B, L, L + H)
        return cls(products[..., :lookback], products[..., lookback:])

    def mixed_with(self, prior: Pairs, share: float) -> Pairs:
        """Return the memory that holds these by `share`, and `prior` by the rest."""
        return Pairs(*(new.lerp(old, 1 - share) for old, new in zip(prior, self, strict=True)))


class Mesa(ClosedFormForecaster):
    """Ridge regression on train pairs and on the pairs inside the lookback, with a prior.

    Args:
        shape: the sizes the data decides; the lookback is all that the memory sees. One shorter
            than a stretch and a horizon holds no pair, and the memory holds train pairs alone.
        stretch: L, steps of a key and of the query; at most the lookback is taken.
        share: w, what the window's own pairs weigh in the memory; the train pairs weigh the rest.
        fade: a weight's prior standard deviation falls with its lag to this power; 0: not at all.
        batch_size: windows a step of the accumulation; changes memory, not the result.
    """

    xx: Tensor
    xy: Tensor
    penalty: Tensor
    precision: Tensor
    parts: Tensor

    def __init__(
        self,
        shape: SeriesShape,
        *,
        stretch: Positive = 336,
        share: Probability = 0.3,
        fade: Annotated[float, Field(ge=0, le=4)] = 1.0,
        batch_size: Positive = 256,
    ) -> None:
        super().__init__(shape)
        self.stretch = min(stretch, shape.lookback)
        self.share = share
        self.batch_size = batch_size
        parts = parts_of(shape.horizon, shape.season)
        zeros = partial(torch.zeros, dtype=torch.float64)
        self.register_buffer("xx", zeros(self.stretch, self.stretch))
        self.register_buffer("xy", zeros(self.stretch, shape.horizon))
        self.register_buffer("penalty", zeros(len(parts)))
        seasons = torch.arange(self.stretch, 0, -1, dtype=torch.float64) / shape.season
        precision = (1 + seasons) ** (2 * fade)
        self.register_buffer("precision", precision / precision.mean(), persistent=False)
        self.register_buffer("parts", parts, persistent=False)

    @property
    def holds_pairs(self) -> bool:
        """Whether a lookback is long enough for one."""
        return self.shape.lookback >= self.stretch + self.shape.horizon

    def fit(self, train: WindowSource, validation: WindowSource) -> None:
        """Take the train pairs in; choose each part's penalty on validation windows.

        Raises:
            UserError: the train or validation windows hold no finite moments (overflow).
        """
        self._remember(train, "train")
        penalties = PENALTIES.to(self.xx.device)
        errors = torch.zeros(len(penalties), len(self.parts)).to(penalties)  # (P, K)
        scale = self.precision.rsqrt()  # of keys: with it, the prior is the identity again
        for x, y in _some(validation, JUDGES, self.batch_size):
            query, centre, memory = self._read(x)
            check_finite((query, *memory), "Mesa", "validation")
            spectrum, basis = torch.linalg.eigh(memory.xx * scale * scale[:, None], "U")
            shrunk = 1 / (spectrum.clamp(min=0).flatten() + penalties[:, None])  # (P, L)
            keys = ((query * scale) @ basis) * shrunk[:, None]  # (P, C, L)
            truth = y.double().transpose(1, 2) - centre  # (1, C, H)
            wrong = keys @ (basis.mT @ (memory.xy * scale[:, None])) - truth  # (P, C, H)
            wrong = torch.where(truth.isnan(), 0.0, wrong)
            of_part = wrong.flatten(0, 1) @ self.parts  # (K, P C, H), in K products of matrices
            squares = of_part.square().sum(dim=2).view(-1, *wrong.shape[:2])  # (K, P, C)
            errors += squares.sum(dim=2).T
        self.penalty.copy_(penalties[errors.argmin(dim=0)])

    def refit(self, windows: WindowSource) -> None:
        """Take more pairs in; the penalties stay.

        Raises:
            UserError: as `fit`.
        """
        self._remember(windows, "train and validation")

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L_all, C)`` -> ``(B, H, C)``."""
        forecasts = [self._forecast(part) for part in torch.split(x, SPAN)]
        return torch.cat(forecasts).to(x.dtype)

    def _forecast(self, x: Tensor) -> Tensor:
        query, centre, memory = self._read(x)
        forecast = centre.mT  # (B, 1, C)
        penalised = memory.xx.clone()  # transposed, as it is the lower half that is read
        diagonal = memory.xx.diagonal(dim1=-2, dim2=-1)
        for penalty, part in zip(self.penalty, self.parts, strict=True):
            penalised.diagonal(dim1=-2, dim2=-1).copy_(diagonal + penalty * self.precision)
            factor, failed = torch.linalg.cholesky_ex(penalised.mT)
            answer = torch.cholesky_solve(query.mT, factor.expand(len(x), -1, -1))  # (B, L, C)
            answer = answer.masked_fill(failed[..., None, None] > 0, torch.nan)  # S was not finite
            forecast = forecast + part @ (memory.xy.mT @ answer)  # (B, H, C)
        return forecast

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor, Pairs]:
        """Take the query ``(B, C, L)``, its mean ``(B, C, 1)`` and the memory from a lookback."""
        series = x.double().transpose(1, 2)  # (B, C, L_all)
        latest = series[..., -self.stretch :]
        centre = latest.mean(dim=-1, keepdim=True)
        memory = Pairs(self.xx, self.xy)
        if self.share and self.holds_pairs:
            inside = Pairs.inside(series, self.stretch, self.shape.horizon)
            memory = inside.mixed_with(memory, self.share)
        return latest - centre, centre, memory

    def _remember(self, windows: WindowSource, name: str) -> None:
        moments = Moments.of(windows.with_lookback(self.stretch), self.batch_size)
        check_finite(moments, "Mesa", name)
        self.xx.copy_(moments.xx)
        self.xy.copy_(moments.xy)


def parts_of(horizon: int, season: int) -> Tensor:
    """Projections of a horizon on its level, on the rest of its mean season and on the rest.

    They are symmetric and add up to the identity; one that is empty, as the second is for a season
    of one step and the third for a horizon no longer than a season, is left out ``(K, H, H)``.
    """
    phase = torch.arange(horizon) % season
    same = (phase[:, None] == phase).double()
    mean_season = same / same.sum(dim=1)
    level = torch.ones_like(same) / horizon
    parts = torch.stack([level, mean_season - level, torch.eye(horizon).double() - mean_season])
    return parts[parts.abs().amax(dim=(1, 2)) > 0]


def _sliding_products(series: Tensor, lookback: int, width: int) -> Tensor:
    """Mean over pairs and channels of key and pair less the key's mean, ``(B, L, width)``.

    With c_s the mean of a key: M[i, j] = mean_s (u[s+i] - c_s)(u[s+j] - c_s), of a series u
    ``(B, C, T)``, for i <= j. What lies below the diagonal means nothing.
    """
    steps = series.shape[-1]
    count = steps - width + 1  # N
    sums = F.pad(series.cumsum(dim=-1), (1, 0))[..., : count + lookback]
    keys = (sums[..., lookback:] - sums[..., :count]) / lookback  # c (B, C, N)
    spectrum = torch.fft.rfft(series)

    def against(u: Tensor) -> Tensor:
        """Sum over s < N and channels of u[s] and the series' step s + j ``(B, width)``."""
        product = spectrum * torch.fft.rfft(u, steps).conj()
        sums: Tensor = torch.fft.irfft(product.sum(dim=1), steps)
        return sums[:, :width]

    with_centre = against(keys)  # (B, width)
    first = against(series[..., :count]) - with_centre - with_centre[:, :1]
    first = first + keys.square().sum(dim=(1, 2))[:, None]  # M[0, j]
    # M[i, j] - M[i-1, j-1] as a product of few columns, (B, 2 C + 3, L) and (B, 2 C + 3, width)
    entering, leaving = series[..., count:], series[..., : width - 1]  # (B, C, width - 1)
    change = -with_centre.diff()[:, None]  # (B, 1, width - 1)
    one = torch.ones_like(change)
    left = torch.cat([entering, -leaving, change, one], dim=1)[..., : lookback - 1]
    right = torch.cat([entering, leaving, one, change], dim=1)
    left = F.pad(left, (1, 0, 0, 1))
    left[:, -1, 0] = 1  # the first row is its own
    right = torch.cat([F.pad(right, (1, 0)), first[:, None]], dim=1)
    products = (left.mT / (count * series.shape[1])) @ right
    for i in range(1, lookback):
        products[:, i, i:] += products[:, i - 1, i - 1 : -1]
    return products


def _some(windows: WindowSource, most: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield at most so many windows one by one, spread evenly."""
    wanted = set(torch.linspace(0, len(windows) - 1, min(most, len(windows))).long().tolist())
    number = 0
    for x, y in windows.in_order(batch_size):
        for i in range(len(x)):
            if number in wanted:
                yield x[i : i + 1], y[i : i + 1]
            number += 1
