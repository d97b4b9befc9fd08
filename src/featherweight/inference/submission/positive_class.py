"""Which of two classes the probability in a single column is that of."""

from __future__ import annotations

import re
from unicodedata import normalize

from featherweight.errors import UserError
from featherweight.formatting import listed
from featherweight.inference.submission.trained_labels import TrainedLabels

_POSITIVE = (("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"), ("neg", "pos"), ("negative", "positive"))
"""Pairs of classes of which everybody takes the second for the positive one."""


def positive_class(column: str, trained: TrainedLabels) -> int | None:
    """The number of the class whose probability ``column`` holds; None where nothing says which it is.

    It is the class that the column is called by, the larger of two numbers, or the one that everybody takes for it.
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


def require_positive_class(column: str, trained: TrainedLabels, place: str) -> int:
    """The same; raises UserError, which begins with ``place``, where there is no such class."""
    if len(trained.classes) != 2:
        classes = len(trained.classes)
        raise UserError(f"{place}, but there are {classes} classes; name a sample with a column for each")
    number = positive_class(column, trained)
    if number is None:
        raise UserError(
            f"{place}, but of which class?\nName a sample whose column is called like the class, or with a column for "
            f"each of {listed(trained.written)}"
        )
    return number


def folded_name(name: str) -> str:
    """``name`` as it is compared with names of classes: case, kinds of separators and of Unicode aside."""
    return normalize("NFC", re.sub(r"[\s_/.]+", "_", name.strip()).casefold())
