"""What the rest of the package asks of a task. Losses, which take PyTorch, are in ``loss``."""

from __future__ import annotations

from typing import Protocol

from featherweight.recipe import Recipe
from featherweight.task.single_label import Floats, Labels, SingleLabel


class Task(Protocol):
    """From logits to what a user reads. All arrays have a row a text and a column a class."""

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> Floats:
        """Probability of each class, [rows, classes], from logits divided by ``temperature``."""

    def decide(self, scores: Floats) -> Labels:
        """What is predicted, as class numbers [rows], from logits or probabilities [rows, classes]."""

    def confidence(self, probabilities: Floats) -> Floats:
        """Probability of what is predicted, [rows]."""

    def log_losses(self, logits: Floats, labels: Labels) -> Floats:
        """Log loss of each row in nats, [rows]."""


SINGLE_LABEL: Task = SingleLabel()


def task_of(recipe: Recipe) -> Task:
    """The task of a recipe. There is one so far: each text has exactly one label."""
    return SINGLE_LABEL
