"""Which evaluation of a training is the best one, by the recipe's ``evaluation.best_by``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featherweight.run.figures import METRICS, Metric

Rank = tuple[float, float]
"""The figure that decides and the one that breaks ties, both higher for the better evaluation."""


def rank(record: Mapping[str, Any], best_by: str) -> Rank:
    """The rank of an evaluation with ``accuracy``, ``macro_f1`` and ``loss`` (log loss in nats).

    Of equal accuracies or macro-F1s the lower loss is better, of equal losses the higher accuracy.
    """
    loss = -float(record["loss"])
    return (loss, float(record["accuracy"])) if best_by == "log_loss" else (float(record[best_by]), loss)


def metric_of(best_by: str) -> Metric:
    """The metric that decides, with its name and format."""
    return next(metric for metric in METRICS if metric.key == best_by)
