"""The command `featherweight weigh RECIPE`, where RECIPE is a recipe, a data file, or a folder that PEFT saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.arguments import (
    BackboneOption,
    BaseOption,
    BudgetOption,
    LabelColumnsOption,
    SetOption,
    TextOption,
    load_recipe,
    refuse_recipe_options,
    tell,
)
from featherweight.errors import UserError
from featherweight.formatting import counted

if TYPE_CHECKING:
    from featherweight.budget.weigh import Component, Weight

NAME = "weigh"


def command(
    recipe: Annotated[
        str,
        typer.Argument(help="A built-in recipe, a TOML file, a data file, or a folder that PEFT saved."),
    ],
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
    budget: BudgetOption = None,
    text: TextOption = None,
    label: LabelColumnsOption = None,
    backbone: BackboneOption = None,
    base: BaseOption = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the count as JSON.")] = False,
) -> None:
    """Count the trainable parameters of a recipe, or of a folder that PEFT saved, from shapes alone."""
    from featherweight.adapter.peft.folder import folder_of_file, is_peft_folder
    from featherweight.backbone.adapted import adapted_by_name, entry
    from featherweight.budget.limit import require_within_budget
    from featherweight.workflows.weigh import resolve

    if is_peft_folder(recipe):
        refuse_recipe_options(recipe, text=text, label=label, backbone=backbone)
        _weigh_peft(recipe, overrides, budget, json_output, base)
        return
    if (folder := folder_of_file(recipe)) is not None:
        raise UserError(f"{recipe}: is a file in a folder that PEFT saved; name the folder: {folder}")
    if base is not None:
        raise UserError(
            f"{recipe}: --base is for folders that PEFT saved; for a recipe, use --set backbone.name=FOLDER"
        )
    chosen = load_recipe(recipe, overrides, budget, text=text, label=label, backbone=backbone)
    adapted = adapted_by_name(chosen.backbone.name)
    resolved = resolve(chosen)
    weight = resolved.weight
    if json_output:
        import json

        print(json.dumps(weight.as_dict() | entry(adapted, "backbone_adapted"), indent=2))
    else:
        _print(chosen.name, chosen.backbone.name, weight)
        tell([adapted.in_words()] if adapted else [])
    require_within_budget(weight, resolved.recipe, resolved.architecture)


def _weigh_peft(folder: str, overrides: list[str], budget: str | None, json_output: bool, base: str | None) -> None:
    from featherweight.adapter.peft.folder import BaseUnreachable, read_peft_folder
    from featherweight.adapter.peft.given import PeftOptions
    from featherweight.adapter.peft.weigh import as_dict, repetition, weigh_peft_folder
    from featherweight.recipe import Recipe
    from featherweight.recipe.overrides import option_overrides

    if overrides:
        raise UserError(f"{folder}: is already trained; --set can only change recipes, so leave it out")
    limit = Recipe.parse({}, folder, option_overrides(budget=budget)).budget if budget is not None else None
    try:
        found = read_peft_folder(folder, PeftOptions(base=base))
    except BaseUnreachable as error:
        _weigh_header(folder, limit, json_output, error)
        return
    weight = weigh_peft_folder(found, limit)
    if json_output:
        import json

        print(json.dumps(as_dict(found, limit), indent=2))
    else:
        _print(folder, found.base.name, weight, budget=limit is not None)
        tell(repetition(found))
    if weight.margin < 0:
        raise UserError(
            f"{folder}: {weight.total:,} trained parameters, {-weight.margin:,} over budget = {weight.budget:,}"
        )


def _weigh_header(folder: str, limit: int | None, json_output: bool, error: Exception) -> None:
    """Count the trained parameters of a PEFT folder from the header of its weight file alone.

    ``error`` says why the base model cannot be read; its first line is printed as a note.
    """
    from featherweight.adapter.peft.folder import tensors_of
    from featherweight.adapter.peft.weigh import components_of

    tensors, base = tensors_of(folder)
    components = components_of(tensors)
    total = sum(component.parameters for component in components)
    if json_output:
        import json
        from dataclasses import asdict

        print(json.dumps({"total": total, "components": [asdict(component) for component in components]}, indent=2))
    else:
        _print_count(f"{folder} on {base}", components, total, limit)
    tell([f"only the header of the weight file was read: {str(error).splitlines()[0]}"])
    if limit is not None and total > limit:
        raise UserError(f"{folder}: {total:,} trained parameters, {total - limit:,} over budget = {limit:,}")


def _print(name: str, backbone: str, weight: Weight, budget: bool = True) -> None:
    from featherweight.console import plain_console

    title = f"{name} on {backbone}, {counted(weight.labels, 'label')}"
    _print_count(title, weight.components, weight.total, weight.budget if budget else None)
    console = plain_console(soft_wrap=True)
    console.print(f"{weight.percent:.2f}% of the backbone's {weight.backbone_parameters:,} parameters")
    if weight.peft_note:
        console.print(weight.peft_note)


def _print_count(title: str, components: Sequence[Component], total: int, budget: int | None) -> None:
    from rich.table import Table

    from featherweight.console import plain_console

    console = plain_console()
    table = Table("component", "parameters", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for component in components:
        table.add_row(component.name, f"{component.parameters:,}")
    table.add_row("trainable", f"{total:,}", style="bold")
    if budget is not None:
        table.add_row("budget", f"{budget:,}")
        table.add_row("margin", f"{budget - total:,}")
    console.print(title, soft_wrap=True)
    console.print(table)
