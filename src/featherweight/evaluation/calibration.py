"""Temperature scaling: one number, fitted on validation rows, that makes probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from featherweight.evaluation.metrics import checked
from featherweight.evaluation.multi_label import checked_several
from featherweight.task.interface import SINGLE_LABEL, Task

# A temperature beyond these says that the validation rows cannot tell, not that the model is a hundred times too sure.
LOWEST, HIGHEST = 0.05, 20.0


def fit_temperature(logits: ArrayLike, labels: ArrayLike, task: Task = SINGLE_LABEL) -> float:
    """Temperature T for which the task's probabilities of logits / T have the lowest log loss (Guo et al. 2017).

    ``logits`` [rows, classes] and ``labels`` of validation rows that were not trained on. The search runs over
    log T between 0.05 and 20. Where every row is right the loss falls for ever as T falls, so these rows say nothing:
    T is 1 then. Raises as ``metrics.checked`` does.
    """
    logits, labels = checked(logits, labels) if task is SINGLE_LABEL else checked_several(logits, labels)
    if task.right(task.predict(logits), labels).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        return float(task.log_losses(logits / np.exp(log_temperature), labels).mean())

    lowest = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(lowest.x))
