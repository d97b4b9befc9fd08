"""What a training step minimises: the loss of the task, and what the recipe adds to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from featherweight.recipe import Recipe
from featherweight.task.kl import symmetric_kl
from featherweight.task.loss import Loss, loss_of
from featherweight.task.single_label import Labels


@dataclass(frozen=True)
class Objective:
    """The loss of the task, with R-Drop (Liang et al. 2021) if the recipe uses it.

    With R-Drop each row goes through the network twice, with two dropout masks. The objective is the mean of both
    cross-entropies plus ``r_drop`` times (KL(p1 || p2) + KL(p2 || p1)) / 2, as in the authors' code. Their paper adds
    the cross-entropies up, so its weight of the divergence is twice ``r_drop``. With the mean, the loss has the same
    size as without R-Drop, and learning rates carry over. Class weights weigh labels, so the divergence has none.
    """

    loss: Loss
    r_drop: float = 0.0
    several: bool = False
    """Whether a text may have several labels."""

    @property
    def passes(self) -> int:
        """How often each row goes through the network in a step."""
        return 2 if self.r_drop else 1

    def repeated(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """``rows`` for a forward pass: all of them once for each pass, one pass after the other."""
        return np.tile(rows, self.passes)

    def share(self, logits: Tensor, labels: Tensor, divisor: Tensor, rows: int) -> Tensor:
        """The part of a step's objective that comes from a micro-batch of ``repeated`` rows.

        ``divisor`` is ``Loss.divisor`` of all ``rows`` of the step.
        """
        loss = self.loss.summed(logits, labels) / divisor
        if not self.r_drop:
            return loss
        first, second = logits.chunk(2)
        return loss / 2 + self.r_drop * symmetric_kl(first, second, several=self.several) / rows


def objective_of(recipe: Recipe, labels: Labels, classes: int, device: str) -> Objective:
    """The objective of a recipe for training rows with these ``labels``, on ``device``."""
    loss = loss_of(recipe, labels, classes).to(device)
    return Objective(loss, recipe.training.r_drop, recipe.task == "multi-label")
