"""The command line: one function a command, which parses, calls and prints.

Nothing heavy is imported at module level, so that ``--help`` answers at once.
"""

from benchmark.cli.commands import app, main

__all__ = ["app", "main"]
