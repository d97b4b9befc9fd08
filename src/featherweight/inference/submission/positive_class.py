"""Finds the positive one of two classes, whose probability is written in a single column."""

from __future__ import annotations

import re
from unicodedata import normalize

from featherweight.errors import UserError
from featherweight.formatting import listed
from featherweight.inference.submission.trained_labels import TrainedLabels

_POSITIVE = (("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"), ("neg", "pos"), ("negative", "positive"))
"""Pairs of class names with the negative class first and the positive class second."""


def positive_class(column: str, trained: TrainedLabels) -> int | None:
    """The number of the class whose probability ``column`` needs; None if it is unclear.

    It is the class after which the column is named, else the larger one of two numbers, else the positive class of a
    pair such as no and yes.
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
    """The result of ``positive_class``. Raises UserError, with ``problem`` at its start, if it is unclear."""
    if len(trained.classes) != 2:
        classes = len(trained.classes)
        raise UserError(f"{problem}, but there are {classes} classes; use a sample with one column for each")
    number = positive_class(column, trained)
    if number is None:
        raise UserError(
            f"{problem}, but the positive class is unclear\nPass --like with a sample whose column is named after the "
            f"class, or with one column for each of {listed(trained.written)}"
        )
    return number


def folded_name(name: str) -> str:
    """``name`` in the form in which names are compared: ignoring case, kind of separator and form of Unicode."""
    return normalize("NFC", re.sub(r"[\s_/.]+", "_", name.strip()).casefold())
