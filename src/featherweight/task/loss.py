"""The loss of a task: cross-entropy, or binary cross-entropy if a text may have several labels.

The loss of a batch is a sum over rows, not a mean. So the losses of a step's micro-batches add up to the loss of the
step, which is divided only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featherweight.recipe import Recipe
from featherweight.task.class_weights import require_class_weights
from featherweight.task.single_label import Labels


class Loss(Protocol):
    """The loss that a training minimizes, with the class weights. ``labels`` and ``logits`` are those of a batch."""

    def to(self, device: str) -> Loss:
        """The same loss with its weights on ``device``."""

    def divisor(self, labels: Tensor) -> Tensor:
        """The number by which the summed loss of a step is divided; ``labels`` are those of all rows of the step."""

    def summed(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss summed over a batch; ``logits`` are [rows, classes]."""

    def counts(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The k counts of a batch from which ``score`` is computed, int64 [k], such as [number of correct rows].

        The counts of several batches can be added.
        """

    def score(self, counts: Sequence[float], rows: int) -> float:
        """Accuracy or micro-F1 of a step, from its number of ``rows`` and the sum of its batches' ``counts``."""

    def of_all(self, logits: np.ndarray, labels: Labels) -> float:
        """Mean loss over all rows, in float64, without class weights and label smoothing."""


def loss_of(recipe: Recipe, labels: Labels, classes: int) -> Loss:
    """The loss of a recipe for training rows with these ``labels``. Raises UserError for wrong class weights."""
    smoothing = recipe.training.label_smoothing
    if recipe.task == "multi-label":
        return BinaryCrossEntropy(positive_weights(recipe, labels), smoothing)
    return CrossEntropy(class_weights(recipe, labels, classes), smoothing)


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy for one label per text; ``labels`` are class numbers [rows]."""

    weights: Tensor
    smoothing: float = 0.0

    def to(self, device: str) -> CrossEntropy:
        """The same loss with its weights on ``device``."""
        return replace(self, weights=self.weights.to(device))

    def divisor(self, labels: Tensor) -> Tensor:
        """The sum of the rows' weights; the weight of a row is that of its class."""
        return self.weights[labels].sum()

    def summed(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted cross-entropy, summed over the rows."""
        return summed_loss(logits, labels, self.weights, self.smoothing)

    def counts(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The number of rows that are predicted correctly, int64 [1]."""
        return (logits.argmax(-1) == labels).sum()[None]

    def score(self, counts: Sequence[float], rows: int) -> float:
        """The accuracy."""
        return counts[0] / rows

    def of_all(self, logits: np.ndarray, labels: Labels) -> float:
        """Mean loss over all rows, in float64, without class weights and label smoothing."""
        return float(functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Binary cross-entropy for several labels per text: the mean over all labels, as in BCEWithLogitsLoss.

    ``labels`` are 0 or 1, [rows, labels]. Label smoothing moves a target towards one half.
    """

    positive: Tensor
    """For each label, the weight of its loss on rows that have it, [labels]."""
    smoothing: float = 0.0

    def to(self, device: str) -> BinaryCrossEntropy:
        """The same loss with its weights on ``device``."""
        return replace(self, positive=self.positive.to(device))

    def divisor(self, labels: Tensor) -> Tensor:
        """The number of elements of ``labels`` (rows times labels); class weights do not change it."""
        return torch.full((), float(labels.numel()), device=labels.device)

    def summed(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Sum of the binary cross-entropy over rows and labels."""
        target = labels * (1 - self.smoothing) + self.smoothing / 2
        of_each = functional.binary_cross_entropy_with_logits(
            logits.float(), target.float(), pos_weight=self.positive, reduction="none"
        )
        return of_each.sum()

    def counts(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The number of true positives, and the number of predicted plus true labels, int64 [2].

        A label is predicted if its probability is above 0.5. Micro-F1 is twice the first number divided by the second.
        """
        predicted = logits > 0
        return torch.stack([(predicted & labels.bool()).sum(), predicted.sum() + labels.sum()])

    def score(self, counts: Sequence[float], rows: int) -> float:
        """Micro-F1 of a step, from the sum of its batches' ``counts``; 1 if no label is true or predicted."""
        return 2 * counts[0] / counts[1] if counts[1] else 1.0

    def of_all(self, logits: np.ndarray, labels: Labels) -> float:
        """Mean loss over all rows, in float64, without class weights and label smoothing."""
        target = torch.from_numpy(labels.astype(np.float64))
        return float(functional.binary_cross_entropy_with_logits(torch.from_numpy(logits), target))


def class_weights(recipe: Recipe, labels: Labels, classes: int) -> Tensor:
    """Weights of the classes, float32 [classes].

    ``balanced`` gives rows / (classes * rows of the class), as in scikit-learn.

    Raises UserError if the recipe has another number of weights than ``classes``, or 0 for a class with rows.
    """
    chosen = recipe.training.class_weights
    if chosen == "none":
        return torch.ones(classes)
    if chosen == "balanced":
        counts = np.bincount(labels, minlength=classes).clip(min=1)
        return torch.from_numpy(len(labels) / (classes * counts)).float()
    require_class_weights(recipe, np.bincount(labels, minlength=classes))
    return torch.tensor(chosen, dtype=torch.float32)


def positive_weights(recipe: Recipe, labels: Labels) -> Tensor:
    """For each label, the weight of its loss on rows that have it (``pos_weight`` in PyTorch), float32 [labels].

    ``balanced`` gives (rows without the label) / (rows with the label).

    Raises UserError if the recipe has another number of weights than labels, or 0 for a label that rows have.
    """
    chosen = recipe.training.class_weights
    rows, counts = len(labels), labels.sum(axis=0, dtype=np.int64)
    if chosen == "none":
        return torch.ones(len(counts))
    if chosen == "balanced":
        return torch.from_numpy((rows - counts).clip(min=1) / counts.clip(min=1)).float()
    require_class_weights(recipe, counts)
    return torch.tensor(chosen, dtype=torch.float32)


def summed_loss(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Weighted cross-entropy, summed over the batch. The caller divides it by the sum of the rows' weights."""
    return functional.cross_entropy(logits.float(), labels, weight=weights, label_smoothing=smoothing, reduction="sum")
