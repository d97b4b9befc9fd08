"""The names of a job's classes, where no data need be read for them."""

from __future__ import annotations

from featherweight.data.ag_news import AG_NEWS
from featherweight.recipe import DataRecipe


def label_names_of(data: DataRecipe) -> tuple[str, ...]:
    """Names of the classes in the order of their numbers, at the least cost: often no data is touched.

    The recipe's own, else those that the data set carries, else the sorted label texts of the training rows.
    Raises UserError where the training data must be read and cannot be.
    """
    if data.labels or data.train == "newsbriefs":
        return data.labels or AG_NEWS
    from featherweight.data.sources import training_label_names  # which loads what reads data

    return training_label_names(data)
