"""Forecasters: one file a model; `recurrent.py` puts the recurrences together."""
