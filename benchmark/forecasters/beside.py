"""What a module holds outside its `state_dict`, where no kept state brings it back."""

from __future__ import annotations

import hashlib
import io
import pickle
import types
import warnings
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

_OF_EVERY_MODULE = vars(nn.Module()).keys() - {"training"}


def beside_state(module: nn.Module) -> dict[str, str]:
    """Digests of all that a module and its parts hold beside their `state_dict`, by name.

    That is attributes, a part's mode, buffers that are not persistent, and which weights are
    trained; but not the attributes of a part that puts a state of its own together. Of two equal
    digests the values are equal; what cannot be looked into, as a lock, is taken by its type.
    """
    held: dict[str, object] = {
        f"{name}.requires_grad": weight.requires_grad for name, weight in module.named_parameters()
    }
    for where, part in module.named_modules():
        names = part._non_persistent_buffers_set
        if type(part).get_extra_state is nn.Module.get_extra_state:
            names = names | (vars(part).keys() - _OF_EVERY_MODULE)
        held |= {f"{where}.{name}".lstrip("."): getattr(part, name) for name in names}
    state = module.state_dict(keep_vars=True).values()
    own = {id(each) for each in (*module.modules(), *module.parameters(), *state)}
    return {name: _digest(value, own) for name, value in held.items()}


def _digest(value: object, own: Collection[int]) -> str:
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # itertools' are not to be pickled for long any more
            _Pickler(stream, own).dump(value)
    except Exception:  # of a value that makes its own state, whatever that does
        return type(value).__qualname__
    return hashlib.sha256(stream.getbuffer()).hexdigest()


class _Pickler(pickle.Pickler):
    """Pickles what it can, to be compared and never to be read.

    Args:
        stream: where to.
        own: `id` of what is in the state, and is no change.
    """

    def __init__(self, stream: io.BytesIO, own: Collection[int]) -> None:
        super().__init__(stream)
        self._own = own

    def persistent_id(self, value: object) -> object:
        """Put a tensor, or a generator of random numbers, by what is in it; code by its name."""
        if id(value) in self._own:
            return "own"
        if isinstance(value, type | types.FunctionType):
            return value.__qualname__
        if isinstance(value, torch.Generator):
            value = value.get_state()
        if isinstance(value, Tensor):
            flat = value.detach().cpu().resolve_conj().resolve_neg().contiguous().flatten()
            return str(value.dtype), tuple(value.shape), flat.view(torch.uint8).numpy().tobytes()
        return None

    def reducer_override(self, value: Any) -> Any:
        """Put what no pickle holds by its type."""
        try:
            return value.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
        except Exception:
            return str, (type(value).__qualname__,)
