"""Streams: read on from a state, the recurrent forecaster says what it says of the whole series."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.cells import cell_names
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.recurrent import Recurrent
from benchmark.forecasters.streaming import StreamState

B, L, H, C, D = 2, 8, 6, 2, 8
SHAPE = SeriesShape(L, H, C, season=4)
DECODERS = ("direct", "seq2seq", "segments")
PAGE = (Path(__file__).parents[2] / "docs/cells.md").read_text(encoding="utf-8")

every_cell = pytest.mark.parametrize("cell", cell_names())
every_decoder = pytest.mark.parametrize("decoder", DECODERS)


def build(**options: Any) -> Recurrent:
    """Two residual layers unless asked otherwise; every weight random, so that none is idle."""
    chosen: dict[str, Any] = {
        "cell": "gru",
        "hidden_size": D,
        "layers": 2,
        "residual": True,
        "patch": 4,
        "embedding": "linear",
    }
    torch.manual_seed(6)
    model = Recurrent(SHAPE, **(chosen | options)).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.03)
        # seq2seq is fed its own output, and an mLSTM squares what is large until it overflows
        model.decoder.head.weight.mul_(0.1)  # type: ignore[union-attr, operator]
    return model


def series(steps: int, batch: int = B) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(batch, steps, C, generator=generator, dtype=torch.float64)
    return 0.3 * noise + torch.arange(steps)[:, None] / 30


def stream(model: Recurrent, x: Tensor, borders: list[int]) -> tuple[list[Tensor], StreamState]:
    """Start on the rows before the first border, read on to each other; a forecast at each."""
    forecast, state = model.start(x[:, : borders[0]])
    forecasts = [forecast]
    for i in range(1, len(borders)):
        forecast, state = model.step(x[:, borders[i - 1] : borders[i]], state)
        forecasts.append(forecast)
    return forecasts, state


def in_order(state: StreamState) -> list[Tensor]:
    tensors = [tensor for layer in state.states for tensor in layer]
    return tensors + [tensor for tensor in state.taken if tensor is not None]


@every_cell
@every_decoder
@pytest.mark.parametrize("channels", ["mixing", "independent"])
@pytest.mark.parametrize("patch", [1, 4])
@torch.no_grad()
def test_a_stream_forecasts_what_forward_does_from_all_rows_so_far(
    cell: str, decoder: str, channels: str, patch: int
) -> None:
    model = build(cell=cell, decoder=decoder, channels=channels, patch=patch)
    borders = [patch * tokens for tokens in (2, 3, 4, 7, 8)]  # also several patches at once
    x = series(borders[-1])
    forecasts, _ = stream(model, x, borders)
    for border, forecast in zip(borders, forecasts, strict=True):
        assert forecast.shape == (B, H, C)
        torch.testing.assert_close(forecast, model(x[:, :border]), rtol=1e-9, atol=1e-9)
    # what was read first still counts at the end, or the test would not see it forgotten
    assert not torch.allclose(forecasts[-1], model(x[:, borders[0] :]), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("decoder", ["direct", "seq2seq"])
@torch.no_grad()
def test_one_layer_that_reads_tokens_as_they_are_streams_too(decoder: str) -> None:
    model = build(decoder=decoder, layers=1, residual=False, embedding="none", cell="lstm")
    x = series(24)
    forecasts, _ = stream(model, x, [4, 8, 24])
    torch.testing.assert_close(forecasts[-1], model(x), rtol=1e-9, atol=1e-9)


@every_cell
@torch.no_grad()
def test_in_single_precision_a_state_is_left_as_it_was_and_may_be_stepped_twice(cell: str) -> None:
    """The compiled operators write into memory they are given; it must not be the state's."""
    model = build(cell=cell, patch=1).float()
    x = series(40).float()
    forecasts, state = stream(model, x[:, :39], [30, 34, 39])
    before = [tensor.clone() for tensor in in_order(state)]
    first, after = model.step(x[:, 39:], state)
    model.step(x[:, 30:39] + 5, state)
    model.step(x[:, :1] - 5, after)
    assert all(map(torch.equal, in_order(state), before))
    assert torch.equal(model.step(x[:, 39:], state)[0], first)
    for border, forecast in zip([30, 34, 39, 40], [*forecasts, first], strict=True):
        torch.testing.assert_close(forecast, model(x[:, :border]), rtol=1e-3, atol=1e-4)


def measured(normalise: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """The level and the scale of a window, by their definitions."""
    one, mean = torch.ones_like(x[:, :1]), x.sum(1, keepdim=True) / x.shape[1]
    spread = (((x - mean) ** 2).sum(1, keepdim=True) / x.shape[1] + 1e-5) ** 0.5
    return {
        "last": (x[:, -1:], one),
        "mean": (mean, one),
        "standard": (mean, spread),
        "revin": (mean, spread),
    }[normalise]


@every_decoder
@pytest.mark.parametrize("channels", ["mixing", "independent"])
@pytest.mark.parametrize("normalise", ["last", "mean", "standard", "revin"])
@torch.no_grad()
def test_what_start_took_out_is_taken_out_of_all_that_follows(
    normalise: str, channels: str, decoder: str
) -> None:
    options = {"decoder": decoder, "channels": channels}
    model, plain = build(normalise=normalise, **options), build(normalise="none", **options)
    plain.load_state_dict(model.state_dict(), strict=normalise != "revin")
    gain, shift = torch.ones(C), torch.zeros(C)
    if normalise == "revin":
        gain, shift = model.normaliser.gain, model.normaliser.shift
    x = series(20)
    level, scale = measured(normalise, x[:, :8])
    expected = plain(gain * (x - level) / scale + shift)
    expected = (expected - shift) / (gain + 1e-10) * scale + level
    forecasts, _ = stream(model, x, [8, 12, 20])
    torch.testing.assert_close(forecasts[-1], expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(forecasts[0], model(x[:, :8]))
    assert not torch.allclose(forecasts[-1], model(x)), "the statistic of all rows is another"


@every_cell
def test_a_gradient_crosses_steps_as_it_does_in_one_go_and_stops_at_detach(cell: str) -> None:
    model = build(cell=cell, decoder="seq2seq", normalise="standard")
    past, rows = series(8).requires_grad_(), series(16)[:, 8:].requires_grad_()
    weights = list(model.parameters())

    def gradients(state: StreamState) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        forecast, _ = model.step(rows, state)
        wanted = [past, rows, *weights]
        grads = torch.autograd.grad(forecast.square().sum(), wanted, allow_unused=True)
        return forecast, grads

    _, open_state = model.start(past)
    closed_state = open_state.detach()
    forecast, through = gradients(model.start(past)[1])
    same, stopped = gradients(closed_state)
    assert torch.equal(same, forecast)
    assert all(map(torch.equal, in_order(closed_state), in_order(open_state)))
    assert not any(tensor.requires_grad for tensor in in_order(closed_state))
    assert through[0] is not None
    assert bool(through[0].any())
    assert stopped[0] is None

    taken = model.normaliser.measure(past)
    whole = model.normaliser.remove(torch.cat([past, rows], dim=1), taken)
    encoded = model.stack(model.embed(model.tokens.cut(whole)))
    written = model.decoder(encoded, model.tokens.cut(whole)[:, -1], None)
    in_one_go = model.normaliser.inverse(model.tokens.join(written), taken)
    expected = torch.autograd.grad(in_one_go.square().sum(), [past, rows, *weights])
    for got, want in zip(through, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-8)

    torch.testing.assert_close(stopped[1], through[1], rtol=1e-9, atol=1e-9)
    differs = [
        a is None or not torch.allclose(a, b)
        for a, b in zip(stopped[2:], through[2:], strict=True)
        if b is not None
    ]
    assert any(differs), "weights were at work before the border, too"


@every_cell
@pytest.mark.parametrize("channels", ["mixing", "independent"])
@torch.no_grad()
def test_a_row_of_the_batch_is_a_stream_of_its_own_found_by_its_index(
    cell: str, channels: str
) -> None:
    """Streams can be dropped from a batch, or reordered, by indexing the state's tensors."""
    model = build(cell=cell, channels=channels, normalise="standard")
    x = series(16, batch=3)
    together, state = model.start(x[:, :8])
    wanted = torch.tensor([2, 0])
    each = C if channels == "independent" else 1
    sequences = torch.tensor([each * b + c for b in wanted.tolist() for c in range(each)])
    layers = [tuple(tensor[sequences] for tensor in layer) for layer in state.states]
    kept = StreamState(layers, type(state.taken)(*(t[wanted] for t in state.taken)))  # type: ignore[index]
    ahead, _ = model.step(x[:, 8:], state)
    picked, _ = model.step(x[wanted, 8:], kept)
    torch.testing.assert_close(picked, ahead[wanted], rtol=1e-9, atol=1e-9)
    alone, own = model.start(x[2:, :8])
    torch.testing.assert_close(alone, together[2:], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(model.step(x[2:, 8:], own)[0], picked[:1], rtol=1e-9, atol=1e-9)


@every_cell
@torch.no_grad()
def test_a_state_does_not_grow(cell: str) -> None:
    model = build(cell=cell, patch=1)
    sizes = {
        tuple(tensor.shape for tensor in in_order(stream(model, series(steps), borders)[1]))
        for steps, borders in ((5, [5]), (9, [5, 6, 9]), (40, [2, 39, 40]))
    }
    assert len(sizes) == 1


@every_decoder
@torch.no_grad()
def test_dropout_is_silent_in_a_stream_in_evaluation_and_drops_in_training(decoder: str) -> None:
    model = build(decoder=decoder, dropout=0.5)
    x = series(12)
    (_, forecast), state = stream(model, x, [8, 12])
    torch.testing.assert_close(forecast, model(x), rtol=1e-9, atol=1e-9)
    model.train()
    first, _ = model.step(x[:, 8:], state)
    assert not torch.allclose(first, model.step(x[:, 8:], state)[0])


@torch.no_grad()
def test_a_stream_is_never_fed_the_truth() -> None:
    model = build(decoder="seq2seq", teacher_forcing=1.0).train()
    x = series(12)
    assert torch.equal(model.start(x)[0], model(x))


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"bidirectional": True}, "bidirectional"),
        ({"decoder": "flatten"}, "decoder flatten"),
        ({"linear_skip": True}, "linear_skip"),
        ({"bidirectional": True, "linear_skip": True}, "bidirectional and linear_skip"),
    ],
)
def test_a_forecaster_that_needs_a_whole_window_does_not_stream(
    options: dict[str, Any], culprit: str
) -> None:
    model = build(**options)
    assert model(series(L)).shape == (B, H, C)
    with pytest.raises(ValueError, match=f"whole window is needed by {culprit}$"):
        model.start(series(L))


@pytest.mark.parametrize("channels", ["mixing", "independent"])
@pytest.mark.parametrize("normalise", ["none", "mean"])
def test_rows_that_do_not_fit_are_refused(channels: str, normalise: str) -> None:
    model = build(cell="mamba", channels=channels, normalise=normalise)
    x = series(8)
    _, state = model.start(x)
    for rows in (x[:, :6], x[:, :0]):
        says = f"one or more patches of 4 time steps, but there are {rows.shape[1]}"
        with pytest.raises(ValueError, match=says):
            model.start(rows)
        with pytest.raises(ValueError, match=says):
            model.step(rows, state)
    for rows in (x[..., :1], x[..., 0]):
        says = re.escape(f"2 channels), but their shape is {tuple(rows.shape)}")
        with pytest.raises(ValueError, match=says):
            model.start(rows)
        with pytest.raises(ValueError, match=says):
            model.step(rows, state)
    for batch in (1, 4):
        says = f"rows are of {batch} and the state is of 2"
        with pytest.raises(ValueError, match=says):
            model.step(series(4, batch), state)


def test_the_examples_of_the_page_run() -> None:
    (section,) = re.findall(r"^## Streaming\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    examples = re.findall(r"```python\n(.*?)```", section, re.S)
    assert len(examples) == 2
    torch.manual_seed(0)
    exec("".join(examples), {})
