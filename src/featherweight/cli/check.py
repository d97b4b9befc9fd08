"""The command `featherweight check DATA`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from featherweight.cli.arguments import LabelColumnsOption, TextOption

NAME = "check"


def command(
    data: Annotated[
        str,
        typer.Argument(help="Texts and labels: a file, a folder, a data set on the hub, or newsbriefs (built in)."),
    ],
    test: Annotated[
        str | None, typer.Option(metavar="FILE", help="Test rows; check counts those that are also training rows.")
    ] = None,
    text: TextOption = None,
    label: LabelColumnsOption = None,
    clean: Annotated[
        str,
        typer.Option(
            help="Repair of texts before the check: none, or ag_news (its broken HTML entities, backslashes)."
        ),
    ] = "none",
    max_length: Annotated[
        int | None,
        typer.Option(
            min=4,
            help="Maximum number of tokens of a text; longer texts are truncated. By default that of `train FILE`.",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The encoder whose tokenizer counts; by default that of `train FILE`."),
    ] = None,
    overrides: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a recipe key, such as data.join=pair or data.encoding=cp1251; repeatable.",
        ),
    ] = [],  # noqa: B006 (typer copies it)
) -> None:
    """Check data before training: columns, labels, empty or repeated texts, tokens, and what training would refuse."""
    from featherweight.backbone.known_configs import refuse_backbone
    from featherweight.backbone.resolve import best_at_hand
    from featherweight.console import plain_console
    from featherweight.data.kept_tables import tables_kept
    from featherweight.recipe import Recipe
    from featherweight.recipe.overrides import apply_override
    from featherweight.recipe.values import one_or_all
    from featherweight.workflows.check import check, inspection_lines
    from featherweight.workflows.own_data import with_guessed_columns
    from featherweight.workflows.own_length import with_chosen_length

    refuse_backbone(data)
    settings = {
        "train": data,
        "test": test,
        "text": tuple(text or ()),
        "label": one_or_all(label) if label else None,
        "clean": clean,
        "max_length": max_length,
    }
    given = {key: value for key, value in settings.items() if value is not None}
    values: dict[str, Any] = {"data": given, "backbone": {"name": backbone or best_at_hand()[0]}}
    for override in overrides:
        apply_override(values, override, Recipe)
    own_split = not {"validation", "validation_size"} & values["data"].keys()
    with tables_kept():
        recipe = with_guessed_columns(Recipe.parse(values, "check"))
        if "max_length" not in values["data"]:
            recipe = with_chosen_length(recipe)
        found = check(recipe, own_split=own_split)
    console = plain_console(soft_wrap=True)
    for line in inspection_lines(found):
        console.print(line)
