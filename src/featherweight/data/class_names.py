"""The names of a job's classes, where no data need be read for them."""

from __future__ import annotations

from featherweight.data.ag_news import AG_NEWS
from featherweight.recipe import DataRecipe


def known_label_names(data: DataRecipe) -> tuple[str, ...]:
    """Names of the classes where the recipe or the built-in data set has them; empty where the data must be read."""
    own = data.labels if isinstance(data.label, str) else data.label
    return own or (AG_NEWS if data.train == "newsbriefs" else ())


def label_names_of(data: DataRecipe) -> tuple[str, ...]:
    """Names of the classes in the order of their numbers, at the least cost: often no data is touched.

    The recipe's own, else those that the data set carries, else the sorted label texts of the training rows.
    Raises UserError where the training data must be read and cannot be.
    """
    if names := known_label_names(data):
        return names
    from featherweight.data.sources import training_label_names  # which loads what reads data

    return training_label_names(data)
