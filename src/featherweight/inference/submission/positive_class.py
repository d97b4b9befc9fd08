"""Finds the positive one of two classes, whose probability a submission with a single column of numbers has."""

from __future__ import annotations

import re
from unicodedata import normalize

from featherweight.errors import UserError
from featherweight.formatting import listed
from featherweight.hints import flag
from featherweight.inference.submission.trained_labels import TrainedLabels

_POSITIVE = (("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"), ("neg", "pos"), ("negative", "positive"))
"""Pairs of class names with the negative class first and the positive class second."""


def positive_class(column: str, trained: TrainedLabels) -> int | None:
    """The number of the class whose probability ``column`` gets; None if it is unclear, or there are not two classes.

    It is the class after which the column is named. Otherwise it is the larger of two numbers, or the positive name in
    a pair such as no and yes.
    """
    if len(trained.classes) != 2:
        return None
    for names in (trained.written, trained.classes):
        folded = [folded_name(name) for name in names]
        if folded.count(folded_name(column)) == 1:
            return folded.index(folded_name(column))
    if trained.are_whole:
        return max((0, 1), key=lambda number: float(trained.written[number]))
    for names in (trained.written, trained.classes):
        pair = [name.casefold() for name in names]
        positive = next((second for first, second in _POSITIVE if sorted(pair) == sorted((first, second))), None)
        if positive is not None:
            return pair.index(positive)
    return None


def require_positive_class(column: str, trained: TrainedLabels, problem: str) -> int:
    """The number of the positive class. Raises UserError, which starts with ``problem``, if the class is unclear."""
    if len(trained.classes) != 2:
        classes = len(trained.classes)
        raise UserError(f"{problem}, but there are {classes} classes; use a sample with one column per class")
    number = positive_class(column, trained)
    if number is None:
        raise UserError(
            f"{problem}, but it is unclear which class is meant\n"
            f"Pass {flag('--like')} with a sample whose column is named after the class, "
            f"or which has a column for each class: {listed(trained.written)}"
        )
    return number


def folded_name(name: str) -> str:
    """``name`` in a form for comparisons: lower case, NFC, and _ for each separator (New York gives new_york)."""
    return normalize("NFC", re.sub(r"[\s_/.]+", "_", name.strip()).casefold())
