"""Recomputes metrics from predictions.parquet, for runs with several labels per text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.task.multi_label import MultiLabel
from featherweight.task.single_label import Floats, Labels
from featherweight.verification.comparing import first_difference, other_calibration
from featherweight.verification.evidence import ROUNDING, probabilities_in

if TYPE_CHECKING:
    import pandas as pd

_SHARES = ("micro_f1", "macro_f1", "sample_f1", "accuracy", "hamming_loss")
_OF_LABEL = ("precision", "recall", "f1", "support", "predicted")
_OF_WIDTH = 0.1
"""Largest difference between the ends of two bootstrap intervals of the same rows, as a share of the width."""
_LEAST = 1e-38
_MOST_LOSS = 40.0
"""Nats that a label may lose at the most by a probability near 1, of which the file keeps seven digits."""


def first_contradiction(name: str, claimed: dict[str, Any], rows: pd.DataFrame) -> str:
    """A message about the first metric in ``claimed`` that ``rows`` do not reproduce; "" if they reproduce all.

    ``claimed`` are the metrics of the set ``name`` in evaluation.json, ``rows`` its rows in predictions.parquet.
    """
    from featherweight.evaluation.multi_label import evaluate_several

    names = [entry["label"] for entry in claimed["per_class"]]
    probabilities = probabilities_in(rows, names)
    task = MultiLabel(tuple(entry["threshold"] for entry in claimed["per_class"]))
    labels, predicted = (_table(rows[key], names) for key in ("label", "predicted"))
    other = predicted != task.decide(probabilities)
    if (other & (np.abs(probabilities - task.thresholds) > ROUNDING)).any():
        return f"{name}: predictions.parquet gives a row a label below its threshold, or lacks one above it"
    again = evaluate_several(
        _logits(probabilities, predicted, other, task), labels, names, task=task, bins=len(claimed["reliability"])
    )
    unsure = float(((probabilities > 1 - ROUNDING) & (labels == 0)).mean())
    for key, figure, most in (
        ("rows", again["rows"], 0),
        *((key, again[key], 1e-9) for key in _SHARES),
        ("average_precision", again["average_precision"], 1e-4),
        # The probabilities in the file are scaled already, so the plain log loss of these rows is the scaled one.
        ("log_loss_scaled", again["log_loss"], 1e-4 + _MOST_LOSS * unsure),
    ):
        if not abs(float(claimed[key]) - figure) <= most:
            return f"{name} {key} is {claimed[key]}; the rows in predictions.parquet give {figure:.6g}"
    for ours, theirs in zip(again["per_class"], claimed["per_class"], strict=True):
        if key := next((key for key in _OF_LABEL if not abs(ours[key] - theirs[key]) <= 1e-9), ""):
            return f"{name}: {key} of {ours['label']} is not that of the rows in predictions.parquet"
    if key := _other_interval(again, claimed) or other_calibration(again, claimed, probabilities):
        return f"{name} {key} is not that of the rows in predictions.parquet"
    return ""


def _other_interval(again: dict[str, Any], claimed: dict[str, Any]) -> str:
    """The key of the first interval in ``claimed`` that ``again`` contradicts; "" if there is none."""
    low, high = again["micro_f1_interval"]
    # Another version of NumPy may draw other bootstrap samples.
    most = ROUNDING + _OF_WIDTH * (high - low)
    if not np.allclose(again["micro_f1_interval"], claimed["micro_f1_interval"], rtol=0, atol=most):
        return "micro_f1_interval"
    of_labels = [{key: row[key] for key in row if key.endswith("_interval")} for row in claimed["per_class"]]
    return first_difference(again["accuracy_interval"], claimed["accuracy_interval"], "accuracy_interval") or (
        first_difference(again["per_class"], of_labels, "per_class")
    )


def as_tuples(values: Iterable[Any]) -> list[Any]:
    """The labels of each row as values that ``==`` compares: a text as it is, a list or array as a tuple."""
    return [value if isinstance(value, str) else tuple(value) for value in values]


def _table(lists: Iterable[Sequence[str]], names: Sequence[str]) -> Labels:
    """A table of 0 and 1 [rows, labels]: 1 if the row has the label. Raises ValueError for an unknown label."""
    numbers = {name: number for number, name in enumerate(names)}
    rows = list(lists)
    table = np.zeros((len(rows), len(names)), np.int8)
    for row, found in enumerate(rows):
        for label in found:
            if label not in numbers:
                raise ValueError(f"predictions.parquet: row {row + 1} has the unknown label {label!r}")
            table[row, numbers[label]] = 1
    return table


def _logits(probabilities: Floats, predicted: Labels, other: Labels, task: MultiLabel) -> Floats:
    """Logits [rows, labels] from which the metrics are computed again: the inverse of the sigmoid of ``probabilities``.

    With the thresholds of ``task`` they give the ``predicted`` labels. ``other`` [rows, labels] is true where the
    stored probability lies on the wrong side of the label's threshold, because it was rounded. There the logit is that
    of the threshold if the label was predicted, else a little less.
    """
    from scipy.special import logit

    given = np.where(predicted > 0, task.thresholds, np.nextafter(task.thresholds, 0))
    return np.asarray(logit(np.clip(np.where(other, given, probabilities), _LEAST, 1 - 1e-16)))
