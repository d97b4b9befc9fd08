"""The command `featherweight verify RUN`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.arguments import RunArgument

if TYPE_CHECKING:
    from featherweight.verification.checks import Check

NAME = "verify"


def command(
    run: RunArgument,
    json_output: Annotated[bool, typer.Option("--json", help="Print all checks as JSON.")] = False,
) -> None:
    """Check a finished run: files, parameter count, history, predictions and metrics."""
    from featherweight.verification.checks import passed, verdict
    from featherweight.verification.verify import verify_run

    checks = verify_run(run, lambda line: print(line, file=sys.stderr, flush=True))
    if json_output:
        import json

        rows = [{"check": check.name, "result": check.result, "found": check.found} for check in checks]
        print(json.dumps({"verdict": verdict(checks), "checks": rows}, indent=2, ensure_ascii=False))
    else:
        _print(run, checks, verdict(checks))
    if not passed(checks):
        raise typer.Exit(1)


def _print(run: str, checks: list[Check], verdict: str) -> None:
    from rich.table import Table

    from featherweight.console import plain_console

    console = plain_console()
    if not console.is_terminal:
        console.width = 200  # in a file, lines need not fit the width of a terminal
    table = Table("check", "result", "found", box=None, pad_edge=False)
    for check in checks:
        table.add_row(check.name, check.result, check.found)
    console.print(table)
    console.print(f"{run} {verdict}", soft_wrap=True)
