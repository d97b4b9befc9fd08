"""Evaluates texts that may have several labels: metrics as in scikit-learn, per label too, calibration and errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, hamming_loss
from sklearn.metrics import precision_recall_fscore_support as precision_recall_f1

from featherweight.evaluation.metrics import (
    calibration_error,
    checked_logits,
    class_intervals,
    reliability_of,
    wilson_interval,
)
from featherweight.run.figures import SEVERAL_LABELS
from featherweight.task.multi_label import USUAL, MultiLabel
from featherweight.task.single_label import Floats, Labels, macro_f1

RESAMPLES = 10_000
"""Bootstrap samples of the rows for the interval of micro-F1."""
_AT_A_TIME = 500  # of these, so that rows of many kinds fit into memory


@dataclass(frozen=True)
class Scored:
    """The predictions and labels of one set, from which the metrics are computed. All are [rows, labels]."""

    labels: Labels
    predicted: Labels
    probabilities: Floats
    bins: Sequence[dict[str, Any]]
    """The reliability diagram over all labels."""


COMPUTED: dict[str, Callable[[Scored], float]] = {
    "micro_f1": lambda scored: float(f1_score(scored.labels, scored.predicted, average="micro", zero_division=0)),
    "macro_f1": lambda scored: macro_f1(scored.labels, scored.predicted),
    # A text without labels for which none is predicted is right: its F1 is 1.
    "sample_f1": lambda scored: float(f1_score(scored.labels, scored.predicted, average="samples", zero_division=1)),
    "accuracy": lambda scored: float(accuracy_score(scored.labels, scored.predicted)),
    "average_precision": lambda scored: mean_average_precision(scored.labels, scored.probabilities),
    "hamming_loss": lambda scored: float(hamming_loss(scored.labels, scored.predicted)),
    "log_loss": lambda scored: mean_log_loss(scored.labels, scored.probabilities),
    "calibration_error": lambda scored: calibration_error(scored.bins),
}
"""How each of ``run.figures.SEVERAL_LABELS`` is computed, by its key."""


def evaluate_several(
    logits: ArrayLike,
    labels: ArrayLike,
    label_names: Sequence[str],
    *,
    temperature: float = 1.0,
    bins: int = 15,
    task: MultiLabel | None = None,
) -> dict[str, Any]:
    """The evaluation of one set, ready for JSON: the metrics of ``run/figures.py``, and what the report shows of them.

    The latter are the metrics of each label and the reliability diagrams. ``logits`` and ``labels`` (0 or 1) are [rows,
    labels]; ``task`` has the threshold of each label. Predictions are made from the logits divided by ``temperature``.
    Log loss, calibration error and reliability diagram are computed twice: from ``logits``, and under a key that ends
    in ``_scaled`` from the divided ones. F1 is 0 if a label neither occurs nor is predicted, as in scikit-learn;
    average precision is the mean over the labels that occur; log loss and calibration error are over all labels of all
    rows. Raises UserError if a logit is not finite, ValueError if shapes do not fit.
    """
    logits, labels = checked_several(logits, labels, len(label_names))
    task = task or MultiLabel()
    before, after = task.probabilities(logits), task.probabilities(logits, temperature)
    predicted = task.predict(logits, temperature)
    bins_before, bins_after = (reliability_of(each.ravel(), labels.ravel() > 0, bins) for each in (before, after))
    plain, scaled = Scored(labels, predicted, before, bins_before), Scored(labels, predicted, after, bins_after)
    metrics = {
        key: COMPUTED[metric.key](scored)
        for metric in SEVERAL_LABELS
        for key, scored in zip(metric.keys, (plain, scaled), strict=False)
    }
    right = int(task.right(predicted, labels).sum())
    return {
        "task": task.name,
        "rows": len(labels),
        "micro_f1": metrics.pop("micro_f1"),
        "micro_f1_interval": micro_f1_interval(labels, predicted),
        "accuracy": metrics.pop("accuracy"),
        "accuracy_interval": wilson_interval(right, len(labels)),
        "labels_a_row": float(labels.sum() / len(labels)),
        "rows_without_labels": int((labels.sum(axis=1) == 0).sum()),
        "per_class": per_label(scaled, label_names, task.thresholds, bins),
        **metrics,
        "temperature": float(temperature),
        "reliability": bins_before,
        "reliability_scaled": bins_after,
    }


def checked_several(logits: ArrayLike, labels: ArrayLike, classes: int | None = None) -> tuple[Floats, Labels]:
    """``logits`` as float64 and ``labels`` (0 or 1) as int8, both [rows, labels].

    Raises ValueError if shapes or labels do not fit, UserError if a logit is not finite.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int8)
    if logits.ndim != 2 or labels.shape != logits.shape:
        raise ValueError(f"logits {logits.shape} and labels {labels.shape} must both be [rows, labels]")
    if labels.size and not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    return checked_logits(logits, classes), labels


def per_label(
    scored: Scored, label_names: Sequence[str], thresholds: Sequence[float] = (), bins: int = 15
) -> list[dict[str, Any]]:
    """One dictionary per label, in the order of ``label_names``: precision, recall, F1 (0 if undefined) and support.

    Each dictionary also has average precision (None if no row has the label), calibration error, threshold, the number
    of rows for which the label is predicted, and the 95% intervals of ``class_intervals``.
    """
    figures = precision_recall_f1(scored.labels, scored.predicted, average=None, zero_division=0)
    found = []
    for place, (name, p, r, f, n) in enumerate(zip(label_names, *figures, strict=True)):
        probabilities, labels = scored.probabilities[:, place], scored.labels[:, place]
        found.append({
            "label": name,
            "precision": float(p),
            "recall": float(r),
            "f1": float(f),
            "support": int(n),
            "predicted": (predicted := int(scored.predicted[:, place].sum())),
            **class_intervals(int((scored.predicted[:, place] & labels).sum()), int(n), predicted),
            "average_precision": float(average_precision_score(labels, probabilities)) if n else None,
            "calibration_error": calibration_error(reliability_of(probabilities, labels > 0, bins)),
            "threshold": float(thresholds[place]) if len(thresholds) else USUAL,
        })  # fmt: skip
    return found


def mean_average_precision(labels: Labels, probabilities: Floats) -> float:
    """Mean of the average precision over the labels that occur; 0 if no label occurs."""
    there = np.flatnonzero(labels.any(axis=0))
    if not len(there):
        return 0.0
    return float(average_precision_score(labels[:, there], probabilities[:, there], average="macro"))


def mean_log_loss(labels: Labels, probabilities: Floats) -> float:
    """Mean log loss over all labels of all rows, in nats; probabilities are clipped as in scikit-learn."""
    least = np.finfo(probabilities.dtype).eps
    sure = np.clip(np.where(labels > 0, probabilities, 1 - probabilities), least, 1 - least)
    return float(-np.log(sure).mean())


def micro_f1_interval(
    labels: Labels, predicted: Labels, *, resamples: int = RESAMPLES, seed: int = 0, confidence: float = 0.95
) -> list[float]:
    """Percentile bootstrap interval [low, high] of micro-F1 over rows (Efron & Tibshirani 1993, chapter 13).

    If all predictions are right, or all are wrong, or all rows have equal counts, every resample has the same micro-F1,
    and such an interval would be a single point. Then the interval is Wilson's for the rows, converted to F1 as in
    ``metrics.class_intervals``.
    """
    counts = hits_and_marks(labels, predicted)
    hits, marks = counts.sum(axis=0).tolist()
    if marks and (hits in (0, marks / 2) or (counts == counts[0]).all()):
        right = round(len(labels) * hits / (marks - hits))  # as a share: the Jaccard index
        return [2 * share / (1 + share) for share in wilson_interval(right, len(labels))]
    low, high = np.quantile(micro_f1_samples([counts], resamples, seed)[0],
                            [(1 - confidence) / 2, (1 + confidence) / 2])  # fmt: skip
    return [float(low), float(high)]


def hits_and_marks(labels: Labels, predicted: Labels) -> NDArray[np.int64]:
    """Two counts for each row, [rows, 2]: correctly predicted labels, and true labels plus predicted labels."""
    hits = (labels & predicted).sum(axis=1, dtype=np.int64)
    return np.stack([hits, labels.sum(axis=1, dtype=np.int64) + predicted.sum(axis=1, dtype=np.int64)], axis=1)


def micro_f1_of(found: NDArray[np.int64]) -> float:
    """Micro-F1 of rows, from the result of ``hits_and_marks``; 0 if there are no true and no predicted labels."""
    hits, marks = found.sum(axis=0)
    return float(2 * hits / marks) if marks else 0.0


def micro_f1_samples(sides: Sequence[NDArray[np.int64]], resamples: int, seed: int) -> NDArray[np.float64]:
    """Micro-F1 of bootstrap samples of the rows, [sides, resamples]; each sample has the same rows on all sides.

    A side is a result of ``hits_and_marks``; all sides are for the same rows.
    """
    # Rows of equal counts are exchangeable: drawing how often each occurs is the same bootstrap.
    kinds, times = np.unique(np.concatenate(sides, axis=1), axis=0, return_counts=True)
    random, left = np.random.default_rng(seed), [_AT_A_TIME] * (resamples // _AT_A_TIME) + [resamples % _AT_A_TIME]
    draws = (random.multinomial(times.sum(), times / times.sum(), size=size) @ kinds for size in left if size)
    sums = np.concatenate([*draws]).reshape(resamples, len(sides), 2).transpose(1, 2, 0)
    return np.divide(2.0 * sums[:, 0], sums[:, 1], out=np.zeros(sums[:, 0].shape), where=sums[:, 1] > 0)


def most_confident_errors_of_several(
    probabilities: Floats,
    labels: Labels,
    texts: Sequence[Any],
    label_names: Sequence[str],
    count: int,
    task: MultiLabel,
) -> list[dict[str, Any]]:
    """The ``count`` rows with the most confident wrong answer on a label, the most confident first.

    Each is a dictionary: ``row`` is the index in ``texts``, from 0; ``label`` and ``predicted`` are all true and all
    predicted labels of the row; ``wrong`` is the wrongly answered label, ``probability`` that of the wrong answer.
    """
    predicted = task.decide(probabilities)
    sure = np.where(predicted > 0, probabilities, 1 - probabilities)
    sure[predicted == labels] = -1.0
    worst = sure.argmax(axis=1)
    surest = sure[np.arange(len(labels)), worst]
    order = np.argsort(-surest, kind="stable")[: min(count, int((surest >= 0).sum()))]
    return [
        {
            "row": int(row),
            "text": texts[row],
            "label": task.named(labels[row : row + 1], label_names)[0],
            "predicted": task.named(predicted[row : row + 1], label_names)[0],
            "wrong": label_names[worst[row]],
            "probability": float(surest[row]),
        }
        for row in order
    ]
