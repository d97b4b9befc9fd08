"""Suspects among rows with several labels: those of cleanlab, and what is suggested for them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from featherweight.evaluation.multi_label_noise import LabelCount, MultiLabelNoise, multi_label_noise

pytest.importorskip("cleanlab")

ROWS, SHARES = 300, (0.5, 0.3, 0.1, 0.05)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return (np.random.default_rng(0).random((ROWS, len(SHARES))) < SHARES).astype(np.int8)


@pytest.fixture(scope="module")
def logits(labels: np.ndarray) -> np.ndarray:
    """Logits of a model that is right for most labels; its probabilities are near 0.9 and 0.1."""
    return np.random.default_rng(1).normal(2.2 * (2.0 * labels - 1), 1.5)


def audited(labels: np.ndarray, logits: np.ndarray) -> MultiLabelNoise:
    return multi_label_noise(labels, logits, np.arange(labels.shape[1]))


def test_suspects_their_order_and_their_labels_are_those_of_cleanlab(labels: np.ndarray, logits: np.ndarray) -> None:
    from cleanlab.multilabel_classification.filter import find_label_issues, find_multilabel_issues_per_class
    from cleanlab.multilabel_classification.rank import get_label_quality_scores

    noise = audited(labels, logits)
    lists, probabilities = [np.flatnonzero(row).tolist() for row in labels], 1 / (1 + np.exp(-logits))
    settings = {"filter_by": "confident_learning", "n_jobs": 1}
    ranked = find_label_issues(lists, probabilities, return_indices_ranked_by="self_confidence", **settings)
    assert [one.row for one in noise.suspects] == ranked.tolist() and 5 < len(ranked) < 100
    of_labels = find_multilabel_issues_per_class(lists, probabilities, **settings)
    scores = get_label_quality_scores(lists, probabilities)
    for one in noise.suspects:
        doubtful = np.flatnonzero(of_labels[one.row]).tolist()
        assert sorted(one.superfluous + one.missing) == sorted(one.probabilities) == doubtful
        assert {*one.superfluous} <= {*one.labels} and not {*one.missing} & {*one.labels}
        assert {*one.suggested} == {*one.labels} ^ {*doubtful} and one.suggested == tuple(sorted(one.suggested))
        assert one.quality == pytest.approx(scores[one.row])
        expected = {label: pytest.approx(probabilities[one.row, label]) for label in doubtful}
        assert one.probabilities == expected
        assert all((value > 0.5) == (label in one.missing) for label, value in one.probabilities.items())


def test_added_and_removed_labels_are_found_and_counted() -> None:
    rng = np.random.default_rng(2)
    true = (rng.random((200, 3)) < 0.5).astype(np.int8)
    given = true.copy()
    given[5] ^= np.array([1, 0, 0], np.int8)
    given[9] ^= np.array([0, 1, 1], np.int8)
    noise = audited(given, logit(np.where(true > 0, 0.97, 0.02)))
    assert {one.row: one.suggested for one in noise.suspects} == {
        row: tuple(np.flatnonzero(true[row]).tolist()) for row in (5, 9)
    }
    assert noise.suspects[0].row == 9  # two of its labels are wrong
    assert noise.micro_f1 > 0.98 and noise.micro_f1_interval[0] > noise.constant_f1
    counts = {one.label: one for one in noise.counts}
    assert counts[0] == LabelCount(0, int(given[:, 0].sum()), int(given[5, 0]), int(true[5, 0]))
    assert {label: one.superfluous + one.missing for label, one in counts.items()} == {0: 1, 1: 1, 2: 1}


def test_labels_that_are_not_audited_stay_as_they_are(labels: np.ndarray, logits: np.ndarray) -> None:
    more = np.insert(labels, 1, 1, axis=1)  # all rows have the second label, about which cleanlab can say nothing
    noise = multi_label_noise(more, logits, np.array([0, 2, 3, 4]))
    whole = audited(labels, logits)
    assert [one.row for one in noise.suspects] == [one.row for one in whole.suspects]
    assert all(1 in one.labels and 1 in one.suggested and 1 not in one.probabilities for one in noise.suspects)
    numbers = {0: 0, 1: 2, 2: 3, 3: 4}
    assert [(one.label, one.rows) for one in noise.counts] == [(numbers[one.label], one.rows) for one in whole.counts]
    assert noise.micro_f1 == whole.micro_f1


def test_the_score_does_not_depend_on_how_sure_the_models_are(labels: np.ndarray, logits: np.ndarray) -> None:
    score = audited(labels, logits).micro_f1
    assert 0.7 < score < 0.99 and audited(labels, logits - 3.0).micro_f1 == pytest.approx(score)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0]])
def test_the_score_of_models_that_learnt_nothing_is_no_better_than_a_constant(
    order: list[int], labels: np.ndarray
) -> None:
    noise = audited(labels[:, order], np.random.default_rng(3).normal(0.0, 1.0, labels.shape))
    assert noise.micro_f1_interval[0] <= noise.constant_f1
    supports = np.sort(labels.sum(axis=0))[::-1]
    constant = max(2 * supports[:n].sum() / (n * ROWS + supports.sum()) for n in (1, 2, 3, 4))
    assert noise.constant_f1 == pytest.approx(constant)
