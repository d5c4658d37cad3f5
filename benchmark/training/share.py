"""One device's share of a batch, and what brings the shares together again.

Loss and gradient of a batch are means over it, so the mean of a share counts by the size of the
share. With one device nothing is shared and no number changes by a bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Which of several devices this process computes on.

    Attributes:
        rank: its number, from 0.
        devices: how many there are; they are processes of one group of `torch.distributed`.
    """

    rank: int = 0
    devices: int = 1

    def of(self, index: Tensor) -> Tensor:
        """Take this device's part of a batch's window numbers ``(B,)``.

        A batch with fewer windows than there are devices is computed whole by each of them.
        """
        if len(index) < self.devices:
            return index
        return index.tensor_split(self.devices)[self.rank]

    def total(self, amount: Tensor) -> Tensor:
        """Add up what the devices have; every device gets the same sum, to the last bit."""
        if self.devices > 1:
            amount = amount.clone()
            torch.distributed.all_reduce(amount)
        return amount

    def first_says(self, what: bool, device: torch.device) -> bool:
        """Let the first device decide: every one calls this, and all return what the first gave."""
        return bool(self.total(torch.tensor(int(what and self.rank == 0), device=device)))

    def ends(self, number: int, device: torch.device) -> tuple[int, int]:
        """Return the least and the greatest of the numbers that the devices have."""
        ends = torch.tensor([number, -number], device=device)
        if self.devices > 1:
            torch.distributed.all_reduce(ends, torch.distributed.ReduceOp.MIN)
        least, negated = ends.tolist()
        return least, -negated

    def weight(self, count: Tensor) -> Tensor:
        """Say what this device's mean over `count` values weighs in a mean over the devices."""
        return count * self.devices / self.total(count)


ALONE = Share()
