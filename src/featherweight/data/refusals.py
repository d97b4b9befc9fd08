"""Collects all errors that a training would raise for its data; the training itself stops at the first error."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from featherweight.data import splits
from featherweight.data.dropping import without_dropped
from featherweight.data.sources import Rows, read_rows
from featherweight.data.used_classes import require_classes
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe

Read = TypeVar("Read")


def refusals(recipe: Recipe) -> list[str]:
    """The errors that a training would raise for the data of ``recipe``: one message per part of the data and cause."""
    found: list[str] = []
    data = recipe.data

    def tried(read: Callable[[], Read]) -> Read | None:
        try:
            return read()
        except UserError as error:
            if str(error) not in found:
                found.append(str(error))
            return None

    def without_gaps(read: Callable[[DataRecipe], Read]) -> Read | None:
        """The result of ``read``; after a UserError, it is called again without the rows that lack a text or label."""
        rest = tried(lambda: read(data))
        if rest is None and data.empty == "error":
            rest = tried(lambda: read(data.model_copy(update={"empty": "drop"})))
        return rest

    train = without_gaps(lambda data: read_rows(data.train, data))
    if train is not None:
        names = train.label_names
        tried(partial(require_classes, train, recipe))
        tried(partial(_require_split, train, recipe))
        without_gaps(lambda data: splits.test_rows(data, names))
        if data.validation is not None:
            without_gaps(lambda data: splits.validation_rows(data, str(data.validation), names))
        for source in recipe.evaluation.shift:
            tried(partial(splits.load_part, recipe, source, names))
    return found


def _require_split(train: Rows, recipe: Recipe) -> None:
    data = recipe.data
    if data.validation is None:
        train, _ = splits.split_off(train, data.validation_size, recipe.seed)
    train, _ = without_dropped(train, data.drop)
    splits.sample(train, data.train_rows, recipe.seed)
