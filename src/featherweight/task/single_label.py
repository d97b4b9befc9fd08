"""Each text has exactly one label: softmax, the most probable class, cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]


def macro_f1(labels: Labels, predicted: Labels) -> float:
    """Macro-F1, the unweighted mean of the classes' F1, as in scikit-learn.

    With one label per text, both arguments are class numbers [rows], and a class that neither contains is left out.
    With several labels per text, both are 0 or 1 [rows, classes], and such a class counts with an F1 of 0.
    """
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted, average="macro", zero_division=0))


class SingleLabel:
    """The task in which the classes exclude each other. Labels are class numbers [rows]."""

    name = "single-label"
    score = "accuracy"
    thresholds: tuple[float, ...] = ()

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> Floats:
        """Softmax over the classes, [rows, classes]; each row adds up to 1."""
        # As scipy.special.softmax, bit for bit, whose import takes a tenth of a prediction's time.
        scaled = logits / temperature
        shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def predict(self, logits: Floats, temperature: float = 1.0) -> Labels:
        """The class with the highest logit, [rows]; the first one if several are equal.

        The temperature does not change it.
        """
        return self.decide(logits)

    def decide(self, probabilities: Floats) -> Labels:
        """The class with the highest probability, [rows]; the first one if several are equal."""
        return probabilities.argmax(axis=1)

    def confidence(self, probabilities: Floats) -> Floats:
        """Probability of the most probable class, [rows]."""
        return probabilities.max(axis=1)

    def log_losses(self, logits: Floats, labels: Labels) -> Floats:
        """Negative log-likelihood of the label of each row, [rows]."""
        from scipy.special import log_softmax

        return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]

    def margins(self, probabilities: Floats) -> Floats:
        """Difference between the two largest probabilities of each row, [rows]."""
        ascending = np.sort(probabilities, axis=1)
        return ascending[:, -1] - ascending[:, -2]

    def right(self, predicted: Labels, labels: Labels) -> NDArray[Any]:
        """Whether the predicted class is the label, [rows]."""
        return predicted == labels

    def named(self, labels: Labels, names: Sequence[str]) -> list[Any]:
        """The name of each row's class."""
        return [names[label] for label in labels.tolist()]

    def label_lists(self, labels: Labels, names: Sequence[str]) -> list[list[str]]:
        """For each row, a list with the name of its class."""
        return [[name] for name in self.named(labels, names)]

    def scores(self, logits: Floats, labels: Labels) -> dict[str, float]:
        """Accuracy and macro-F1."""
        predicted = self.predict(logits)
        return {"accuracy": float(self.right(predicted, labels).mean()), "macro_f1": macro_f1(labels, predicted)}

    def fitted(self, logits: Floats, labels: Labels, temperature: float) -> SingleLabel:
        """The same task: the most probable class needs no fit."""
        return self

    def with_thresholds(self, thresholds: Sequence[float]) -> SingleLabel:
        """The same task: it has no thresholds."""
        return self
