"""Forecasting the test windows once, and the metrics and costs of doing so."""
