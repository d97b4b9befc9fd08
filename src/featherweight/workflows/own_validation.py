"""Chooses the validation rows for data: their own validation part, or a part of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featherweight.data.part_columns import require_training_texts
from featherweight.data.source_tables import has_split, open_table
from featherweight.data.unlabelled import without_labels
from featherweight.errors import in_a_line
from featherweight.recipe import Recipe
from featherweight.workflows.schedule import validation_size_for


def own_validation(
    recipe: Recipe, rows: int, names: Sequence[str], *, several: bool, sized: bool = False
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """``validation`` or ``validation_size`` for [data] of ``recipe``, and a note if its validation part is left out.

    ``rows`` is the number of training rows, ``names`` are the classes; ``several`` if a text may have several of them,
    ``sized`` if the user chose the number of validation rows.
    """
    notes: tuple[str, ...] = ()
    if has_split(recipe.data, "validation"):
        why = _why_unused(recipe, names, sized)
        if why is None:
            return {"validation": recipe.data.train}, notes
        notes = (f"{why}: it is left out; validation rows are split off the training rows",)
    return {"validation_size": validation_size_for(rows, len(names), several=several)}, notes


def _why_unused(recipe: Recipe, names: Sequence[str], sized: bool) -> str | None:
    """A clause that says why the validation part of the data is not used; None if it is used."""
    data = recipe.data
    if sized:
        return f"{short_name(data.train)} has a validation part, but data.validation_size is set"
    table = open_table(data.train, data, "validation")
    require_training_texts(table, data)
    return without_labels(table, data, names)


def short_name(source: str) -> str:
    """The short name of a data source: for a file, the file name without its folder."""
    return in_a_line(Path(source).name or source)
