"""Temperature scaling: one number, fitted on validation rows, that makes probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from featherweight.evaluation.metrics import checked
from featherweight.task.interface import SINGLE_LABEL

# A temperature beyond these says that the validation rows cannot tell, not that the model is a hundred times too sure.
LOWEST, HIGHEST = 0.05, 20.0


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Temperature T for which softmax(logits / T) has the lowest log loss on these rows (Guo et al. 2017).

    ``logits`` [rows, classes] and ``labels`` [rows], of validation rows that were not trained on. The search runs over
    log T between 0.05 and 20. Where every row is right the loss falls for ever as T falls, so these rows say nothing:
    T is 1 then. Raises as ``metrics.checked`` does.
    """
    logits, labels = checked(logits, labels)
    if (SINGLE_LABEL.decide(logits) == labels).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        return float(SINGLE_LABEL.log_losses(logits / np.exp(log_temperature), labels).mean())

    lowest = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(lowest.x))
