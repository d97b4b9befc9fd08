"""The command `featherweight recipes [NAME]`."""

from __future__ import annotations

from typing import Annotated

import typer

NAME = "recipes"


def command(
    name: Annotated[str | None, typer.Argument(help="Recipe to print, with all default values.")] = None,
) -> None:
    """List the built-in recipes, or print one."""
    from featherweight.recipe import Recipe, built_in_recipes

    if name is not None:
        print(Recipe.load(name).to_toml(), end="")
        return

    from rich.table import Table

    from featherweight.console import plain_console

    table = Table("recipe", "backbone", "data", "what it is", box=None, pad_edge=False)
    for built_in in built_in_recipes():
        recipe = Recipe.load(built_in)
        table.add_row(recipe.name, recipe.backbone.name, recipe.data.train, recipe.description)
    plain_console().print(table)
