"""What the rest of the package asks of a task. Losses, which take PyTorch, are in ``loss``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from featherweight.recipe import Recipe
from featherweight.task.multi_label import MultiLabel
from featherweight.task.single_label import Floats, Labels, SingleLabel


class Task(Protocol):
    """From logits to what a user reads. All arrays have a row a text.

    Labels and decisions are class numbers [rows] where a text has one label, and 0 or 1 [rows, classes] where it may
    have several.
    """

    @property
    def name(self) -> str:
        """As a recipe's ``task`` has it."""

    @property
    def score(self) -> str:
        """Key of the figure by which a training is followed."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The probability from which on a label is given, one a label; empty where the decision needs none."""

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> Floats:
        """Probability of each class, [rows, classes], from logits divided by ``temperature``."""

    def predict(self, logits: Floats, temperature: float = 1.0) -> Labels:
        """What is predicted from logits [rows, classes]."""

    def decide(self, probabilities: Floats) -> Labels:
        """What is predicted from probabilities [rows, classes]."""

    def log_losses(self, logits: Floats, labels: Labels) -> Floats:
        """Log loss of each row in nats, [rows]."""

    def margins(self, probabilities: Floats) -> Floats:
        """How far each row's probabilities are from another decision, [rows]."""

    def right(self, predicted: Labels, labels: Labels) -> NDArray[Any]:
        """Whether a row is predicted right, [rows]."""

    def named(self, labels: Labels, names: Sequence[str]) -> list[Any]:
        """Labels or decisions by the names of their classes: a text a row, or a list of texts."""

    def label_lists(self, labels: Labels, names: Sequence[str]) -> list[list[str]]:
        """The same, always as a list of texts a row."""

    def scores(self, logits: Floats, labels: Labels) -> dict[str, float]:
        """Figures of validation rows during a training, the one called ``score`` first."""

    def fitted(self, logits: Floats, labels: Labels, temperature: float) -> Task:
        """The task with its decision fitted to validation rows."""

    def with_thresholds(self, thresholds: Sequence[float]) -> Task:
        """The task with the decision that an earlier fit found."""


SINGLE_LABEL = SingleLabel()
_TASKS: tuple[Task, ...] = (SINGLE_LABEL, MultiLabel())


def task_of(recipe: Recipe) -> Task:
    """The task of a recipe, its decision not fitted yet."""
    return next(task for task in _TASKS if task.name == recipe.task)
