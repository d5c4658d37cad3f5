"""A benchmark suite for multivariate time-series forecasting.

What is named here is `benchmark.api`, loaded when it is first asked for: it needs torch, and the
command line does not always.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Task", "evaluate", "fit", "leaderboard", "load", "load_dataset"]

if TYPE_CHECKING:
    from benchmark.api import Task, evaluate, fit, leaderboard, load, load_dataset
else:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module("benchmark.api"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
