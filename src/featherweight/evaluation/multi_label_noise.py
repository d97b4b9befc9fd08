"""Finds texts with a wrong or missing label, if a text may have several, by confident learning in the library cleanlab.

Each label is audited as a question with the answers yes and no (Thyagarajan et al. 2023, arXiv:2211.13895).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.multi_label import hits_and_marks, micro_f1_interval, micro_f1_of
from featherweight.run.doubts import best_constant
from featherweight.task.multi_label import MultiLabel


@dataclass(frozen=True)
class MultiLabelSuspect:
    """A row of which at least one label is probably wrong: the row has it and should not, or lacks it and should not.

    Labels are numbers, ascending. Probabilities are those of a model that was trained without this row.
    """

    row: int
    labels: tuple[int, ...]
    """The labels that the data gives."""
    superfluous: tuple[int, ...]
    """Those of them that the row probably should not have."""
    missing: tuple[int, ...]
    """The labels that it lacks, and probably should have."""
    probabilities: dict[int, float]
    """The probability that the row has the label, for each superfluous or missing one."""
    quality: float
    """cleanlab's score of all labels of the row, from 0 to 1; the label with the lowest score counts most."""

    @property
    def suggested(self) -> tuple[int, ...]:
        """The labels without the superfluous ones, and with the missing ones."""
        return tuple(sorted({*self.labels, *self.missing} - {*self.superfluous}))


@dataclass(frozen=True)
class LabelCount:
    """How often one label is doubtful."""

    label: int
    rows: int
    """Number of rows that have it."""
    superfluous: int
    missing: int


@dataclass(frozen=True)
class MultiLabelNoise:
    """The rows with doubtful labels, and how well the predictions of cross-validation fit the labels."""

    suspects: list[MultiLabelSuspect]
    """The most doubtful first."""
    micro_f1: float
    """Of the predictions for all rows, each by a model that has not seen the row, with the threshold of each label that
    gives the highest F1."""
    micro_f1_interval: list[float]
    """95% bootstrap interval over the rows."""
    constant_f1: float
    """The highest micro-F1 of giving the same labels to every row."""
    counts: list[LabelCount]
    """The labels that are doubtful in some row, the most frequently doubtful first."""


def multi_label_noise(
    labels: NDArray[np.integer[Any]], logits: NDArray[np.float64], audited: NDArray[np.integer[Any]]
) -> MultiLabelNoise:
    """The suspects among rows with ``labels`` (0 or 1) [rows, labels].

    ``audited`` are the numbers of two or more labels, each with rows that have it and rows that lack it, and ``logits``
    [rows, audited labels] are out-of-sample ones. The other labels are taken as right. A label of a row is doubtful if
    the model is confident in the other answer: more confident than it is on average in rows with this answer, and its
    probability is above 0.5. Needs cleanlab.
    """
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
    from cleanlab.multilabel_classification.rank import get_label_quality_scores

    given, task = np.asarray(labels)[:, audited], MultiLabel()
    probabilities = task.probabilities(np.asarray(logits, np.float64))
    lists = [np.flatnonzero(row).tolist() for row in given]
    doubtful = find_multilabel_issues_per_class(lists, probabilities, filter_by="confident_learning", n_jobs=1)
    quality = get_label_quality_scores(lists, probabilities)
    rows = np.flatnonzero(doubtful.any(axis=1))
    suspects = [
        _suspect(row, labels[row], audited[doubtful[row]], probabilities[row, doubtful[row]], float(quality[row]))
        for row in rows[np.argsort(quality[rows], kind="stable")].tolist()
    ]
    predicted = task.fitted(logits, given, 1.0).predict(logits)
    f1, interval = micro_f1_of(hits_and_marks(given, predicted)), micro_f1_interval(given, predicted)
    constant = best_constant(given.sum(axis=0, dtype=np.int64).tolist(), len(given))[0]
    return MultiLabelNoise(suspects, f1, interval, constant, _counts(given, doubtful, audited))


def _suspect(
    row: int,
    given: NDArray[np.integer[Any]],
    doubtful: NDArray[np.integer[Any]],
    probabilities: NDArray[np.float64],
    quality: float,
) -> MultiLabelSuspect:
    """The suspect in ``row`` with the labels ``given`` (0 or 1) [labels].

    The numbers of the labels in doubt are ``doubtful``, with their ``probabilities``.
    """
    superfluous, missing = doubtful[given[doubtful] > 0], doubtful[given[doubtful] == 0]
    of_label = dict(zip(doubtful.tolist(), probabilities.tolist(), strict=True))
    labels, wrong, lacking = (tuple(numbers.tolist()) for numbers in (np.flatnonzero(given), superfluous, missing))
    return MultiLabelSuspect(row, labels, wrong, lacking, of_label, quality)


def _counts(
    given: NDArray[np.integer[Any]], doubtful: NDArray[np.bool_], audited: NDArray[np.integer[Any]]
) -> list[LabelCount]:
    there = given > 0
    columns = (there.sum(axis=0), (doubtful & there).sum(axis=0), (doubtful & ~there).sum(axis=0))
    counts = [LabelCount(*map(int, each)) for each in zip(audited, *columns, strict=True)]
    found = [one for one in counts if one.superfluous + one.missing]
    return sorted(found, key=lambda one: (-one.superfluous - one.missing, one.label))
