"""Runs and suites of runs: what is run, how, and where its record goes."""
