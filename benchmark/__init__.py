"""A benchmark suite for multivariate time-series forecasting."""

__version__ = "0.1.0"
