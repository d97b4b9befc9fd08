"""Folds for cross-validation: shares of labels, repeated texts, and labels that no model could learn."""

from __future__ import annotations

import numpy as np
import pytest

from featherweight.data.folds import divided_labels, fold_numbers, separate_folds
from featherweight.data.sources import Rows
from featherweight.errors import UserError


def test_folds_have_the_same_share_of_every_class_and_need_two_rows_of_each() -> None:
    labels = np.repeat([0, 1], [40, 10])
    rows = Rows([f"text {n}" for n in range(50)], labels, ("a", "b"), "rows.csv")
    numbers = fold_numbers(rows, 5, 0)
    assert [np.bincount(labels[numbers == fold]).tolist() for fold in range(5)] == [[8, 2]] * 5
    assert (fold_numbers(rows, 5, 1) != numbers).any()
    with pytest.raises(UserError, match=r"rows\.csv: class 'b' has 1 row; cross-validation needs two of each class"):
        fold_numbers(rows.take(np.arange(41)), 5, 0)


def rows_of(texts: list[str], labels: list[int]) -> Rows:
    return Rows(texts, np.array(labels), ("a", "b"), "made up")


def test_a_text_that_occurs_twice_is_in_one_fold_so_that_no_model_has_seen_it() -> None:
    texts = [f"text {number}" for number in range(40)]
    rows = rows_of([*texts, *[f"{text.upper()}!" for text in texts[:20]]], [number % 2 for number in range(60)])
    for seed in range(3):
        parts = fold_numbers(rows, 5, seed)
        assert parts[:20].tolist() == parts[40:].tolist()
        assert set(parts.tolist()) == {0, 1, 2, 3, 4}
    once = rows_of(texts, [number % 2 for number in range(40)])
    assert fold_numbers(once, 5, 0).tolist() == separate_folds(once, 5, 0).tolist()


def test_repeated_texts_stay_apart_where_a_training_would_lack_a_class_or_a_fold_its_rows() -> None:
    rows = rows_of(["the same"] * 6 + [f"text {number}" for number in range(6)], [0] * 6 + [1] * 6)
    parts = fold_numbers(rows, 3, 0)
    assert all(len({*parts[rows.labels == label].tolist()}) > 1 for label in (0, 1))
    alike = rows_of(["the same"] * 12, [number % 2 for number in range(12)])
    assert np.bincount(fold_numbers(alike, 3, 0)).tolist() == [4, 4, 4]


def several(labels: np.ndarray, texts: list[str] | None = None) -> Rows:
    names = tuple("abcdefgh"[: labels.shape[1]])
    return Rows(texts or [f"text {number}" for number in range(len(labels))], labels, names, "made up")


def test_folds_of_rows_with_several_labels_have_the_same_share_of_every_label() -> None:
    draw = np.random.default_rng(0)
    labels = (draw.random((200, 4)) < [0.5, 0.2, 0.1, 0.0]).astype(np.int8)
    labels[:2, 3] = 1
    rows = several(labels)
    numbers = fold_numbers(rows, 5, 0)
    assert np.bincount(numbers).tolist() == [40] * 5
    shares = np.array([labels[numbers == fold].sum(axis=0) for fold in range(5)])
    assert np.ptp(shares[:, 1:3], axis=0).max() <= 1 and np.ptp(shares[:, 0]) <= 4
    assert len({*numbers[:2].tolist()}) == 2
    assert (fold_numbers(rows, 5, 1) != numbers).any() and (fold_numbers(rows, 5, 0) == numbers).all()
    with pytest.raises(UserError, match="made up: no label has more than 3 rows; set folds to 3 or less"):
        fold_numbers(several(np.eye(4, dtype=np.int8)[[0, 0, 0, 1, 2, 3, 1, 2]]), 4, 0)


def test_a_text_that_occurs_twice_with_other_labels_is_in_one_fold() -> None:
    texts = [f"text {number}" for number in range(40)]
    labels = np.random.default_rng(1).integers(0, 2, (60, 3)).astype(np.int8)
    rows = several(labels, [*texts, *[f"{text.upper()}!" for text in texts[:20]]])
    parts = fold_numbers(rows, 5, 0)
    assert parts[:20].tolist() == parts[40:].tolist() and {*parts.tolist()} == {0, 1, 2, 3, 4}
    # All rows with the second label have the same text.
    labels = np.array([[1, number < 3] for number in range(12)], np.int8)
    parts = fold_numbers(several(labels, ["the same"] * 3 + texts[:9]), 3, 0)
    assert len({*parts[:3].tolist()}) == 3


def test_a_repeated_text_that_alone_has_a_label_is_in_one_fold() -> None:
    labels = np.array([[number % 2 == 0, number % 2, number == 20] for number in range(21)], np.int8)
    rows = several(labels, [*(f"text {number}" for number in range(20)), "Text 3!"])
    for seed in range(10):
        parts = fold_numbers(rows, 5, seed)
        assert parts[3] == parts[20]


def test_labels_of_one_row_each_are_refused_with_what_is_needed() -> None:
    needed = "no label has two rows; the audit needs two labels that at least two rows have, and at least two rows lack"
    with pytest.raises(UserError, match=f"^made up: {needed}, in different folds; add rows$"):
        fold_numbers(several(np.eye(6, 4, dtype=np.int8)), 2, 0)


def test_a_label_that_rows_of_one_fold_have_or_lack_cannot_be_evaluated() -> None:
    labels = np.array([[1, number % 2, number == 4, number in (2, 7)] for number in range(12)], np.int8)
    rows = several(labels)
    assert divided_labels(rows, fold_numbers(rows, 3, 0)).tolist() == [1, 3]
    assert divided_labels(rows, np.where(np.isin(np.arange(12), (2, 7)), 0, np.arange(12) % 3)).tolist() == [1]
    lacking = several(1 - labels)  # rows that have a label lack it, and the reverse
    assert divided_labels(lacking, np.arange(12) % 3).tolist() == [1, 3]
    assert divided_labels(lacking, np.where(np.isin(np.arange(12), (2, 7)), 0, np.arange(12) % 3)).tolist() == [1]
