"""The command `featherweight train FILE`, where FILE is a data file or a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from featherweight.cli.arguments import (
    BackboneOption,
    BudgetOption,
    LabelColumnsOption,
    SetOption,
    TestOption,
    TextOption,
    load_recipe,
)

if TYPE_CHECKING:
    from featherweight.recipe import Recipe
    from featherweight.run.folder import Run

NAME = "train"
WhatArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help="Texts and labels: a file, a folder, or a data set on the hub; or a recipe: a TOML file, or the name of a "
        "built-in one (see `featherweight recipes`).",
    ),
]
_WHAT_TO_TYPE = """FILE is missing: pass a file of texts and labels, or a recipe
  featherweight train reviews.csv     your own texts: CSV, TSV, JSON, JSON Lines, Parquet
  featherweight train newsbriefs      a built-in recipe; featherweight recipes lists them
  featherweight train --from runs/x   a finished run, trained further
See: featherweight train --help"""


def command(
    recipe: WhatArgument = None,
    test: TestOption = None,
    text: TextOption = None,
    label: LabelColumnsOption = None,
    budget: BudgetOption = None,
    backbone: BackboneOption = None,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
    out: Annotated[
        str | None, typer.Option("-o", "--out", help="Run folder; by default the next free runs/<recipe name>.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the interrupted run in --out, by default runs/<recipe name>.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="Start a new run from the adapter of a finished run."),
    ] = None,
) -> None:
    """Train on a file of texts and labels, or by a recipe; then evaluate, verify and write a report."""
    from featherweight.errors import UserError

    if recipe is None and start is None:
        raise UserError(_WHAT_TO_TYPE)
    from featherweight.data.kept_tables import tables_kept

    options: dict[str, Any] = {"test": test, "text": text, "label": label, "budget": budget, "backbone": backbone}
    with tables_kept():
        if start is None:
            chosen = load_recipe(recipe or "", overrides, **options)
        else:
            chosen = _recipe_from(start, recipe or "", overrides, options)
        _train(chosen, out, resume)


def _train(chosen: Recipe, out: str | None, resume: bool) -> None:
    from featherweight.console import follow
    from featherweight.environment import has_several_processes, is_first_process
    from featherweight.errors import UserError
    from featherweight.workflows.train import train

    if out is None and has_several_processes():
        raise UserError("several processes need a common run folder: set it with --out")
    if not is_first_process():
        train(chosen, out, resume=resume)
        return
    with follow() as listener:
        run = train(chosen, out, listeners=[listener], resume=resume)
    summarise(run)


def _recipe_from(start: str, recipe: str, overrides: list[str], options: dict[str, Any]) -> Recipe:
    """The recipe of a training that starts from the adapter of the finished run ``start``.

    It is the recipe ``recipe``, if this names a recipe. Otherwise it is the recipe of ``start``, and ``recipe`` names
    new data, or is empty.
    """
    from featherweight.recipe.loading import is_recipe
    from featherweight.recipe.overrides import option_overrides
    from featherweight.workflows.continuation import recipe_from

    if recipe and is_recipe(recipe):
        return recipe_from(start, load_recipe(recipe, overrides, **options))
    return recipe_from(start, data=recipe or None, overrides=[*option_overrides(**options), *overrides])


def summarise(run: Run) -> None:
    """Print the metrics of a finished run, its number of trainable parameters, and the path of its report."""
    from featherweight.cli.tables import evaluation_lines
    from featherweight.console import plain_console

    console = plain_console(soft_wrap=True)
    for line in evaluation_lines(run.evaluation, run.recipe.model_dump(mode="json")):
        console.print(line)
    weight = run.weight
    console.print(f"{weight['total']:,} trainable parameters of a budget of {weight['budget']:,}")
    console.print(f"Report: {run.report}")
