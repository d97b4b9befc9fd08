"""The command `featherweight adapt DATA`, where DATA is a data file or a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.arguments import (
    BackboneOption,
    LabelColumnsOption,
    SetOption,
    TextOption,
    load_recipe,
)

NAME = "adapt"


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file of texts and labels, or a recipe.")],
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="FILE", help="Test rows; the backbone is not trained on their texts."),
    ] = None,
    texts: Annotated[
        list[str],
        typer.Option("--texts", metavar="FILE", help="Further texts, without labels; can be given several times."),
    ] = [],  # noqa: B006 (typer copies it)
    text: TextOption = None,
    label: LabelColumnsOption = None,
    backbone: BackboneOption = None,
    epochs: Annotated[float, typer.Option(min=0.01, max=10_000, help="Number of passes over the texts.")] = 3.0,
    rate: Annotated[float, typer.Option("--lr", min=1e-9, max=1.0, help="Peak learning rate of the encoder.")] = 5e-5,
    batch_size: Annotated[int, typer.Option(min=1, max=100_000, help="Number of texts in a step.")] = 32,
    max_length: Annotated[
        int | None,
        typer.Option(min=8, max=1_000_000, help="Maximum number of tokens of a text; by default data.max_length."),
    ] = None,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the new backbone; by default adapted/<recipe name>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted adaptation.")] = False,
) -> None:
    """Train the backbone further on the training texts, without labels, and write it as another backbone."""
    from featherweight.environment import has_several_processes
    from featherweight.errors import UserError

    if has_several_processes():
        raise UserError("adapt: runs in one process; start it without torchrun")
    recipe = load_recipe(data, overrides, test=test, text=text, label=label, backbone=backbone, trains=False)

    from featherweight.console import follow
    from featherweight.workflows.adapt import AdaptationSettings, adapt_backbone

    folder = out or Path("adapted") / recipe.name
    settings = AdaptationSettings(epochs, rate, batch_size, max_length)
    with follow() as listener:
        adapt_backbone(recipe, folder, settings, texts=texts, resume=resume, listeners=[listener])
    print(f"Backbone: {folder}")
    # An override wins over --backbone, and would name the backbone that was adapted.
    naming = ("backbone", "backbone.name")
    others = [override for override in overrides if override.partition("=")[0].strip() not in naming]
    given = {"--test": [test], "--text": text, "--label": label, "--set": others}
    options = [word for name, values in given.items() for value in values or () if value for word in (name, value)]
    print(f"To train on it: {shlex.join(['featherweight', 'train', data, *options, '--backbone', str(folder)])}")
