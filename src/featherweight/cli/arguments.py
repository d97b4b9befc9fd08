"""Arguments and options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from featherweight.adapter.peft.given import PeftOptions
    from featherweight.recipe import Recipe

TestOption = Annotated[str | None, typer.Option("--test", help="Test rows, evaluated once, at the end.")]
TextOption = Annotated[
    list[str] | None, typer.Option("--text", metavar="COLUMN", help="The column of the texts; several are joined.")
]
LabelColumnsOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="COLUMN", help="The column of the labels; repeat it for a column for each label."),
]
BackboneOption = Annotated[
    str | None, typer.Option("--backbone", help="Hub name, local folder, or an installed minilm or mpnet.")
]
SetOption = Annotated[
    list[str],
    typer.Option("--set", help="Change a key: section.key=value, such as training.learning_rate=3e-4; repeatable."),
]
BudgetOption = Annotated[
    str | None, typer.Option("--budget", help="Maximum number of trainable parameters: 1000000, 100k or 1M.")
]
RunArgument = Annotated[str, typer.Argument(help="A run folder, such as runs/newsbriefs.")]
ClassifierArgument = Annotated[
    str, typer.Argument(help="A run folder, such as runs/newsbriefs, an export, or a folder that PEFT saved.")
]
LabelsOption = Annotated[
    str | None,
    typer.Option("--labels", help="Class names in the order of their numbers, A,B,...: for a folder that PEFT saved."),
]

BaseOption = Annotated[
    str | None, typer.Option("--base", metavar="FOLDER", help="Folder of the base model: for a folder that PEFT saved.")
]
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task", help="multi-label if a text may have several labels (or single-label): for a folder that PEFT saved."
    ),
]
JoinOption = Annotated[
    str | None, typer.Option("--join", help="pair if the texts are pairs: for a folder that PEFT saved.")
]


def peft_options(labels: str | None, base: str | None, task: str | None, join: str | None) -> PeftOptions:
    """The options for a folder that PEFT saved; the class names are a text ``A,B,...``. Raises UserError."""
    from featherweight.adapter.peft.given import PeftOptions

    names = tuple(name.strip() for name in labels.split(",")) if labels else ()
    return PeftOptions(names, base, task, join).checked("--")


def notes_on(run: str, given: PeftOptions) -> tuple[str, ...]:
    """Notes about a folder that PEFT saved; empty for a run. Raises UserError if the folder cannot be read."""
    from featherweight.adapter.peft.folder import is_peft_folder, read_peft_folder

    if is_peft_folder(run):
        return read_peft_folder(run, given).notes
    refuse_peft_options(run, **vars(given))
    return ()


def refuse_peft_options(run: str, **options: Any) -> None:
    """Raise UserError if one of the ``options``, which are only for folders that PEFT saved, is set."""
    from featherweight.errors import UserError

    if option := next((name for name, value in options.items() if value), None):
        from featherweight.inference.exported import is_export

        kind = "an export" if is_export(run) else "a run"
        raise UserError(f"{run}: is {kind}; --{option} is for folders that PEFT saved: leave it out")


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


def load_recipe(
    recipe: str,
    overrides: list[str],
    budget: str | None = None,
    *,
    test: str | None = None,
    text: list[str] | None = None,
    label: list[str] | None = None,
    backbone: str | None = None,
) -> Recipe:
    """The recipe that the arguments name, or a new recipe for the data that they name, with all options applied.

    For data, the choices are printed on standard error. Raises UserError.
    """
    from featherweight.recipe import Recipe
    from featherweight.recipe.loading import is_recipe
    from featherweight.recipe.overrides import option_overrides

    options = option_overrides(test=test, text=text, label=label, budget=budget, backbone=backbone)
    if is_recipe(recipe):
        return Recipe.load(recipe, [*options, *overrides])

    from featherweight.workflows.own_data import draft_recipe

    draft = draft_recipe(recipe, [*options, *overrides])
    tell(draft.notes)
    return draft.recipe
