"""Fitting a forecaster on train windows, choosing on validation windows."""
