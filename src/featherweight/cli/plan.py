"""The command `featherweight plan`, for a data file or for a number of classes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.arguments import LabelColumnsOption, TextOption, require_new_recipe, tell
from featherweight.formatting import counted

if TYPE_CHECKING:
    from featherweight.recipe import Recipe

NAME = "plan"
_BACKBONE, _LABELS = "roberta-base", 4


def command(
    data: Annotated[str | None, typer.Argument(metavar="FILE", help="Texts and labels, to count the classes.")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Hub name, local folder, or minilm / mpnet; by default {_BACKBONE}, with FILE that of `train FILE`.",
        ),
    ] = None,
    labels: Annotated[
        int | None, typer.Option(min=2, help=f"Number of classes; by default {_LABELS}, with FILE those in it.")
    ] = None,
    text: TextOption = None,
    label: LabelColumnsOption = None,
    budget: Annotated[
        str, typer.Option(metavar="NUMBER", help="Maximum number of trainable parameters: 1000000, 100k or 1M.")
    ] = "1M",
    bias: Annotated[str, typer.Option(help="Backbone biases to train: none, lora (of adapted layers), all.")] = "none",
    row: Annotated[int | None, typer.Option(min=1, help="Row of the table to write as a recipe; needs --out.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Recipe file to write; needs --row.")] = None,
    overrides: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe key, such as adapter.dora=true; repeatable."),
    ] = [],  # noqa: B006 (typer copies it)
) -> None:
    """Show the largest LoRA rank that fits a budget, for each head and each set of linear layers to adapt."""
    from featherweight.backbone.known_configs import refuse_backbone
    from featherweight.budget.plan import plan
    from featherweight.errors import UserError
    from featherweight.files import write_whole
    from featherweight.recipe import Recipe
    from featherweight.recipe.overrides import option_overrides
    from featherweight.workflows.resolve import backbone_architecture

    if (row is None) != (out is None):
        raise UserError("--row and --out must be used together, such as --row 1 --out my-recipe.toml")
    if out is not None:
        require_new_recipe("--out", out)
    if data is None:
        _refuse_columns(text, label)
        values = {"name": "plan", "budget": budget, "backbone": {"name": backbone or _BACKBONE}}
        recipe, classes = Recipe.parse({**values, "adapter": {"bias": bias}}, "plan", overrides), labels or _LABELS
    elif labels is not None:
        refuse_backbone(data)
        raise UserError(f"{data} determines the number of classes; leave --labels out")
    else:
        options = option_overrides(budget=budget, backbone=backbone, text=text, label=label)
        recipe, classes = _of_data(data, [*options, f"adapter.bias={bias}", *overrides])
    adapter = recipe.adapter
    tell(_without_effect(recipe))
    rows = plan(backbone_architecture(recipe.backbone), classes, recipe.budget, adapter.bias, dora=adapter.dora)
    if row is None or out is None:
        _print(rows, recipe.backbone.name, classes, recipe.budget)
        return
    if row > len(rows):
        raise UserError(f"--row {row}: the table has only {counted(len(rows), 'row')}; choose one of these")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", out.stem).strip("-._") or "plan"
    write_whole(out, recipe.with_values(name=name, adapter=rows[row - 1].adapter()).to_toml())
    next_step = "set [data] in it, then train it with" if data is None else "train it with"
    print(
        f"{out}: {rows[row - 1].total:,} trainable parameters; {next_step}: featherweight train {shlex.quote(str(out))}"
    )


def _without_effect(recipe: Recipe) -> list[str]:
    """A note for each key that the user set and that a plan does not use, because its rows differ in it."""
    given = recipe.adapter.model_fields_set
    notes = []
    if "lora" in given and recipe.adapter.lora != "auto":
        notes.append("adapter.lora has no effect on a plan; to count the parameters of your own: featherweight weigh")
    if "head" in given:
        notes.append("adapter.head has no effect on a plan, which has rows for every head")
    return notes


def _refuse_columns(text: list[str] | None, label: list[str] | None) -> None:
    """Raise UserError if columns are named, but no file that could have them."""
    from featherweight.errors import UserError

    if named := next((name for name, given in (("--text", text), ("--label", label)) if given), None):
        raise UserError(
            f"{named} names a column of a file: name the file too (featherweight plan FILE), or leave it out"
        )


def _of_data(data: str, overrides: list[str]) -> tuple[Recipe, int]:
    """The recipe that ``train`` would make for the file ``data``, and its number of classes."""
    from featherweight.data.class_names import label_names_of
    from featherweight.workflows.own_data import draft_recipe

    draft = draft_recipe(data, overrides)
    tell(draft.notes[:1])
    return draft.recipe, len(label_names_of(draft.recipe.data))


def _print(rows, backbone: str, labels: int, budget: int) -> None:  # type: ignore[no-untyped-def]
    from rich.table import Table

    from featherweight.console import plain_console

    console = plain_console()
    console.print(
        f"{backbone}, {counted(labels, 'label')}, a budget of {budget:,} trainable parameters", soft_wrap=True
    )
    table = Table("row", "head", "target roles", "layers", "rank", "trainable", "margin", "", box=None, pad_edge=False)
    for column in (0, 4, 5, 6):
        table.columns[column].justify = "right"
    for number, row in enumerate(rows, 1):
        mark = "recommended" if row.recommended else ""
        figures = (str(row.rank), f"{row.total:,}", f"{budget - row.total:,}")
        table.add_row(str(number), row.head, " ".join(row.roles), row.layers, *figures, mark)
    console.print(table)
    console.print(
        'To write a row as a recipe: --row N --out FILE. In a recipe, adapter.lora = "auto" means the recommended row.',
        soft_wrap=True,
    )
