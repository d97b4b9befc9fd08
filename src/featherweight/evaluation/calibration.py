"""Temperature scaling: calibrates probabilities with one number that is fitted on validation rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from featherweight.evaluation.metrics import checked
from featherweight.evaluation.multi_label import checked_several
from featherweight.run.figures import HIGHEST, LOWEST
from featherweight.task.interface import SINGLE_LABEL, Task


def fit_temperature(logits: ArrayLike, labels: ArrayLike, task: Task = SINGLE_LABEL) -> float:
    """The temperature T for which the task's probabilities of logits / T have the lowest log loss (Guo et al. 2017).

    ``logits`` [rows, classes] and ``labels`` are of validation rows that were not trained on. T is searched between
    0.05 and 20, on a logarithmic scale. If every row is predicted correctly, the loss falls without limit as T falls,
    so these rows do not determine T; then the result is 1. Raises the errors of ``metrics.checked``.
    """
    logits, labels = checked(logits, labels) if task is SINGLE_LABEL else checked_several(logits, labels)
    if task.right(task.predict(logits), labels).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        return float(task.log_losses(logits / np.exp(log_temperature), labels).mean())

    lowest = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(lowest.x))
