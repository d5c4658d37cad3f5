"""Commands that ask whether a number can be trusted: the audit, and what mistakes are worth."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmark.cli.options import SetOption, make_console
from benchmark.errors import UserError

AUDITED = "akl_pedestrians"
"""The data set that ships with the project, so that an audit needs no network."""


def audit(
    model: Annotated[
        str, typer.Argument(help="A forecaster's class (my_module.MyForecaster) or a YAML.")
    ],
    set_: SetOption = None,
) -> None:
    """Check that nothing leaks: no test row into a fit, no future into a forecast.

    Runs the model through the whole suite on a short piece of akl_pedestrians (--set dataset=ETTh1
    takes another), a few steps a fit. Exits with 1 on a leak.
    """
    from benchmark.config import apply_overrides, validate
    from benchmark.harness.spec import RunSpec, find_config, load_run

    overrides = [f"dataset={AUDITED}", *(set_ or [])]
    if model.endswith((".yaml", ".yml")) or "." not in model:
        where = str(find_config("models", model))
        spec = load_run(find_config("models", model), overrides)
    else:
        where = model
        data = {"name": "audited", "model": {"class": model}}
        spec = validate(RunSpec, apply_overrides(data, overrides), where)

    from benchmark.harness.audit import audit as audit_run

    console = make_console()
    try:
        findings = audit_run(spec, where)
    except FloatingPointError as error:
        raise UserError(where, str(error)) from error
    for finding in findings:
        mark = "[green]yes[/green]" if finding.passed else "[red]no [/red]"
        console.print(f"{mark}  {finding.check}.", highlight=False)
        if finding.seen:
            console.print(f"       {finding.seen}", markup=False, highlight=False)
        elif finding.moved:
            limit = f"moves by up to {finding.moved:.3g}, allowed {finding.allowed:g}"
            console.print(f"       {limit}", markup=False, highlight=False)
    if not all(finding.passed for finding in findings):
        raise typer.Exit(1)
