"""How one fit is spread over several devices, as a YAML says it. Nothing heavy is imported here.

    parallel: {devices: 2, strategy: ddp}

Every device takes its share of each batch, so the batches, the steps and the scores are those of
one device: this is no part of a run's id, as little as the device itself is.
"""

from __future__ import annotations

from typing import Literal

from benchmark.config import Positive, Strict


class Parallel(Strict):
    """Several devices of one machine for one fit by gradient.

    Attributes:
        devices: how many; GPUs, or processes that share the run's threads on a CPU.
        strategy: Lightning's name of what keeps them in step: ``ddp``, or
            ``ddp_find_unused_parameters_true`` for a model some of whose weights are in no loss.
    """

    devices: Positive = 1
    strategy: Literal["ddp", "ddp_find_unused_parameters_true"] = "ddp"


ONE = Parallel()
