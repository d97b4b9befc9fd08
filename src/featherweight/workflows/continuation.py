"""Trains a finished run further: a new run starts with its recipe, its classes and its adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.data.class_names import label_names_of
from featherweight.data.new_columns import with_new_columns
from featherweight.environment import quick_imports
from featherweight.errors import UserError
from featherweight.files import expanded
from featherweight.formatting import listed
from featherweight.hints import to_resume
from featherweight.recipe import Recipe
from featherweight.run.folder import Run, refuse_adapter, refuse_export

if TYPE_CHECKING:
    from featherweight.backbone.resolve import Backbone
    from featherweight.model.network import Network


def recipe_from(
    run: str | Path, recipe: Recipe | None = None, overrides: Sequence[str] = (), *, data: str | None = None
) -> Recipe:
    """``recipe``, or the recipe of ``run``, with the adapter of ``run`` as its start.

    Without a ``recipe`` the new training has the settings of ``run``: ``data`` replaces the training rows, and
    ``overrides`` change any other key. Raises UserError if ``run`` is not a finished run, or if a file of ``data``
    lacks its columns.
    """
    parent = finished(run)
    if data is not None:
        overrides = [f"data.train={json.dumps(data, ensure_ascii=False)}", *overrides]
    # The recipe of a soup becomes that of a training.
    plain = ["training.soup=[]", "training.soup_choice=all", "description="] if parent.recipe.training.soup else []
    # Not the file itself: the rows that the run keeps may lie elsewhere now.
    values = _without_found_classes(parent).model_dump(mode="json", exclude_none=True)
    chosen = recipe or Recipe.parse(values, str(parent.folder / "recipe.toml"), [*plain, *overrides])
    if data is not None and expanded(data).is_file():
        with_new_columns(chosen.data, data, labelled=True, split="train")  # its message has the option to type
    adapter: dict[str, object] = {"start_from": str(parent.folder.resolve())}
    if chosen.adapter.lora == "auto":
        adapter["lora"] = parent.recipe.adapter.model_dump(mode="json", exclude_none=True)["lora"]
    return chosen.with_values(adapter=adapter)


def starts_of(recipe: Recipe) -> Iterator[Run]:
    """Yield the run that ``recipe`` starts from, then the run that this one started from, and so on.

    A soup starts from what all of its runs started from. Raises UserError if such a folder is not a run any more.
    """
    seen = set[str]()
    while (start := _start_of(recipe)) is not None and start not in seen:
        seen.add(start)
        run = Run(start)
        yield run
        recipe = run.recipe


def _start_of(recipe: Recipe) -> str | None:
    of_one = Run(recipe.training.soup[0]).recipe if recipe.training.soup else recipe
    return of_one.adapter.start_from


def _without_found_classes(run: Run) -> Recipe:
    """The recipe of ``run``, without the classes that ``with_classes_of_the_start`` listed in it.

    They are not the user's own list: new rows may add classes to them.
    """
    recipe = run.recipe
    try:
        first = [run, *starts_of(recipe)][-1]
    except UserError:  # an earlier run is gone, and whose list it is cannot be told
        return recipe
    own = first.recipe.data.labels
    return recipe if own else recipe.with_values(data={"labels": []}, description=recipe.description)


def finished(run: str | Path) -> Run:
    """The run in the folder ``run``. Raises UserError if the folder has no run, or an incomplete one."""
    refuse_export(run)
    parent = Run(run)
    refuse_adapter(run)
    if not parent.complete:
        raise UserError(f"{run}: is not complete; to resume it: {to_resume(Path(run))}")
    return parent


def require_same_start(recipe: Recipe, backbone: Backbone) -> None:
    """Raise UserError if ``recipe`` starts from a run whose adapter does not fit the network of ``recipe``."""
    if recipe.adapter.start_from is not None:
        with quick_imports():
            from featherweight.adapter.start import require_same_adapter

        require_same_adapter(recipe, finished(recipe.adapter.start_from), backbone)


def begin_with_the_start(network: Network, recipe: Recipe) -> str:
    """Load the adapter of the run that ``recipe`` starts from into ``network``, and return a note for the user.

    Before, ``require_same_start`` must have checked that this adapter fits the network.
    """
    from featherweight.adapter.start import start_from

    assert recipe.adapter.start_from is not None
    run = finished(recipe.adapter.start_from)
    new = start_from(network, run)
    added = f"; new classes, whose rows of the head are trained from scratch: {listed(new)}" if new else ""
    return f"starts from the adapter of {run.folder}{added}"


def with_classes_of_the_start(recipe: Recipe) -> Recipe:
    """``recipe`` with the classes of the run that it starts from, in the order of that run, followed by new classes.

    A recipe that does not start from a run is returned unchanged. Raises UserError if the recipe lists its classes and
    a class of the run is missing: the weights of the head for that class would be lost.
    """
    if recipe.adapter.start_from is None:
        return recipe
    from featherweight.adapter.storage import read_description

    run = finished(expanded(recipe.adapter.start_from))
    known = tuple(read_description(run.adapter)["labels"])
    names = label_names_of(recipe.data)
    key = "labels" if recipe.data.labels else "label" if len(recipe.data.label_columns) > 1 else None
    if key and (lost := [name for name in known if name not in names]):
        start_of = f"{run.folder}, whose adapter this training starts from"
        raise UserError(f"data.{key}: the class {lost[0]!r} is missing; add it, because it is a class of {start_of}")
    start = {"start_from": str(run.folder.resolve())}
    if key == "label":  # the columns are the classes, and the rows of the head are assigned by name
        return recipe.with_values(adapter=start)
    labels = [*known, *(name for name in names if name not in known)]
    return recipe.with_values(data={"labels": labels}, adapter=start)
