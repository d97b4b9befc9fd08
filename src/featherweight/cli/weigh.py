"""`featherweight weigh RECIPE`."""

from __future__ import annotations

from typing import Annotated

import typer

from featherweight.cli.arguments import BudgetOption, RecipeArgument, SetOption, load_recipe

NAME = "weigh"


def command(
    recipe: RecipeArgument,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
    budget: BudgetOption = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the count as JSON.")] = False,
) -> None:
    """Count a recipe's trainable parameters by component, from shapes alone."""
    from featherweight.model.weigh import require_within_budget
    from featherweight.weigh_in import weigh_recipe

    resolved, weight, architecture = weigh_recipe(load_recipe(recipe, overrides, budget))
    if json_output:
        import json

        print(json.dumps(weight.as_dict(), indent=2))
    else:
        _print(resolved.name, resolved.backbone.name, weight)
    require_within_budget(weight, resolved, architecture)


def _print(name: str, backbone: str, weight) -> None:  # type: ignore[no-untyped-def]
    from rich.table import Table

    from featherweight.cli.tables import plain_console

    console = plain_console()
    table = Table("component", "parameters", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for component in weight.components:
        table.add_row(component.name, f"{component.parameters:,}")
    table.add_row("trainable", f"{weight.total:,}", style="bold")
    table.add_row("budget", f"{weight.budget:,}")
    table.add_row("margin", f"{weight.margin:,}")
    console.print(f"{name} on {backbone}, {weight.labels} labels", soft_wrap=True)
    console.print(table)
    console.print(f"{weight.percent:.2f}% of the backbone's {weight.backbone_parameters:,} parameters")
    if weight.peft_note:
        console.print(weight.peft_note, soft_wrap=True)
