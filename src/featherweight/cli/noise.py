"""The command `featherweight noise DATA`, where DATA is a data file, a recipe or a run."""

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

NAME = "noise"


def command(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A file of texts and labels, a recipe, or a finished run.")
    ],
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="FILE", help="Test rows; texts that are also training texts are listed."),
    ] = None,
    text: TextOption = None,
    label: LabelColumnsOption = None,
    budget: BudgetOption = None,
    backbone: BackboneOption = None,
    folds: Annotated[
        int, typer.Option(min=2, max=100, help="Number of trainings; each leaves out another part of the rows.")
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder for the results, by default runs/noise-<recipe name>; to resume, run the command again.",
        ),
    ] = None,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
) -> None:
    """Find training labels that are probably wrong, near-duplicates, and test texts among the training rows."""
    written = Path(data) / "recipe.toml"
    source = str(written) if written.is_file() else data
    recipe = load_recipe(source, overrides, budget, test=test, text=text, label=label, backbone=backbone)

    from featherweight.console import announce
    from featherweight.workflows.noise_audit import audit_labels

    folder = out or Path("runs") / f"noise-{recipe.name}"
    audit = audit_labels(recipe, folder, folds=folds, announce=announce)
    print(audit.headline)
    if audit.doubt:
        print(f"warning: {audit.doubt}")
    print(f"Suspects: {folder / 'suspects.csv'}")
    print(f"Near-duplicates: {folder / 'near-duplicates.csv'}")
    print(f"Page: {folder / 'noise.html'}")
