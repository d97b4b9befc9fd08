"""Finds the class names of a recipe, without reading its data if that is possible."""

from __future__ import annotations

from featherweight.data.ag_news import AG_NEWS
from featherweight.recipe import DataRecipe


def known_label_names(data: DataRecipe) -> tuple[str, ...]:
    """Class names that the recipe or the built-in data set defines; empty if the data must be read to find them."""
    own = data.labels if isinstance(data.label, str) else data.label
    return own or (AG_NEWS if data.train == "newsbriefs" else ())


def label_names_of(data: DataRecipe) -> tuple[str, ...]:
    """Names of the classes in the order of their numbers; the data is read only if that is necessary.

    The names are those in the recipe, else those that the data set itself has for its class numbers, else the sorted
    label texts of the training rows. Raises UserError if the training data must be read, but
    cannot be read.
    """
    if names := known_label_names(data):
        return names
    from featherweight.data.sources import training_label_names  # imported late, because it imports the readers

    return training_label_names(data)
