"""`featherweight weigh RECIPE`, or a folder that PEFT saved."""

from __future__ import annotations

from typing import Annotated

import typer

from featherweight.cli.arguments import BudgetOption, SetOption, load_recipe, tell

NAME = "weigh"


def command(
    recipe: Annotated[str, typer.Argument(help="A built-in recipe's name, a TOML file, or a folder that PEFT saved.")],
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
    budget: BudgetOption = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the count as JSON.")] = False,
) -> None:
    """Count the trainable parameters of a recipe, or of a folder that PEFT saved, from shapes alone."""
    from featherweight.adapter.peft.folder import is_peft_folder
    from featherweight.budget.limit import require_within_budget
    from featherweight.workflows.weigh import resolve

    if is_peft_folder(recipe):
        _weigh_peft(recipe, overrides, budget, json_output)
        return
    chosen = load_recipe(recipe, overrides, budget)
    resolved = resolve(chosen)
    weight = resolved.weight
    if json_output:
        import json

        print(json.dumps(weight.as_dict(), indent=2))
    else:
        _print(chosen.name, chosen.backbone.name, weight)
    require_within_budget(weight, resolved.recipe, resolved.architecture)


def _weigh_peft(folder: str, overrides: list[str], budget: str | None, json_output: bool) -> None:
    from featherweight.adapter.peft.folder import read_peft_folder
    from featherweight.adapter.peft.weigh import as_dict, repetition, weigh_peft_folder
    from featherweight.errors import UserError
    from featherweight.recipe import Recipe

    if overrides:
        raise UserError(f"{folder}: was trained already; --set changes recipes alone")
    limit = Recipe.parse({"budget": budget}, "--budget").budget if budget else None
    found = read_peft_folder(folder)
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


def _print(name: str, backbone: str, weight, budget: bool = True) -> None:  # type: ignore[no-untyped-def]
    from rich.table import Table

    from featherweight.console import plain_console

    console = plain_console()
    table = Table("component", "parameters", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for component in weight.components:
        table.add_row(component.name, f"{component.parameters:,}")
    table.add_row("trainable", f"{weight.total:,}", style="bold")
    if budget:
        table.add_row("budget", f"{weight.budget:,}")
        table.add_row("margin", f"{weight.margin:,}")
    console.print(f"{name} on {backbone}, {weight.labels} labels", soft_wrap=True)
    console.print(table)
    console.print(f"{weight.percent:.2f}% of the backbone's {weight.backbone_parameters:,} parameters")
    if weight.peft_note:
        console.print(weight.peft_note, soft_wrap=True)
