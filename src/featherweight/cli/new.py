"""The command `featherweight new FILE -o RECIPE`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.arguments import (
    BackboneOption,
    BudgetOption,
    LabelColumnsOption,
    SetOption,
    TestOption,
    TextOption,
    require_new_recipe,
    tell,
)

NAME = "new"


def command(
    data: Annotated[str, typer.Argument(help="A file of texts and labels, a folder, or a data set on the hub.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The recipe to write, such as reviews.toml.")] = None,
    test: TestOption = None,
    text: TextOption = None,
    label: LabelColumnsOption = None,
    budget: BudgetOption = None,
    backbone: BackboneOption = None,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
) -> None:
    """Write the recipe that `train FILE` would use, so that you can edit it; without -o, print it."""
    from featherweight.files import write_whole
    from featherweight.recipe.overrides import option_overrides
    from featherweight.workflows.own_data import draft_recipe

    if out is not None:
        require_new_recipe("-o", out)
    options = option_overrides(test=test, text=text, label=label, budget=budget, backbone=backbone)
    draft = draft_recipe(data, [*options, *overrides])
    tell(draft.notes)
    recipe = draft.to_toml()
    if out is None:
        print(recipe, end="")
        return
    write_whole(out, recipe)
    print(f"{out}: edit it, then train it with: featherweight train {shlex.quote(str(out))}")
