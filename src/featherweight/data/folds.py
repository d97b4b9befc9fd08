"""Divides rows into folds for cross-validation, in which each label has about the same share of the rows."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from featherweight.data.iterative_draw import iterative_draw
from featherweight.data.near_duplicates import first_occurrences
from featherweight.data.pairs import joined
from featherweight.data.sources import Rows
from featherweight.environment import quick_imports
from featherweight.errors import UserError
from featherweight.formatting import counted
from featherweight.hints import flag

TWO_LABELS_NEEDED = (
    "the audit needs two labels that at least two rows have, and at least two rows lack, in different folds; add rows"
)


def fold_numbers(rows: Rows, folds: int, seed: int) -> NDArray[np.int64]:
    """The number of the fold that each row is in, from 0, [rows]; each fold has about the same share of every class.

    Rows with the same text are in the same fold: otherwise a model would have seen the text that it judges, and a label
    that is wrong in both rows would look right. They stay apart if otherwise all rows of a class (two or more) would be
    in one fold, or a fold would have no rows. Raises UserError if there are more folds than rows of any class, or if a
    class has fewer than two rows; if a text may have several labels, ``divided_labels`` says which labels have too few.
    """
    apart = separate_folds(rows, folds, seed)
    together = apart[first_occurrences([joined(text) for text in rows.texts])]
    own_rows = _rows_of_labels(rows)
    for own in own_rows.T:
        if own.sum() > 1 and len(np.unique(together[own])) == 1:
            together[own] = apart[own]
    labelled = own_rows.any(axis=1)
    return together if len(np.unique(together[labelled])) == folds else apart


def separate_folds(rows: Rows, folds: int, seed: int) -> NDArray[np.int64]:
    """As ``fold_numbers``, but rows with the same text are drawn separately."""
    most, thing = int(rows.counts.max()), "label" if rows.several else "class"
    if not rows.several:
        _require_two_of_each(rows)
    elif most < 2:
        raise UserError(f"{rows.origin}: no label has two rows; {TWO_LABELS_NEEDED}")
    if folds > most:
        problem = f"no {thing} has more than {counted(most, 'row')}"
        raise UserError(f"{rows.origin}: {problem}; set {flag('--folds')} to {most} or less")
    return _iteratively_stratified(rows, folds, seed) if rows.several else _stratified(rows, folds, seed)


def divided_labels(rows: Rows, parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of the labels that cross-validation can evaluate: rows with and without them are in two folds each.

    ``parts`` [rows] are the fold numbers. For another label, a model that is trained on the other folds could have seen
    only rows with it, or only rows without it.
    """
    own_rows = _rows_of_labels(rows)
    fit = [min(len(np.unique(parts[own])), len(np.unique(parts[~own]))) > 1 for own in own_rows.T]
    return np.flatnonzero(fit)


def _rows_of_labels(rows: Rows) -> NDArray[np.bool_]:
    """Whether each row has each label, [rows, labels]."""
    assert rows.labels is not None
    return rows.labels > 0 if rows.several else rows.labels[:, None] == np.arange(len(rows.label_names))


def _require_two_of_each(rows: Rows) -> None:
    smallest = int(rows.counts.min())
    if smallest < 2:
        name = rows.label_names[int(rows.counts.argmin())]
        need = "cross-validation needs two of each class; add rows, or remove the class"
        raise UserError(f"{rows.origin}: class {name!r} has {smallest} row; {need}")


def _stratified(rows: Rows, folds: int, seed: int) -> NDArray[np.int64]:
    with quick_imports():
        from sklearn.model_selection import StratifiedKFold

    numbers = np.zeros(len(rows), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds is in some of them only
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        for number, (_, held_out) in enumerate(splitter.split(np.zeros(len(rows)), rows.labels)):
            numbers[held_out] = number
    return numbers


def _iteratively_stratified(rows: Rows, folds: int, seed: int) -> NDArray[np.int64]:
    """The folds are drawn one after the other, each from the rows that are left; the last one is the rest."""
    assert rows.labels is not None
    numbers = np.full(len(rows), folds - 1)
    for number in range(folds - 1):
        left = np.flatnonzero(numbers == folds - 1)
        wanted = round(len(left) / (folds - number))
        numbers[left[iterative_draw(rows.labels[left], wanted, seed, for_training=False)]] = number
    return numbers
