"""The interface of a task for the rest of the package. Losses, which need PyTorch, are in ``loss.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from featherweight.recipe import Recipe
from featherweight.task.multi_label import MultiLabel
from featherweight.task.single_label import Floats, Labels, SingleLabel


class Task(Protocol):
    """Converts logits to probabilities, decisions and scores. All arrays have one row per text.

    Labels and decisions are class numbers [rows] if a text has one label, and 0 or 1 [rows, classes] if it may have
    several.
    """

    @property
    def name(self) -> str:
        """The value of ``task`` in a recipe."""

    @property
    def score(self) -> str:
        """Key of the metric that is shown during a training, such as ``accuracy``."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The minimum probability to predict each label; empty if the decision needs no thresholds."""

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> Floats:
        """Probability of each class, [rows, classes], from logits divided by ``temperature``."""

    def predict(self, logits: Floats, temperature: float = 1.0) -> Labels:
        """The predicted labels from ``logits`` [rows, classes]: class numbers [rows], or 0 and 1 [rows, classes]."""

    def decide(self, probabilities: Floats) -> Labels:
        """The predicted labels from ``probabilities`` [rows, classes], in the form that ``predict`` returns."""

    def log_losses(self, logits: Floats, labels: Labels) -> Floats:
        """Log loss of each row in nats, [rows]."""

    def margins(self, probabilities: Floats) -> Floats:
        """How clear the decision of each row is, [rows]; 0 if the slightest change of a probability changes it."""

    def right(self, predicted: Labels, labels: Labels) -> NDArray[Any]:
        """Whether the prediction for each row is correct, [rows]."""

    def named(self, labels: Labels, names: Sequence[str]) -> list[Any]:
        """``labels``, true or predicted, as class names: one per row, or a list per row if there may be several."""

    def label_lists(self, labels: Labels, names: Sequence[str]) -> list[list[str]]:
        """``labels``, true or predicted, as one list of class names per row, also with one label per text."""

    def scores(self, logits: Floats, labels: Labels) -> dict[str, float]:
        """Metrics of validation rows during a training, such as {"accuracy": 0.91, "macro_f1": 0.9}.

        The first key is the property ``score``.
        """

    def fitted(self, logits: Floats, labels: Labels, temperature: float) -> Task:
        """The task with thresholds fitted on validation rows; unchanged if it uses none.

        The thresholds apply to the probabilities that belong to ``logits`` divided by ``temperature``.
        """

    def with_thresholds(self, thresholds: Sequence[float]) -> Task:
        """The task with these ``thresholds``, one per label, which ``fitted`` found earlier."""


SINGLE_LABEL = SingleLabel()
_TASKS: tuple[Task, ...] = (SINGLE_LABEL, MultiLabel())


def task_of(recipe: Recipe) -> Task:
    """The task of a recipe. With several labels per text, the decision threshold of each label is the default, 0.5."""
    return next(task for task in _TASKS if task.name == recipe.task)
