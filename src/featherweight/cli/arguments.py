"""Arguments and options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from featherweight.adapter.peft.given import PeftOptions
    from featherweight.recipe import Recipe

TestOption = Annotated[
    str | None,
    typer.Option("--test", metavar="FILE", help="File or data set of test rows; evaluated once, at the end."),
]
TextOption = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="COLUMN", help="The text column; repeat the option to join several columns."),
]
LabelColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="COLUMN", help="The label column; repeat the option if each label has its own column."
    ),
]
BackboneOption = Annotated[
    str | None,
    typer.Option(
        "--backbone", metavar="NAME", help="The encoder: a hub name, a local folder, or minilm or mpnet, if installed."
    ),
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a recipe key, such as training.learning_rate=3e-4; repeatable."
    ),
]
ReadOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="How the file is read, such as data.encoding=cp1251 or data.separator=;. Repeatable.",
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option("--budget", metavar="NUMBER", help="Maximum number of trainable parameters: 1000000, 100k or 1M."),
]
RunArgument = Annotated[str, typer.Argument(help="A run folder, such as runs/newsbriefs.")]
ClassifierArgument = Annotated[
    str, typer.Argument(help="A run folder, such as runs/newsbriefs, an export, or a folder that PEFT saved.")
]
LabelsOption = Annotated[
    str | None,
    typer.Option("--labels", help="For a folder that PEFT saved: class names A,B,... in the order of their numbers."),
]

BaseOption = Annotated[
    str | None, typer.Option("--base", metavar="FOLDER", help="For a folder that PEFT saved: folder of the base model.")
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", help="For a folder that PEFT saved: single-label, or multi-label if a text may have several labels."
    ),
]
JoinOption = Annotated[
    str | None, typer.Option("--join", help="For a folder that PEFT saved: pair if its inputs are pairs of texts.")
]


def peft_options(labels: str | None, base: str | None, task: str | None, join: str | None) -> PeftOptions:
    """The checked options for a folder that PEFT saved; ``labels`` is a text such as ``A,B,C``.

    Raises UserError if an option has a wrong value.
    """
    from featherweight.adapter.peft.given import PeftOptions

    names = tuple(name.strip() for name in labels.split(",")) if labels else ()
    return PeftOptions(names, base, task, join).checked("--")


def notes_on(run: str, given: PeftOptions) -> tuple[str, ...]:
    """Notes about the folder ``run`` if PEFT saved it; empty for a run or an export.

    Raises UserError if the folder cannot be read, or if ``given`` has options and PEFT did not save the folder.
    """
    from featherweight.adapter.peft.folder import is_peft_folder, read_peft_folder

    if is_peft_folder(run):
        return read_peft_folder(run, given).notes
    refuse_peft_options(run, **vars(given))
    return ()


def refuse_peft_options(run: str, **options: Any) -> None:
    """Raise UserError if one of the ``options``, which are only for folders that PEFT saved, is set.

    If ``run`` is neither a run nor an export, the message says that.
    """
    from featherweight.errors import UserError

    if option := next((name for name, value in options.items() if value), None):
        from featherweight.inference.exported import is_export
        from featherweight.run.folder import Run

        kind = "an export" if is_export(run) else "a run"
        if kind == "a run":
            Run(run)
        raise UserError(f"{run}: is {kind}; --{option} is for folders that PEFT saved; leave the option out")


def refuse_recipe_options(folder: str, **options: Any) -> None:
    """Raise UserError if an option is set that has no effect on a folder that PEFT saved."""
    from featherweight.errors import UserError

    if option := next((name for name, value in options.items() if value), None):
        raise UserError(f"{folder}: --{option} cannot change an adapter that PEFT saved; leave the option out")


def tell(notes: Iterable[str]) -> None:
    """Print each note as one line on standard error; if there are several processes, only the first one prints."""
    from featherweight.environment import is_first_process

    for note in notes if is_first_process() else ():
        print(f"note: {note}", file=sys.stderr)


def require_new_recipe(option: str, out: Path) -> None:
    """Raise UserError unless a recipe can be written to the path ``out``, which was given by ``option``."""
    from featherweight.errors import UserError

    if out.suffix != ".toml":
        raise UserError(f"{option} {out}: a recipe is a TOML file; choose a name that ends in .toml")
    if out.exists():
        raise UserError(f"{option} {out}: exists; choose a new file")
    if not out.parent.is_dir():
        raise UserError(f"{option} {out}: the folder {out.parent} does not exist; create it first")


def load_recipe(
    recipe: str,
    overrides: list[str],
    budget: str | None = None,
    *,
    test: str | None = None,
    text: list[str] | None = None,
    label: list[str] | None = None,
    backbone: str | None = None,
    trains: bool = True,
) -> Recipe:
    """The recipe that ``recipe`` names, with all options applied; if it names a data file, a new recipe for this file.

    For a data file, the choices that were made automatically are printed on standard error; if the recipe is not
    trained (``trains``), only those about the data. Raises UserError if the recipe, the data file or an option is
    wrong.
    """
    from featherweight.backbone.known_configs import refuse_backbone
    from featherweight.recipe import Recipe
    from featherweight.recipe.loading import is_recipe
    from featherweight.recipe.overrides import option_overrides

    options = option_overrides(test=test, text=text, label=label, budget=budget, backbone=backbone)
    if is_recipe(recipe):
        refuse_backbone(recipe)
        return Recipe.load(recipe, [*options, *overrides])

    from featherweight.workflows.own_data import draft_recipe

    draft = draft_recipe(recipe, [*options, *overrides], trains=trains)
    tell(draft.notes if trains else draft.notes[:1])
    return draft.recipe
