"""The classical cells against their equations, written out in NumPy, a scalar at a time in mind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmark.cells import cell_factory

Array = NDArray[np.float64]
I, D, B, S = 3, 4, 2, 6  # noqa: E741 - input width, hidden width, batch, steps


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class Weights:
    """W, R and their biases, cut into gates in the order in which torch stacks them."""

    def __init__(self, cell: Any, gates: str) -> None:
        def cut(tensor: torch.Tensor) -> dict[str, Array]:
            return dict(zip(gates, np.split(tensor.detach().numpy(), len(gates)), strict=True))

        kernel = cell.kernel
        self.W, self.R = cut(kernel.weight_ih_l0), cut(kernel.weight_hh_l0)
        self.b, self.c = cut(kernel.bias_ih_l0), cut(kernel.bias_hh_l0)

    def seen(self, gate: str, x: Array) -> Array:
        return self.W[gate] @ x + self.b[gate]

    def kept(self, gate: str, h: Array) -> Array:
        return self.R[gate] @ h + self.c[gate]


def run(name: str, **options: Any) -> tuple[Any, Array, tuple[Array, ...], Array]:
    """A cell, its inputs ``(B, S, I)``, first states and outputs ``(B, S, D)``."""
    torch.manual_seed(2)
    cell = cell_factory(name, options)(I, D).double()
    x = torch.randn(B, S, I, dtype=torch.float64)
    state = tuple(torch.randn(B, D, dtype=torch.float64) for _ in cell.initial_state(x))
    with torch.no_grad():
        outputs, _ = cell(x, state)
        torch.testing.assert_close(cell.sequential(x, state)[0], outputs, rtol=1e-12, atol=1e-12)
    return cell, x.numpy(), tuple(tensor.numpy() for tensor in state), outputs.numpy()


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_elman_is_its_equation(nonlinearity: str) -> None:
    cell, x, (start,), outputs = run("elman", nonlinearity=nonlinearity)
    w = Weights(cell, "h")
    for b in range(B):
        h = start[b]
        for t in range(S):
            a = w.seen("h", x[b, t]) + w.kept("h", h)
            h = np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0)
            np.testing.assert_allclose(outputs[b, t], h, rtol=1e-12, atol=1e-12)


def test_gru_is_its_equations() -> None:
    cell, x, (start,), outputs = run("gru")
    w = Weights(cell, "rzn")
    for b in range(B):
        h = start[b]
        for t in range(S):
            r = sigmoid(w.seen("r", x[b, t]) + w.kept("r", h))
            z = sigmoid(w.seen("z", x[b, t]) + w.kept("z", h))
            n = np.tanh(w.seen("n", x[b, t]) + r * w.kept("n", h))
            h = (1 - z) * n + z * h
            np.testing.assert_allclose(outputs[b, t], h, rtol=1e-12)


def test_lstm_is_its_equations() -> None:
    cell, x, (h_start, c_start), outputs = run("lstm")
    w = Weights(cell, "ifgo")
    for b in range(B):
        h, c = h_start[b], c_start[b]
        for t in range(S):
            i = sigmoid(w.seen("i", x[b, t]) + w.kept("i", h))
            f = sigmoid(w.seen("f", x[b, t]) + w.kept("f", h))
            g = np.tanh(w.seen("g", x[b, t]) + w.kept("g", h))
            o = sigmoid(w.seen("o", x[b, t]) + w.kept("o", h))
            c = f * c + i * g
            h = o * np.tanh(c)
            np.testing.assert_allclose(outputs[b, t], h, rtol=1e-12)
