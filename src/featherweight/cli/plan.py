"""`featherweight plan`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

NAME = "plan"


def command(
    backbone: Annotated[str, typer.Option(help="Hub name, local folder, or minilm / mpnet.")] = "roberta-base",
    labels: Annotated[int, typer.Option(min=2, help="Number of classes.")] = 4,
    budget: Annotated[str, typer.Option(help="Most trainable parameters: 1000000, 100k or 1M.")] = "1M",
    bias: Annotated[str, typer.Option(help="Backbone biases to train: none, lora or all.")] = "none",
    row: Annotated[int | None, typer.Option(min=1, help="Write this row's adapter as a recipe (with --out).")] = None,
    out: Annotated[Path | None, typer.Option(help="Recipe file to write.")] = None,
) -> None:
    """Show what a budget affords: for each head and set of target roles the largest rank that fits."""
    from featherweight.backbone.describe import architecture_of
    from featherweight.backbone.resolve import config_of
    from featherweight.budget.plan import plan
    from featherweight.errors import UserError
    from featherweight.files import write_whole
    from featherweight.recipe import Recipe

    if (row is None) != (out is None):
        raise UserError("--row and --out go together: --row 1 --out my-recipe.toml")
    values = {"name": "plan", "budget": budget, "backbone": {"name": backbone}, "adapter": {"bias": bias}}
    recipe = Recipe.parse(values, "plan")
    rows = plan(architecture_of(config_of(recipe.backbone)), labels, recipe.budget, recipe.adapter.bias)
    if row is None or out is None:
        _print(rows, backbone, labels, recipe.budget)
        return
    if row > len(rows):
        raise UserError(f"--row {row}: the table has {len(rows)} rows")
    if out.exists():
        raise UserError(f"--out {out}: exists; name a new file")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: the folder {out.parent} does not exist")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", out.stem).strip("-._") or "plan"
    write_whole(out, recipe.with_values(name=name, adapter=rows[row - 1].adapter()).to_toml())
    print(f"{out}: {rows[row - 1].total:,} trainable parameters; set [data] and train it by: featherweight train {out}")


def _print(rows, backbone: str, labels: int, budget: int) -> None:  # type: ignore[no-untyped-def]
    from rich.table import Table

    from featherweight.console import plain_console

    console = plain_console()
    console.print(f"{backbone}, {labels} labels, budget {budget:,}", soft_wrap=True)
    table = Table("row", "head", "target roles", "rank", "trainable", "margin", "", box=None, pad_edge=False)
    for column in (0, 3, 4, 5):
        table.columns[column].justify = "right"
    for number, row in enumerate(rows, 1):
        mark = "recommended" if row.recommended else ""
        figures = (str(row.rank), f"{row.total:,}", f"{budget - row.total:,}")
        table.add_row(str(number), row.head, " ".join(row.roles), *figures, mark)
    console.print(table)
    console.print(
        'A row as a recipe: --row N --out FILE. In a recipe, adapter.lora = "auto" takes the recommended row.',
        soft_wrap=True,
    )
