"""Tokens: cut and joined they are the window again, and each is what its position says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.tokens import Tokeniser

both_ways = pytest.mark.parametrize("independent", [False, True])


def series(batch: int, steps: int, channels: int) -> Tensor:
    """Every value names its window, step and channel."""
    window = 10_000 * torch.arange(batch)[:, None, None]
    step = 10 * torch.arange(steps)[:, None]
    return (window + step + torch.arange(channels)).float()


@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 4),
    patch=st.integers(1, 6),
    num_tokens=st.integers(1, 5),
    horizon=st.integers(1, 20),
    independent=st.booleans(),
)
def test_a_horizon_cut_and_joined_is_itself(
    batch: int, channels: int, patch: int, num_tokens: int, horizon: int, independent: bool
) -> None:
    shape = SeriesShape(patch * num_tokens, horizon, channels, season=1)
    tokeniser = Tokeniser(shape, patch=patch, independent=independent)
    y = series(batch, horizon, channels)
    tokens = tokeniser.cut_target(y)
    sequences = batch * channels if independent else batch
    assert tokens.shape == (sequences, tokeniser.num_forecast_tokens, tokeniser.token_size)
    assert (tokeniser.num_forecast_tokens - 1) * patch < horizon
    assert horizon <= tokeniser.num_forecast_tokens * patch
    assert torch.equal(tokeniser.join(tokens), y)


@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 3),
    patch=st.integers(1, 4),
    num_tokens=st.integers(1, 4),
    independent=st.booleans(),
)
def test_a_token_is_a_patch_of_one_channel_or_of_all(
    batch: int, channels: int, patch: int, num_tokens: int, independent: bool
) -> None:
    lookback = patch * num_tokens
    tokeniser = Tokeniser(
        SeriesShape(lookback, 1, channels, season=1), patch=patch, independent=independent
    )
    x = series(batch, lookback, channels)
    tokens = tokeniser.cut(x)
    assert tokeniser.num_tokens == num_tokens == tokens.shape[1]
    for b in range(batch):
        for s in range(num_tokens):
            rows = x[b, s * patch : (s + 1) * patch]  # (P, C)
            if independent:
                for c in range(channels):
                    assert torch.equal(tokens[b * channels + c, s], rows[:, c])
            else:
                assert torch.equal(tokens[b, s], rows.flatten())


@both_ways
def test_the_last_patch_of_a_horizon_is_filled_with_its_last_value(independent: bool) -> None:
    tokeniser = Tokeniser(SeriesShape(8, 6, 2, season=1), patch=4, independent=independent)
    y = series(1, 6, 2)
    filled = torch.cat([y, y[:, -1:], y[:, -1:]], dim=1)
    assert torch.equal(tokeniser.cut_target(y), tokeniser.cut(filled))


@both_ways
def test_tokens_of_a_non_contiguous_window_are_the_same(independent: bool) -> None:
    """Windows arrive as transposed views of channel-first memory."""
    tokeniser = Tokeniser(SeriesShape(8, 4, 3, season=1), patch=4, independent=independent)
    x = series(2, 8, 3)
    view = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert not view.is_contiguous()
    assert torch.equal(tokeniser.cut(view), tokeniser.cut(x))


@both_ways
def test_a_lookback_that_is_no_whole_number_of_patches_is_refused(independent: bool) -> None:
    with pytest.raises(ValueError, match="but lookback is 10 and patch 4"):
        Tokeniser(SeriesShape(10, 4, 2, season=1), patch=4, independent=independent)
