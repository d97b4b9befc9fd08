"""Finds labels that are probably wrong, by confident learning (Northcutt et al. 2021) in the library cleanlab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Suspect:
    """A row whose label is probably wrong: its index, its label, and the label that cross-validation predicts for it.

    The prediction is that of a model which was trained without this row.
    """

    row: int
    label: int
    suggested: int
    quality: float
    """The probability of the given label, by a model that has not seen the row."""
    suggested_probability: float


@dataclass(frozen=True)
class LabelNoise:
    """The labels that cross-validation finds doubtful, and how often its predictions agree with the labels."""

    suspects: list[Suspect]
    """The most doubtful first."""
    accuracy: float
    """Share of rows whose predicted label is the given one, each by a model that has not seen it."""
    confusions: dict[tuple[int, int], int]
    """Number of suspects by given and suggested label, the most frequent first."""


def label_noise(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> LabelNoise:
    """The suspects among rows with ``labels`` [rows] and out-of-sample ``probabilities`` [rows, classes].

    A row is a suspect if the model is confident in another class: more confident than it is on average in rows of that
    class. Needs cleanlab.
    """
    from cleanlab.filter import find_label_issues

    found = find_label_issues(
        labels=np.asarray(labels),
        pred_probs=np.asarray(probabilities, np.float64),
        return_indices_ranked_by="self_confidence",
        filter_by="confident_learning",
        n_jobs=1,
    )
    predicted = probabilities.argmax(axis=1)
    suspects = [
        Suspect(
            int(row),
            int(labels[row]),
            int(predicted[row]),
            float(probabilities[row, labels[row]]),
            float(probabilities[row, predicted[row]]),
        )
        for row in found
        if predicted[row] != labels[row]
    ]
    return LabelNoise(suspects, float((predicted == labels).mean()), _confusions(suspects))


def _confusions(suspects: Sequence[Suspect]) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    for one in suspects:
        pair = (one.label, one.suggested)
        counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
