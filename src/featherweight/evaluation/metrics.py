"""Evaluates logits: metrics, confidence interval, metrics per class, calibration, and the most confident errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from featherweight.errors import UserError
from featherweight.hints import steadier
from featherweight.run.figures import METRICS
from featherweight.task.interface import SINGLE_LABEL
from featherweight.task.single_label import Floats, Labels, macro_f1


def evaluate(
    logits: ArrayLike, labels: ArrayLike, label_names: Sequence[str], *, temperature: float = 1.0, bins: int = 15
) -> dict[str, Any]:
    """The evaluation of one set, ready for JSON: the metrics of ``run/figures.py``, and what the report shows of them.

    The latter are the metrics of each class, the confusion matrix and the reliability diagrams. ``logits`` are [rows,
    classes], ``labels`` [rows] are class numbers. Fractions and probabilities are between 0 and 1, log losses are in
    nats. Keys that end in ``_scaled`` are computed from the logits divided by ``temperature``. Macro-F1 is the mean
    over the classes that occur among the labels or the predictions, as in scikit-learn. Raises UserError if a logit is
    not finite, ValueError if shapes or labels do not fit.
    """
    logits, labels = checked(logits, labels, len(label_names))
    predicted, classes = SINGLE_LABEL.decide(logits), range(len(label_names))
    before, after = SINGLE_LABEL.probabilities(logits), SINGLE_LABEL.probabilities(logits, temperature)
    bins_before, bins_after = reliability(before, labels, bins), reliability(after, labels, bins)
    plain, scaled = Scored(labels, predicted, before, bins_before), Scored(labels, predicted, after, bins_after)
    metrics = {
        key: COMPUTED[metric.key](scored)
        for metric in METRICS
        for key, scored in zip(metric.keys, (plain, scaled), strict=False)
    }
    return {
        "rows": len(labels),
        "accuracy": metrics.pop("accuracy"),
        "accuracy_interval": wilson_interval(int((predicted == labels).sum()), len(labels)),
        "macro_f1": metrics.pop("macro_f1"),
        "per_class": per_class(labels, predicted, label_names),
        "confusion_matrix": confusion_matrix(labels, predicted, labels=classes).tolist(),
        **metrics,
        "temperature": float(temperature),
        "reliability": bins_before,
        "reliability_scaled": bins_after,
    }


@dataclass(frozen=True)
class Scored:
    """The predictions and labels of one set, from which the metrics are computed."""

    labels: Labels
    """Class numbers [rows]."""
    predicted: Labels
    """Predicted class numbers [rows], from the logits: two classes may have the same rounded probability."""
    probabilities: Floats
    """Probabilities [rows, classes]."""
    bins: Sequence[dict[str, Any]]
    """The reliability diagram."""


COMPUTED: dict[str, Callable[[Scored], float]] = {
    "accuracy": lambda scored: int((scored.predicted == scored.labels).sum()) / len(scored.labels),
    "macro_f1": lambda scored: macro_f1(scored.labels, scored.predicted),
    "log_loss": lambda scored: float(
        log_loss(scored.labels, scored.probabilities, labels=range(scored.probabilities.shape[1]))
    ),
    "calibration_error": lambda scored: calibration_error(scored.bins),
}
"""The function that computes each metric of ``run.figures.METRICS``, by key."""


def checked(logits: ArrayLike, labels: ArrayLike, classes: int | None = None) -> tuple[Floats, Labels]:
    """``logits`` as float64 [rows, classes] and ``labels`` as int64 [rows].

    Raises ValueError if shapes or labels do not fit, UserError if a logit is not finite.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits {logits.shape} and labels {labels.shape} must be [rows, classes] and [rows]")
    if len(labels) and (labels.min() < 0 or labels.max() >= logits.shape[1]):
        raise ValueError(f"labels must lie between 0 and {logits.shape[1] - 1}")
    return checked_logits(logits, classes), labels


def checked_logits(logits: Floats, classes: int | None = None) -> Floats:
    """``logits`` [rows, classes] unchanged.

    Raises ValueError if there are no rows or not ``classes`` columns, and UserError if a logit is not finite.
    """
    if classes is not None and logits.shape[1] != classes:
        raise ValueError(f"logits have {logits.shape[1]} classes, but there are {classes} label names")
    if not len(logits):
        raise ValueError("there are no rows to evaluate")
    broken = ~np.isfinite(logits).all(axis=1)
    if broken.any():
        raise UserError(
            f"the model's output is not finite for {broken.sum():,} of {len(logits):,} rows: the training diverged\n"
            f"Train again, and {steadier()}"
        )
    return logits


def wilson_interval(right: int, rows: int, confidence: float = 0.95) -> list[float]:
    """Wilson's score interval [low, high] of the proportion ``right`` / ``rows`` (Wilson 1927), computed by SciPy."""
    interval = binomtest(right, rows).proportion_ci(confidence, method="wilson")
    return [float(interval.low), float(interval.high)]


def per_class(labels: Labels, predicted: Labels, label_names: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall, F1 (0 if undefined) and support: one dictionary per class, in the order of ``label_names``.

    Each dictionary also has the 95% intervals of precision, recall and F1 (None if undefined), and the number of rows
    that are ``predicted`` as the class.
    """
    classes = len(label_names)
    figures = precision_recall_fscore_support(labels, predicted, labels=range(classes), zero_division=0)
    right = np.bincount(labels[labels == predicted], minlength=classes)
    answers = np.bincount(predicted, minlength=classes)
    return [
        {"label": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        | {"predicted": int(answers[place]), **class_intervals(int(right[place]), int(n), int(answers[place]))}
        for place, (name, p, r, f, n) in enumerate(zip(label_names, *figures, strict=True))
    ]


def class_intervals(right: int, support: int, predicted: int) -> dict[str, list[float] | None]:
    """95% intervals of the precision, recall and F1 of a class; None if undefined.

    ``support`` rows have the class, ``predicted`` rows are predicted as it, and ``right`` rows are both. Precision and
    recall are proportions and have Wilson's interval. F1 is 2j / (1 + j), where j is ``right`` as a proportion of the
    rows that have the class or are predicted as it (the Jaccard index). F1 rises with j, so its interval is calculated
    from the ends of Wilson's interval for j.
    """
    either = support + predicted - right
    f1 = [2 * j / (1 + j) for j in wilson_interval(right, either)] if either else None
    return {
        "precision_interval": wilson_interval(right, predicted) if predicted else None,
        "recall_interval": wilson_interval(right, support) if support else None,
        "f1_interval": f1,
    }


def reliability(probabilities: Floats, labels: Labels, bins: int = 15) -> list[dict[str, Any]]:
    """The bins of the reliability diagram for the predicted classes of ``probabilities`` [rows, classes]."""
    return reliability_of(SINGLE_LABEL.confidence(probabilities), SINGLE_LABEL.decide(probabilities) == labels, bins)


def reliability_of(confidence: Floats, right: NDArray[np.bool_], bins: int = 15) -> list[dict[str, Any]]:
    """The bins of the reliability diagram (Guo et al. 2017, arXiv 1706.04599, section 2).

    ``confidence`` [answers] is the probability of each answer, ``right`` [answers] whether it is correct. Answers are
    sorted into ``bins`` bins (low, high] of equal width. Each bin has its number of answers (``rows``), their mean
    confidence, their accuracy, and the accuracy's Wilson interval; these three are None if the bin is empty.
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    bin_of_row = np.searchsorted(edges[1:-1], confidence)
    rows = np.bincount(bin_of_row, minlength=bins)
    sums, hits = (np.bincount(bin_of_row, weights=values, minlength=bins) for values in (confidence, right))
    return [
        {
            "low": float(edges[b]),
            "high": float(edges[b + 1]),
            "rows": int(n),
            "confidence": float(sums[b] / n) if n else None,
            "accuracy": float(hits[b] / n) if n else None,
            "interval": wilson_interval(int(hits[b]), int(n)) if n else None,
        }
        for b, n in enumerate(rows)
    ]


def calibration_error(bins: Sequence[dict[str, Any]]) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy, weighted by rows (Guo et al. 2017)."""
    gaps = [b["rows"] * abs(b["confidence"] - b["accuracy"]) for b in bins if b["rows"]]
    return float(sum(gaps) / sum(b["rows"] for b in bins))


def most_confident_errors(
    logits: ArrayLike, labels: ArrayLike, texts: Sequence[Any], label_names: Sequence[str], count: int
) -> list[dict[str, Any]]:
    """The ``count`` wrong predictions with the highest probability, the highest first.

    Each is a dictionary: ``row`` is the index in ``texts``, from 0; ``label`` and ``predicted`` are the names of the
    true and of the predicted class, and ``probability`` is that of the predicted one.
    """
    logits, labels = checked(logits, labels, len(label_names))
    probabilities = SINGLE_LABEL.probabilities(logits)
    predicted, confidence = SINGLE_LABEL.decide(probabilities), SINGLE_LABEL.confidence(probabilities)
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    return [
        {
            "row": int(row),
            "text": texts[row],
            "label": label_names[labels[row]],
            "predicted": label_names[predicted[row]],
            "probability": float(confidence[row]),
        }
        for row in order
    ]
