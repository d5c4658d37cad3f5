"""What every suite imports, for a process that has it all and of which the suites are forks."""

import jinja2  # noqa: F401
import lightning.pytorch  # noqa: F401
import pandas  # noqa: F401
import torch._dynamo  # noqa: F401

import benchmark.cli.running
import benchmark.forecasters.check
import benchmark.reports.html.page
import benchmark.reports.leaderboard
import benchmark.suites.processes
import benchmark.suites.suite
import benchmark.training.gradient  # noqa: F401
