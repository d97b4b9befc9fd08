"""The task with any number of labels per text: a sigmoid and a threshold for each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.task.single_label import Floats, Labels, macro_f1

USUAL = 0.5
"""The threshold of a label before it is tuned, and if the validation rows do not determine it."""


@dataclass(frozen=True)
class MultiLabel:
    """The task in which each label is decided separately. Labels are 0 or 1, [rows, labels]."""

    thresholds: tuple[float, ...] = ()
    """The minimum probability to predict each label; if empty, ``USUAL`` is used for all labels."""
    name = "multi-label"
    score = "micro_f1"

    def probabilities(self, logits: Floats, temperature: float = 1.0) -> Floats:
        """Sigmoid of each logit, [rows, labels]; a row need not add up to 1."""
        from scipy.special import expit

        return expit(logits / temperature)

    def predict(self, logits: Floats, temperature: float = 1.0) -> Labels:
        """1 for each label whose probability reaches its threshold, [rows, labels]."""
        return self.decide(self.probabilities(logits, temperature))

    def decide(self, probabilities: Floats) -> Labels:
        """1 for each label whose probability reaches its threshold, [rows, labels]."""
        return (probabilities >= np.asarray(self.thresholds or USUAL)).astype(np.int8)

    def log_losses(self, logits: Floats, labels: Labels) -> Floats:
        """Binary cross-entropy of each row in nats, the mean over all labels, [rows]."""
        return (np.logaddexp(0.0, logits) - labels * logits).mean(axis=1)

    def margins(self, probabilities: Floats) -> Floats:
        """For each row, the smallest distance of a label's probability from the label's threshold, [rows]."""
        return np.abs(probabilities - np.asarray(self.thresholds or USUAL)).min(axis=1)

    def right(self, predicted: Labels, labels: Labels) -> NDArray[Any]:
        """Whether a row's predicted labels are exactly its labels, [rows]."""
        return (predicted == labels).all(axis=1)

    def named(self, labels: Labels, names: Sequence[str]) -> list[Any]:
        """The names of each row's labels, in the order of the classes."""
        return [[names[place] for place in np.flatnonzero(row).tolist()] for row in labels]

    def label_lists(self, labels: Labels, names: Sequence[str]) -> list[list[str]]:
        """The names of each row's labels, in the order of the classes."""
        return self.named(labels, names)

    def scores(self, logits: Floats, labels: Labels) -> dict[str, float]:
        """Micro-F1, macro-F1 and subset accuracy, with the thresholds that ``fitted`` finds on the same rows."""
        predicted = self.fitted(logits, labels, 1.0).predict(logits)
        f1 = {"micro_f1": micro_f1(predicted, labels), "macro_f1": macro_f1(labels, predicted)}
        return {**f1, "accuracy": float(self.right(predicted, labels).mean())}

    def fitted(self, logits: Floats, labels: Labels, temperature: float) -> MultiLabel:
        """A task in which each label has the threshold that gives it the highest F1 on these rows.

        The thresholds apply to the probabilities that belong to ``logits`` divided by ``temperature``.
        """
        cuts = np.array([best_cut(logits[:, place], labels[:, place]) for place in range(labels.shape[1])])
        return replace(self, thresholds=tuple(self.probabilities(cuts, temperature).tolist()))

    def with_thresholds(self, thresholds: Sequence[float]) -> MultiLabel:
        """A task with these thresholds, one per label."""
        return replace(self, thresholds=tuple(thresholds))


def best_cut(logits: Floats, labels: Labels) -> float:
    """The threshold for the logits of one label that gives the highest F1; ``logits`` and ``labels`` are [rows].

    It is halfway between two neighbouring logits, or 0 (a probability of 0.5) if 0 lies between these two. Of equally
    good thresholds the nearest to 0 is returned. If no row has the label, the result is 0.
    """
    positives = int(labels.sum())
    if not positives:
        return 0.0
    values, place = np.unique(-logits, return_inverse=True)  # the highest logit first
    values = -values
    hits = np.cumsum(np.bincount(place, weights=labels))
    given = np.cumsum(np.bincount(place))
    f1 = 2 * hits / (given + positives)
    lower = np.append(values[1:], min(values[-1], 0.0) - 2.0)
    between = (lower < 0.0) & (values >= 0.0)
    cuts = np.where(between, 0.0, (values + lower) / 2)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(cuts[best[np.abs(cuts[best]).argmin()]])


def micro_f1(predicted: Labels, labels: Labels) -> float:
    """F1 over all entries of the tables [rows, labels]; 0 if no row has a label and no label is predicted."""
    hits = int((predicted & labels).sum())
    marked = int(predicted.sum(dtype=np.int64) + labels.sum(dtype=np.int64))
    return 2 * hits / marked if marked else 0.0
