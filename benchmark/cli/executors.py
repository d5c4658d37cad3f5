"""What executes a suite's runs: this process, others beside it, or a Ray cluster."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.suites.executor import MakeExecutor


class Where(StrEnum):
    """What executes a suite's runs."""

    local = "local"
    ray = "ray"


def here(jobs: int, threads: int, time_limit: float | None) -> MakeExecutor:
    """In this process; or in others, where there are to be several or one may have to be ended."""
    if jobs == 1 and time_limit is None:
        from benchmark.suites.attempt import InProcess

        return InProcess

    import torch

    from benchmark.suites.processes import Processes

    each = threads or max(1, torch.get_num_threads() // jobs)
    torch.set_num_threads(each)  # a row of a run whose process is killed is written here
    return partial(Processes, jobs=jobs, threads=each, time_limit=time_limit)


def on_ray(
    jobs: int | None, threads: int, time_limit: float | None, address: str | None, gpus: float
) -> MakeExecutor:
    """On a Ray cluster: one that is there, or one made here."""
    from benchmark.suites.cluster import RayCluster, require_ray

    require_ray()
    return partial(
        RayCluster,
        address=address,
        jobs=jobs,
        threads=threads or 1,
        gpus=gpus,
        time_limit=time_limit,
    )
