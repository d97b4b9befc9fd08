"""The names of the classes of a recipe, found without reading data if that is possible."""

from __future__ import annotations

from featherweight.data.ag_news import AG_NEWS
from featherweight.recipe import DataRecipe


def known_label_names(data: DataRecipe) -> tuple[str, ...]:
    """Names of the classes if the recipe or the built-in data set has them; empty if the data must be read."""
    own = data.labels if isinstance(data.label, str) else data.label
    return own or (AG_NEWS if data.train == "newsbriefs" else ())


def label_names_of(data: DataRecipe) -> tuple[str, ...]:
    """Names of the classes in the order of their numbers; the data is read only if that is necessary.

    They are the names in the recipe. If it has none, they are those that the data set has for its class numbers,
    otherwise the sorted label texts of the training rows. Raises UserError if the training data must be read, but
    cannot be read.
    """
    if names := known_label_names(data):
        return names
    from featherweight.data.sources import training_label_names  # imported late, because it imports the readers

    return training_label_names(data)
