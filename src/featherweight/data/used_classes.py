"""Checks that the training rows have each of the classes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from featherweight.errors import UserError
from featherweight.hints import option, to_set
from featherweight.recipe import DataRecipe, Recipe

if TYPE_CHECKING:
    from featherweight.data.sources import Rows


def require_classes(rows: Rows, recipe: Recipe) -> None:
    """Raise UserError if the training ``rows`` of ``recipe`` have only one class, or if a listed class has no row."""
    counts = rows.counts
    if (counts > 0).sum() < 2:
        raise only_one_class(rows.origin, rows.label_names[int(counts.argmax())])
    if not counts.all():
        missing = rows.label_names[int(counts.argmin())]
        start, remedy = recipe.adapter.start_from, _to_leave_out_unused(rows, recipe.data)
        kept = f", if it is not a class of {start}, which this training starts from," if start else ""
        raise UserError(f"{rows.origin}: no training row has the label {missing!r}; add such rows, or{kept} {remedy}")


def only_one_class(origin: str, label: str) -> UserError:
    """The error for training rows that all have the same ``label``; ``origin`` names them."""
    return UserError(f"{origin}: every training row has the label {label!r}; a classifier needs two classes")


def _to_leave_out_unused(rows: Rows, data: DataRecipe) -> str:
    """How to leave the classes without a row out, for a message."""
    used = [name for name, count in zip(rows.label_names, rows.counts.tolist(), strict=True) if count]
    if len(data.label_columns) > 1:
        return f"name only the columns of labels that occur: {option('label', used)}"
    if data.labels:
        return "remove it from data.labels"
    return f"list only the labels that occur: {to_set(f'data.labels={json.dumps(used, ensure_ascii=False)}')}"
