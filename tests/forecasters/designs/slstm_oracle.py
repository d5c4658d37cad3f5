"""The xLSTM's sLSTM blocks as the paper writes them: a step at a time, without a stabiliser.

For one sequence ``(S, D)``, in float64; nothing of `benchmark.cells` is used but parameters' names.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


def below(named: Weights, prefix: str) -> Weights:
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}


def normed(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()


def slstm(w: Weights, x: Tensor, heads: int) -> Tensor:
    steps, width = x.shape
    a = x
    if "conv.weight" in w:
        taps = w["conv.weight"].shape[-1]
        past = torch.cat([x.new_zeros(taps - 1, width), x])
        a = torch.stack(
            [(w["conv.weight"][:, 0].T * past[t : t + taps]).sum(0) for t in range(steps)]
        )
        a = F.silu(a + w["conv.bias"])
    head = width // heads

    def dense(name: str, number: int) -> Tensor:
        """One gate's block-diagonal matrix."""
        return torch.block_diag(*w[f"{name}.weight"][:, number * head : (number + 1) * head])

    W = [dense("gates_from_conv", 0), dense("gates_from_conv", 1)]
    W += [dense("gates_from_input", 0), dense("gates_from_input", 1)]
    R = [dense("gates_from_past", number) for number in range(4)]
    b = [w["bias"][:, n * head : (n + 1) * head].reshape(-1) for n in range(4)]
    h = c = n = x.new_zeros(width)
    read = []
    for t in range(steps):
        seen = [a[t], a[t], x[t], x[t]]
        i, f, z, o = (W[g] @ seen[g] + R[g] @ h + b[g] for g in range(4))
        c = torch.sigmoid(f) * c + torch.exp(i) * torch.tanh(z)
        n = torch.sigmoid(f) * n + torch.exp(i)
        h = torch.sigmoid(o) * c / n
        read.append(normed(h.view(heads, head)).reshape(-1) * (1 + w["norm.weight"]))
    return torch.stack(read)


def slstm_blocks(w: Weights, x: Tensor, heads: int) -> Tensor:
    number = 0
    while block := below(w, f"blocks.{number}."):
        x = x + slstm(below(block, "cell."), normed(x) * (1 + block["norm.weight"]), heads)
        inner = normed(x) * (1 + block["feed_forward.norm.weight"])
        gate, up = (inner @ block["feed_forward.up.weight"].T).chunk(2, dim=-1)
        x = x + (F.gelu(gate) * up) @ block["feed_forward.down.weight"].T
        number += 1
    assert number == 2, "as many blocks as were asked for"
    return normed(x) * (1 + w["norm.weight"])
