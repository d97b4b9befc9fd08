"""Checks the class weights of a recipe against the training rows; it needs no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import UserError
from featherweight.recipe import Recipe


def require_class_weights(recipe: Recipe, counts: NDArray[np.integer]) -> None:
    """Raise UserError unless ``training.class_weights`` has a number for each class, above 0 if the class has rows.

    ``counts`` [classes] are the numbers of training rows of each class. Weights given as a word (``none``,
    ``balanced``) always fit.
    """
    weights, classes = recipe.training.class_weights, "labels" if recipe.task == "multi-label" else "classes"
    if isinstance(weights, str):
        return
    if len(weights) != len(counts):
        difference = f"has {len(weights)} numbers; the data has {len(counts)} {classes}"
        raise UserError(f"training.class_weights {difference}; write {len(counts)} numbers")
    if not all(weights[label] > 0 for label in np.flatnonzero(counts).tolist()):
        raise UserError("training.class_weights: a class with training rows has weight 0; write a number above 0")
