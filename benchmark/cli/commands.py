"""The commands under their names, and the way a user's mistake is told."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from benchmark.cli import (
    adding,
    auditing,
    catalogue,
    comparing,
    inside,
    reporting,
    reproducing,
    results,
    running,
    scoring,
    trying,
    tuning,
    using,
)
from benchmark.errors import UserError, told_by_line

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
GOES_ON = " What is finished is kept; the same command goes on from here."
FORCED = " Finished runs are kept; without --force the same command runs what is missing."
_FITTING = re.compile(r"choose a (horizon|lookback) of at most (\d+)")
UNKNOWN = (errno.ENAMETOOLONG, errno.EACCES)
"""What the operating system answers where it does not say whether there is such a path."""
RESUMED = ("run", "suite", "tune", "pitfalls", "epochs", "abilities")  # of which that is true


class _Command(TyperCommand):
    """A command that knows a run's setting where it is given as an option of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line.

        Raises:
            UserError: an option is none of the command's, which takes settings by ``--set``.
        """
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # Click's own, or the one that later versions of Typer carry
            _tell_choice(error)
            option = getattr(error, "option_name", None)
            if not option or not any(parameter.name == "set_" for parameter in self.params):
                raise
            if any(option in parameter.opts for parameter in self.params):
                raise  # there is one, without its value
            key, is_ours = _setting(option)
            if not is_ours and getattr(error, "possibilities", None):
                raise  # a slip of the pen, for which Click names the nearest
            cure = f"settings are given so: --set {key}={_value(option, words)}"
            raise UserError(f"benchmark {self.name}", f"has no option {option}", cure) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            UserError: as the command; a length that fits is told as the option that sets it.
        """
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise error.retold(self._with_option) from error.__cause__

    def _with_option(self, fault: UserError) -> UserError:
        proposed = _FITTING.fullmatch(fault.cure)
        if proposed is None or self.name == "suite":  # whose YAML has the lengths
            return fault
        key, value = proposed.groups()
        own = any(parameter.name == key for parameter in self.params)
        option = f"--{key} {value}" if own else f"--set {key}={value}"
        return UserError(fault.where, fault.what, f"{fault.cure}: {option}")


def _tell_choice(error: Any) -> None:
    """Of a value that is none of a few, say which one may have been meant."""
    found = re.fullmatch(r"(?:Value error, )?('.*' is not one of '.*')\.", str(error))
    if found:
        from benchmark.config import nearest

        value, *choices = re.findall("'([^']*)'", found[1])
        meant = nearest(value, choices)
        error.message = found[1] + (f"; {meant}" if meant.startswith("did") else ".")


def _setting(option: str) -> tuple[str, bool]:
    """The dotted key that an option would be called after, and whether every run has it."""
    from benchmark.harness.spec import RunSpec
    from benchmark.training.spec import TrainingSpec

    name = option.lstrip("-").replace("-", "_")
    if name in TrainingSpec.model_fields:
        return f"training.{name}", True
    return (name, True) if name in RunSpec.model_fields else (f"model.{name}", False)


def _value(option: str, words: Sequence[str]) -> str:
    """The value that stands behind an option."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == option:
            follows = "" if equals or after.startswith("-") else after
            return value or follows or "VALUE"
    return "VALUE"


app = typer.Typer(
    help="Benchmark time-series forecasters: run models and suites, rank and compare results.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    """Print what a report of a fault should name, and leave."""
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version
    from platform import platform, python_version

    from benchmark import __version__
    from benchmark.harness.revision import git_revision

    revision = git_revision()
    typer.echo(f"ts-benchmark {__version__}" + (f", revision {revision}" if revision else ""))
    typer.echo(f"Python {python_version()} on {platform()}")
    for package in ("torch", "lightning"):
        try:
            typer.echo(f"{package} {version(package)}")
        except PackageNotFoundError:
            typer.echo(f"{package} is not installed")
    raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the versions of this suite and of what it runs on, and exit.",
        ),
    ] = False,
) -> None:
    pass


datasets = typer.Typer(
    help="List the data sets, add one of your own, fetch their files, check them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
for command in (
    running.run,
    running.suite,
    reproducing.reproduce,
    tuning.tune,
    using.forecast,
    using.backtest,
    using.export,
    scoring.score,
    results.leaderboard,
    comparing.compare,
    reporting.report,
    reporting.plot,
    catalogue.models,
    trying.check,
    auditing.audit,
    auditing.pitfalls,
    auditing.epochs,
    trying.speed,
    inside.gradients,
    inside.abilities,
    inside.gates,
):
    app.command(cls=_Command)(command)
app.add_typer(datasets, name="datasets")
datasets.command("list")(catalogue.datasets_list)
datasets.command("add")(adding.datasets_add)
datasets.command("mend")(adding.datasets_mend)
datasets.command("fetch")(catalogue.datasets_fetch)
datasets.command("check")(catalogue.datasets_check)


def main() -> None:
    """Run the command line; a user's mistake is told in plain lines, without a traceback.

    So is what a model of the user's own raises, whatever the command was doing with it.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # errors' stream is never strict
        sys.stdout.reconfigure(errors="replace")  # a table with a ? for what an encoding lacks
    try:
        with told_by_line("a file of your own", "mend that line"):
            app()
    except UserError as error:
        _refuse(str(error))
    except ModuleNotFoundError as error:  # as where all was left out that `compare` can do without
        package = (error.name or "").partition(".")[0]
        if not package or package == "benchmark":
            raise
        what = f"the package '{package}', which this command needs, is not installed"
        _refuse(f"{what}; pip install ts-benchmark brings all that is needed")
    except OSError as error:  # of whether a path is there: Python raises what it cannot find out
        if error.errno not in UNKNOWN or error.filename is None:
            raise
        what = f"cannot be looked at ({error.strerror})"
        _refuse(f"{error.filename}: {what}; check the path and its permissions")
    except SystemExit as end:  # what Typer makes of Ctrl-C
        if end.code == INTERRUPTED:
            resumed = any(word in RESUMED for word in sys.argv[1:2])
            goes_on = FORCED if "--force" in sys.argv else GOES_ON
            sys.stderr.write(f"\nStopped.{goes_on if resumed else ''}\n")
        raise


def _refuse(faults: str) -> NoReturn:
    """Tell the user's mistakes, a line each, and leave."""
    for fault in faults.split("\n"):
        sys.stderr.write(f"error: {fault}\n")
    sys.exit(2)
