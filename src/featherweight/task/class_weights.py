"""Checks the class weights of a recipe against the training rows, without importing torch, which takes seconds."""

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
    for label in np.flatnonzero(counts).tolist():
        if not weights[label] > 0:
            problem = f"number {label + 1} is {weights[label]:g}, but its class has training rows"
            raise UserError(f"training.class_weights: {problem}; write a number above 0")
