"""The command `featherweight soup RUN RUN ...`."""

from __future__ import annotations

from typing import Annotated

import typer

NAME = "soup"


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN ...", help="Finished runs with the same initial weights.")
    ],
    out: Annotated[
        str | None, typer.Option("-o", "--out", help="Run folder; by default the next free runs/<recipe name>-soup.")
    ] = None,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Include a run only if the validation result does not get worse.")
    ] = False,
) -> None:
    """Average the adapters of runs with the same initial weights into a new run with as many parameters as each."""
    from featherweight.environment import has_several_processes
    from featherweight.errors import UserError

    if has_several_processes():
        raise UserError("soup: runs in one process; start it without torchrun")

    from featherweight.cli.train import summarise
    from featherweight.console import LineFollower
    from featherweight.workflows.soup import make_soup

    summarise(make_soup(runs, out, greedy=greedy, listeners=[LineFollower()]))
