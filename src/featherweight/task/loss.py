"""The loss of a task on tensors: cross-entropy with class weights and label smoothing.

It is summed over the rows, so that any split of a step adds up to the same.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featherweight.errors import UserError
from featherweight.recipe import Recipe


def class_weights(recipe: Recipe, labels: np.ndarray, classes: int) -> Tensor:
    """Weights of the classes, float32 [classes]; ``balanced`` as scikit-learn's: rows / (classes * rows of the class).

    Raises UserError where the recipe gives another number of weights than there are classes.
    """
    chosen = recipe.training.class_weights
    if chosen == "none":
        return torch.ones(classes)
    if chosen == "balanced":
        counts = np.bincount(labels, minlength=classes).clip(min=1)
        return torch.from_numpy(len(labels) / (classes * counts)).float()
    if len(chosen) != classes:
        raise UserError(f"training.class_weights has {len(chosen)} numbers; the data has {classes} classes")
    if not all(chosen[label] > 0 for label in np.unique(labels)):
        raise UserError("training.class_weights: the weight of a class that has training rows must be above 0")
    return torch.tensor(chosen, dtype=torch.float32)


def summed_loss(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Sum over the batch of the weighted cross-entropy, to be divided by the sum of the rows' weights."""
    return functional.cross_entropy(logits.float(), labels, weight=weights, label_smoothing=smoothing, reduction="sum")


def count_correct(logits: Tensor, labels: Tensor) -> int:
    """How many rows of ``logits`` [rows, classes] are predicted as ``labels`` [rows] say."""
    return int((logits.argmax(-1) == labels).sum())


def evaluation_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy over all rows, in float64, without weights and smoothing."""
    return float(functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))
