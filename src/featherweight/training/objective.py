"""The objective of a training step: the loss of the task, with the terms of R-Drop and distillation if in use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from featherweight.recipe import Recipe
from featherweight.task.kl import kl_from, symmetric_kl
from featherweight.task.loss import Loss, loss_of
from featherweight.task.single_label import Labels


@dataclass(frozen=True)
class Objective:
    """The loss of the task, with R-Drop (Liang et al. 2021) and distillation (Hinton et al. 2015) if in use.

    With R-Drop each row goes through the network twice, with two dropout masks, which gives probabilities p1 and p2.
    The objective is the mean of the two losses plus ``r_drop`` times (KL(p1 || p2) + KL(p2 || p1)) / 2, as in the
    authors' code. Their paper adds the two losses instead; there the same balance needs a weight of 2 * ``r_drop``.
    With the mean, the loss has the same size as without R-Drop, and the same learning rate fits. Class weights do not
    apply to the divergence.

    With teachers, the objective is (1 - w) times the loss of the labels plus w T^2 KL(teacher || network), where w is
    ``teacher_weight`` and T is ``teacher_temperature``. Both probabilities in the divergence come from logits divided
    by T; this makes its gradient about T^2 times smaller, and the factor T^2 makes up for it.
    """

    loss: Loss
    r_drop: float = 0.0
    teacher_weight: float = 0.0
    teacher_temperature: float = 1.0
    several: bool = False
    """Whether a text may have several labels."""

    @property
    def passes(self) -> int:
        """How often each row goes through the network in a step."""
        return 2 if self.r_drop else 1

    def repeated(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """``rows`` once for each forward pass of a step, such as [3, 5] -> [3, 5, 3, 5] for two passes."""
        return np.tile(rows, self.passes)

    def share(
        self, logits: Tensor, labels: Tensor, divisor: Tensor, rows: int, teacher: Tensor | None = None
    ) -> Tensor:
        """The part of a step's objective that comes from one micro-batch; the sum of all parts is the objective.

        ``logits`` and ``labels`` are those of the micro-batch, whose rows are repeated as by ``repeated``. ``divisor``
        is ``Loss.divisor`` of the whole step, and ``rows`` its number of rows. ``teacher`` [rows, classes] are the
        teachers' probabilities for the micro-batch, from logits divided by ``teacher_temperature``.
        """
        loss = self.loss.summed(logits, labels) / divisor
        if teacher is not None:
            divergence = kl_from(teacher, logits / self.teacher_temperature, several=self.several) / rows
            loss = (1 - self.teacher_weight) * loss + self.teacher_weight * self.teacher_temperature**2 * divergence
        if not self.r_drop:
            return loss
        first, second = logits.chunk(2)
        return loss / 2 + self.r_drop * symmetric_kl(first, second, several=self.several) / rows


def objective_of(recipe: Recipe, labels: Labels, classes: int, device: str) -> Objective:
    """What the training of ``recipe`` minimizes, on ``device``; ``labels`` are those of all training rows."""
    loss = loss_of(recipe, labels, classes).to(device)
    training = recipe.training
    return Objective(
        loss, training.r_drop, training.teacher_weight, training.teacher_temperature, recipe.task == "multi-label"
    )
