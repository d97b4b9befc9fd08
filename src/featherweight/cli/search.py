"""The command `featherweight search RECIPE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.arguments import (
    BackboneOption,
    BudgetOption,
    LabelColumnsOption,
    SetOption,
    TextOption,
    load_recipe,
)

NAME = "search"


def command(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A TOML file, whose section `search` names the keys to vary, a built-in recipe, or a file of texts "
            "and labels."
        ),
    ],
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="FILE", help="Test rows for best.toml; the search itself does not read them."),
    ] = None,
    text: TextOption = None,
    label: LabelColumnsOption = None,
    backbone: BackboneOption = None,
    trials: Annotated[
        int, typer.Option(min=1, max=100_000, help="Number of trials, including trials of earlier calls.")
    ] = 20,
    budget: BudgetOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder of the search, by default runs/search-<recipe name>; to resume, run the command again.",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Database that several machines share, such as postgresql://host/database. Default: OUT/search.db."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=1000, help="Number of trials at the same time on this machine.")
    ] = 1,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
) -> None:
    """Search for a better recipe within the same budget, on validation rows only."""
    from featherweight.recipe.loading import read_search_space
    from featherweight.recipe.search_space import SearchSpace

    chosen = load_recipe(recipe, overrides, budget, test=test, text=text, label=label, backbone=backbone)
    section = read_search_space(recipe)
    space = None if section is None else SearchSpace.parse(section, recipe, chosen)

    from featherweight.console import announce
    from featherweight.workflows.search import run_search

    folder = out or Path("runs") / f"search-{chosen.name}"
    run_search(chosen, folder, space=space, trials=trials, storage=storage, workers=workers, announce=announce)
    print(f"Best recipe: {folder / 'best.toml'}")
    print(f"Page: {folder / 'search.html'}")
