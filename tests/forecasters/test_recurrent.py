"""The recurrent forecaster against plain loops: decoders, teacher forcing, channels, options."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.forecasters.contract import SeriesShape
from benchmark.forecasters.decoders import SegmentDecoder, SequenceDecoder
from benchmark.forecasters.recurrent import Recurrent
from benchmark.forecasters.resolve import build_forecaster

B, L, H, C, P, D = 3, 12, 10, 2, 4, 6
SHAPE = SeriesShape(L, H, C, season=4)  # 10 steps are two and a half patches of 4
M = 3


def build(shape: SeriesShape = SHAPE, **options: Any) -> Recurrent:
    torch.manual_seed(6)
    chosen: dict[str, Any] = {"cell": "gru", "hidden_size": D} | options
    return Recurrent(shape, **chosen).double()


def windows() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    series = torch.randn(B, L + H, C, generator=generator, dtype=torch.float64) + 10
    return series[:, :L], series[:, L:]


def parts(model: Recurrent, x: Tensor) -> tuple[Any, Any, Tensor]:
    """What a decoder starts from: the encoding, what normalising took out, the last token."""
    z, taken = model.normaliser(x)
    tokens = model.tokens.cut(z)
    return model.stack(model.embed(tokens)), taken, tokens[:, -1]


def write_by_loop(model: Recurrent, x: Tensor, y: Tensor, truth: list[bool]) -> Tensor:
    """Write the horizon token by token; ``truth[m]``: token m is fed the true token before it."""
    decoder = model.decoder
    assert isinstance(decoder, SequenceDecoder)
    encoded, taken, token = parts(model, x)
    target = model.tokens.cut_target(model.normaliser.remove(y, taken))
    states = encoded.states
    written: list[Tensor] = []
    for m, fed_truth in enumerate(truth):
        if m:
            token = target[:, m - 1] if fed_truth else written[-1]
        h = decoder.embed(token)
        h = h + decoder.context(encoded.summary)
        new_states = []
        for cell, state in zip(decoder.stack.ahead, states, strict=True):
            out, state = cell.step(h, state)  # type: ignore[operator]
            h = h + out if model.stack.residual else out
            new_states.append(state)
        states = new_states
        written.append(decoder.head(h))
    return model.normaliser.inverse(model.tokens.join(torch.stack(written, dim=1)), taken)


SEQ2SEQ: list[dict[str, Any]] = [
    {"patch": P},
    {"patch": P, "channels": "independent", "normalise": "last"},
    {"patch": P, "cell": "lstm", "layers": 2, "normalise": "standard", "bidirectional": True},
    {"patch": P, "layers": 3, "residual": True, "embedding": "linear", "normalise": "revin"},
]


@pytest.mark.parametrize("options", SEQ2SEQ, ids=str)
def test_with_teacher_forcing_1_every_step_is_fed_the_truth(options: dict[str, Any]) -> None:
    model = build(decoder="seq2seq", teacher_forcing=1.0, **options)
    x, y = windows()
    expected = write_by_loop(model, x, y, [True] * M)
    torch.testing.assert_close(model.train().training_forecast(x, y), expected)
    assert not torch.allclose(expected, write_by_loop(model, x, y, [False] * M))


@pytest.mark.parametrize("options", SEQ2SEQ, ids=str)
@pytest.mark.parametrize("teacher_forcing", [0.0, 1.0])
def test_a_forecast_is_fed_its_own_output_whatever_the_teacher_forcing(
    options: dict[str, Any], teacher_forcing: float
) -> None:
    model = build(decoder="seq2seq", teacher_forcing=teacher_forcing, **options)
    x, y = windows()
    expected = write_by_loop(model, x, y, [False] * M)
    torch.testing.assert_close(model.eval()(x), expected)
    torch.testing.assert_close(model.train()(x), expected)
    if not teacher_forcing:
        torch.testing.assert_close(model.train().training_forecast(x, y), expected)


def test_teacher_forcing_between_draws_once_for_each_step() -> None:
    model = build(decoder="seq2seq", teacher_forcing=0.5, patch=P)
    x, y = windows()
    possible = {
        (a, b): write_by_loop(model, x, y, [False, a, b])
        for a in (False, True)
        for b in (False, True)
    }
    seen = set()
    for seed in range(40):
        torch.manual_seed(seed)
        got = model.training_forecast(x, y)
        (which,) = [key for key, value in possible.items() if torch.allclose(got, value)]
        seen.add(which)
    assert seen == set(possible)


def test_a_true_token_is_cut_and_normalised_as_the_lookback_was() -> None:
    """With a level taken out, a level added to lookback and horizon is added to the forecast."""
    model = build(decoder="seq2seq", teacher_forcing=1.0, patch=P, normalise="last")
    x, y = windows()
    moved = model.training_forecast(x + 50, y + 50)
    torch.testing.assert_close(moved, model.training_forecast(x, y) + 50)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("channels", ["mixing", "independent"])
def test_segments_are_one_step_each_from_the_encoders_state(channels: str, layers: int) -> None:
    model = build(
        decoder="segments", patch=P, embedding="relu", channels=channels, layers=layers, cell="lstm"
    )
    decoder = model.decoder
    assert isinstance(decoder, SegmentDecoder)
    x, _ = windows()
    encoded, _, _ = parts(model, x)
    rows = []
    for n in range(len(encoded.summary)):  # sequences: a window, or a channel of a window
        segments = []
        for m in range(M):
            query = decoder.position[m]
            if channels == "independent":
                query = torch.cat([query, decoder.channel[n % C]])
            h = query[None]
            for cell, state in zip(model.stack.ahead, encoded.states, strict=True):
                h, _ = cell.step(h, tuple(tensor[n : n + 1] for tensor in state))  # type: ignore[operator]
            segments.append(decoder.head(h)[0])
        rows.append(torch.stack(segments))
    torch.testing.assert_close(model(x), model.tokens.join(torch.stack(rows)))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_direct_reads_the_summary_and_flatten_reads_every_output(bidirectional: bool) -> None:
    x, _ = windows()
    for decoder in ("direct", "flatten"):
        model = build(decoder=decoder, patch=P, bidirectional=bidirectional, layers=2)
        encoded, _, _ = parts(model, x)
        read = encoded.summary if decoder == "direct" else encoded.outputs.reshape(B, -1)
        flat = model.decoder.head(read)  # type: ignore[operator]
        assert flat.shape == (B, M * P * C)
        torch.testing.assert_close(model(x), flat.reshape(B, M * P, C)[:, :H])


def test_a_linear_skip_adds_a_map_of_the_normalised_window() -> None:
    model = build(linear_skip=True, normalise="last")
    x, _ = windows()
    assert model.skip is not None
    skipped = model.skip(x - x[:, -1:])
    whole = model(x)
    model.skip = None
    torch.testing.assert_close(whole, model(x) + skipped)


@pytest.mark.parametrize("decoder", ["direct", "flatten", "seq2seq", "shared_segments"])
def test_independent_channels_are_one_model_run_on_each(decoder: str) -> None:
    options: dict[str, Any] = {
        "decoder": decoder,
        "channels": "independent",
        "patch": P,
        "embedding": "linear",
    }
    model = build(**options)
    single = build(SeriesShape(L, H, 1, season=4), **options)
    single.load_state_dict(model.state_dict())
    x, _ = windows()
    each = torch.cat([single(x[..., c : c + 1]) for c in range(C)], dim=-1)
    torch.testing.assert_close(model(x), each)
    assert model.channel_independent


@pytest.mark.parametrize(
    "options",
    [
        {"channels": "mixing"},
        {"channels": "independent", "normalise": "revin"},
        {"channels": "independent", "decoder": "segments", "embedding": "relu"},
    ],
    ids=str,
)
def test_channels_with_weights_of_their_own_are_not_called_independent(
    options: dict[str, Any],
) -> None:
    assert not build(**options).channel_independent


def test_embeddings_are_what_they_are_called() -> None:
    tokens = torch.randn(B, 3, P * C, dtype=torch.float64)
    assert build(patch=P, embedding="none").embed(tokens) is tokens
    linear = build(patch=P, embedding="linear").embed(tokens)
    relu = build(patch=P, embedding="relu").embed(tokens)
    assert linear.shape == (B, 3, D)
    assert bool((linear < 0).any())
    torch.testing.assert_close(relu, linear.clamp(min=0))


def test_the_segments_decoder_shares_the_encoders_weights_through_copies_and_saving() -> None:
    model = build(decoder="segments", patch=P, embedding="relu")
    saved = {name.split(".")[1] for name in model.state_dict() if name.startswith("decoder.")}
    assert saved == {"position", "head"}, "the shared weights are the encoder's to save"
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert len(names) == len(set(names))
    twin = copy.deepcopy(model)
    (shared,) = twin.decoder._shared  # type: ignore[misc]
    assert shared is twin.stack
    x, _ = windows()
    torch.testing.assert_close(twin(x), model(x))


def test_options_of_a_cell_reach_it() -> None:
    model = build(cell="elman", cell_options={"nonlinearity": "relu"})
    x, _ = windows()
    assert bool((parts(model, x)[0].outputs >= 0).all())


def test_dropout_is_silent_in_evaluation_and_drops_in_training() -> None:
    x, y = windows()
    for decoder in ("direct", "flatten", "seq2seq", "segments"):
        model = build(decoder=decoder, patch=P, embedding="linear", dropout=0.5)
        assert torch.equal(model.eval()(x), model(x))
        model.train()
        first = model.training_forecast(x, y)
        assert not torch.allclose(first, model.training_forecast(x, y))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"patch": 5}, "the lookback must be a multiple of the patch, but lookback is 12"),
        ({"teacher_forcing": 0.5}, "teacher_forcing is for decoder seq2seq, but decoder is direct"),
        ({"decoder": "segments"}, "embedding is none and bidirectional is False"),
        (
            {"decoder": "segments", "embedding": "relu", "bidirectional": True},
            "embedding is relu and bidirectional is True",
        ),
        (
            {
                "decoder": "segments",
                "embedding": "relu",
                "channels": "independent",
                "hidden_size": 7,
            },
            "must be even, but is 7",
        ),
        ({"residual": True}, "the only layer reads 2 numbers and writes 6"),
        (
            {"residual": True, "embedding": "relu", "hidden_size": 6, "bidirectional": True},
            "the only layer reads 6 numbers and writes 12",
        ),
        ({"decoder": "shared_segments"}, "decoder shared_segments steps the encoder's own cells"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build(**options)
    spec = {"class": "Recurrent", "cell": "gru"} | options
    with pytest.raises(UserError, match=says) as caught:
        build_forecaster(spec, SHAPE, "gru.yaml")
    assert str(caught.value).startswith("gru.yaml: model: ")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cell": "gur"}, "gru.yaml: model.cell: unknown cell 'gur'; did you mean 'gru'?"),
        ({}, "gru.yaml: model.cell: is missing"),
        ({"cell": "gru", "teacher_forcing": 1.5}, "less than or equal to 1, got 1.5"),
        ({"cell": "gru", "dropout": 1.0}, "less than 1, got 1.0"),
        ({"cell": "gru", "hidden_size": 0}, "greater than 0, got 0"),
        ({"cell": "gru", "decoder": "seqseq"}, "gru.yaml: model.decoder: input should be"),
        (
            {"cell": "elman", "cell_options": {"nonlinearity": "gelu"}},
            "gru.yaml: model.cell_options.nonlinearity: input should be 'tanh' or 'relu'",
        ),
    ],
)
def test_a_wrong_option_is_named_with_its_file(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as caught:
        build_forecaster({"class": "Recurrent"} | options, SHAPE, "gru.yaml")
    assert says in str(caught.value)
