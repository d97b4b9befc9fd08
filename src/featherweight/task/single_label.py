"""Each text has exactly one label: softmax, the most probable class, cross-entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class SingleLabel:
    """The task in which the classes exclude each other. Labels are class numbers [rows]."""

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> Floats:
        """Softmax over the classes, [rows, classes]; each row adds up to 1."""
        from scipy.special import softmax

        return softmax(logits / temperature, axis=1)

    def decide(self, scores: Floats) -> Labels:
        """The class with the highest score, [rows]; of equal ones the first."""
        return scores.argmax(axis=1)

    def confidence(self, probabilities: Floats) -> Floats:
        """Probability of the most probable class, [rows]."""
        return probabilities.max(axis=1)

    def log_losses(self, logits: Floats, labels: Labels) -> Floats:
        """Negative log-likelihood of the label of each row, [rows]."""
        from scipy.special import log_softmax

        return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
