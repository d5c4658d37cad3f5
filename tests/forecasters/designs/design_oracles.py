"""The equations of published designs in plain loops, for one window ``(L, C)``.

No part of `benchmark` is used. Weights come by the names they have in a design; `drop` is what a
dropout multiplies by. Attention has two heads, patches are of four steps and start at every second.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Weights = dict[str, Tensor]
K = 2


def below(w: Weights, prefix: str) -> Weights:
    return {key[len(prefix) :]: tensor for key, tensor in w.items() if key.startswith(prefix)}


# --- what the oracles share -----------------------------------------------------------------------


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def layer_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    z = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    return z * w[f"{name}.weight"] + w[f"{name}.bias"]


def batch_norm(w: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    """In evaluation, features last."""
    z = (x - w[f"{name}.running_mean"]) / (w[f"{name}.running_var"] + eps).sqrt()
    return z * w[f"{name}.weight"] + w[f"{name}.bias"]


def feed_forward(w: Weights, first: str, second: str, x: Tensor, drop: float) -> Tensor:
    return drop * linear(w, second, drop * gelu(linear(w, first, x)))


def attention(q: Tensor, k: Tensor, v: Tensor, scores: list[Tensor]) -> Tensor:
    """Heads one by one, queries one by one; `scores` are added, and replaced by what was used."""
    width, heads = q.shape[1] // K, []
    for head in range(K):
        mine = slice(head * width, (head + 1) * width)
        used = q[:, mine] @ k[:, mine].T / math.sqrt(width) + scores[head]
        scores[head] = used
        rows = [torch.exp(row) / torch.exp(row).sum() @ v[:, mine] for row in used]
        heads.append(torch.stack(rows))
    return torch.cat(heads, dim=-1)


def mamba(w: Weights, u: Tensor) -> Tensor:
    """arXiv:2312.00752, for one sequence ``(S, I)``."""
    x, z = (u @ w["in_proj.weight"].T).chunk(2, dim=-1)
    taps = w["conv.weight"][:, 0]
    width, states = taps.shape[1], w["A_log"].shape[1]
    padded = torch.cat([x.new_zeros(width - 1, x.shape[1]), x])
    h, outputs = x.new_zeros(x.shape[1], states), []
    for t in range(len(u)):
        seen = w["conv.bias"] + sum(taps[:, k] * padded[t + k] for k in range(width))
        seen = silu(seen)
        selected = w["x_proj.weight"] @ seen
        r, into, out = selected[: -2 * states], selected[-2 * states : -states], selected[-states:]
        dt = torch.log(1 + torch.exp(w["dt_proj.weight"] @ r + w["dt_proj.bias"]))
        for n in range(states):
            h[:, n] = torch.exp(-dt * torch.exp(w["A_log"][:, n])) * h[:, n] + dt * seen * into[n]
        outputs.append(w["out_proj.weight"] @ ((h @ out + w["D"] * seen) * silu(z[t])))
    return torch.stack(outputs)


def standard(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    mean, sd = x.mean(0), (x.var(0, correction=0) + 1e-5).sqrt()
    return (x - mean) / sd, lambda y: y * sd + mean


def revin(w: Weights, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    z, back = standard(x)
    gain, shift = w["normaliser.gain"], w["normaliser.shift"]
    return z * gain + shift, lambda y: back((y - shift) / (gain + 1e-10))


# --- the designs, for one window (L, C) -----------------------------------------------------------


def patchtst(w: Weights, x: Tensor, drop: float) -> Tensor:
    z, back = standard(x)
    forecast = []
    for c in range(x.shape[1]):
        series = [*z[:, c].tolist(), float(z[-1, c]), float(z[-1, c])]
        cut = [series[s : s + 4] for s in range(0, len(series) - 3, 2)]
        u = drop * (linear(w, "embed", x.new_tensor(cut)) + w["position"])
        scores = [x.new_zeros(len(cut), len(cut))] * K
        for layer in range(3):
            v = below(w, f"layers.{layer}.")
            read = attention(*linear(v, "attention.in_proj", u).chunk(3, dim=-1), scores)
            u = u + drop * drop * linear(v, "attention.out_proj", read)
            u = batch_norm(v, "attention_norm", u, 1e-5)
            u = u + feed_forward(v, "feed_forward.0", "feed_forward.3", u, drop)
            u = batch_norm(v, "feed_forward_norm", u, 1e-5)
        forecast.append(linear(w, "head", u.reshape(-1)))
    return back(torch.stack(forecast, dim=1))


def itransformer(w: Weights, x: Tensor, drop: float) -> Tensor:
    z, back = standard(x)
    h = drop * linear(w, "embed.0", z.T)
    for layer in range(2):
        v = below(w, f"encoder.{layer}.")
        packed = h @ v["self_attn.in_proj_weight"].T + v["self_attn.in_proj_bias"]
        read = attention(*packed.chunk(3, dim=-1), [x.new_zeros(len(h), len(h))] * K)
        h = layer_norm(v, "norm1", h + drop * linear(v, "self_attn.out_proj", read))
        h = layer_norm(v, "norm2", h + feed_forward(v, "linear1", "linear2", h, drop))
    return back(linear(w, "head", layer_norm(w, "encoder.2", h)).T)


def s_mamba(w: Weights, x: Tensor, drop: float) -> Tensor:
    z, back = standard(x)
    h = drop * linear(w, "embed.0", z.T)
    for layer in range(2):
        v = below(w, f"encoder.{layer}.")
        mixed = mamba(below(v, "ahead."), h) + mamba(below(v, "back."), h.flip(0)).flip(0)
        h = layer_norm(v, "mixing_norm", h + mixed)
        h = h + feed_forward(v, "feed_forward.0", "feed_forward.3", h, drop)
        h = layer_norm(v, "feed_forward_norm", h)
    return back(linear(w, "head", layer_norm(w, "encoder.2", h)).T)


def tsmixer(w: Weights, x: Tensor, drop: float) -> Tensor:
    z, back = revin(w, x)
    for block in range(2):
        v = below(w, f"blocks.{block}.")
        normed = batch_norm(v, "time_norm", z.reshape(-1), 1e-3).view_as(z)
        z = z + drop * linear(v, "time.0", normed.T).clamp(min=0).T
        normed = batch_norm(v, "feature_norm", z.reshape(-1), 1e-3).view_as(z)
        hidden = drop * linear(v, "feature.0", normed).clamp(min=0)
        z = z + drop * linear(v, "feature.3", hidden)
    return back(linear(w, "head", z.T).T)


def time_machine(w: Weights, x: Tensor, drop: float) -> Tensor:
    z, back = revin(w, x)

    def pair(which: str, u: Tensor) -> Tensor:
        first, second = (below(w, f"{which}.{name}.") for name in ("first", "second"))
        if second["in_proj.weight"].shape[1] > 1:  # channels are the steps of both
            return mamba(first, u) + mamba(second, u)
        rows = [mamba(first, row[None])[0] + mamba(second, row[:, None])[:, 0] for row in u]
        return torch.stack(rows)

    u = linear(w, "embed", z.T)
    v = linear(w, "narrow", drop * u)
    q = v + pair("inner", drop * v)
    p = pair("outer", drop * u)
    return back(linear(w, "head", torch.cat([u + linear(w, "widen", q), p], dim=-1)).T)


ORACLES: dict[str, Callable[[Weights, Tensor, float], Tensor]] = {
    "patchtst": patchtst,
    "itransformer": itransformer,
    "tsmixer": tsmixer,
    "s_mamba": s_mamba,
    "time_machine": time_machine,
}
