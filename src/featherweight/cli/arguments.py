"""Arguments that several verbs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from featherweight.recipe import Recipe

RecipeArgument = Annotated[
    str, typer.Argument(help="A built-in recipe's name (see `featherweight recipes`) or a TOML file.")
]
SetOption = Annotated[
    list[str],
    typer.Option("--set", help="Change a key: section.key=value, such as training.learning_rate=3e-4; repeatable."),
]
BudgetOption = Annotated[str | None, typer.Option("--budget", help="Most trainable parameters: 1000000, 100k or 1M.")]
RunArgument = Annotated[str, typer.Argument(help="A run folder, such as runs/newsbriefs.")]


def load_recipe(recipe: str, overrides: list[str], budget: str | None) -> Recipe:
    """The recipe that the arguments name, with ``--set`` and ``--budget`` applied. Raises UserError."""
    from featherweight.recipe import Recipe

    budget_override = [f'budget="{budget}"'] if budget else []
    return Recipe.load(recipe, [*overrides, *budget_override])
