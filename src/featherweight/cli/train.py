"""`featherweight train RECIPE`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from featherweight.cli.arguments import BudgetOption, RecipeArgument, SetOption, load_recipe

NAME = "train"


def command(
    recipe: RecipeArgument,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
    budget: BudgetOption = None,
    out: Annotated[str | None, typer.Option(help="Run folder; by default the next free runs/<recipe name>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted run in --out.")] = False,
) -> None:
    """Train, evaluate, verify and report a recipe."""
    chosen = load_recipe(recipe, overrides, budget)

    from featherweight.console import follow
    from featherweight.environment import is_first_process
    from featherweight.errors import UserError
    from featherweight.workflows.train import train

    if out is None and os.environ.get("WORLD_SIZE", "1") != "1":
        raise UserError("several processes need one run folder between them: name it by --out")
    if not is_first_process():
        train(chosen, out, resume=resume)
        return
    with follow() as listener:
        run = train(chosen, out, listeners=[listener], resume=resume)
    _summarise(run)


def _summarise(run) -> None:  # type: ignore[no-untyped-def]
    from featherweight.cli.tables import evaluation_lines
    from featherweight.console import plain_console

    console = plain_console(soft_wrap=True)
    for line in evaluation_lines(run.evaluation):
        console.print(line)
    weight = run.weight
    console.print(f"{weight['total']:,} trainable parameters of a budget of {weight['budget']:,}")
    console.print(f"Report: {run.report}")
