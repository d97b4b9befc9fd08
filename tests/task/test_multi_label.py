"""Several labels a text: thresholds, probabilities, and the loss beside PyTorch's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss, precision_recall_curve

from featherweight.errors import UserError
from featherweight.task.interface import task_of
from featherweight.task.loss import loss_of
from featherweight.task.multi_label import MultiLabel, best_cut

LOGITS = np.random.default_rng(0).normal(-1, 2, (300, 5))
LABELS = (np.random.default_rng(1).normal(LOGITS, 2) > 0).astype(np.int8)


def test_probabilities_are_sigmoids_and_log_losses_those_of_scikit_learn() -> None:
    task = MultiLabel()
    probabilities = task.probabilities(LOGITS, 2.0)
    assert probabilities == pytest.approx(1 / (1 + np.exp(-LOGITS / 2)))
    columns = range(LABELS.shape[1])
    expected = np.mean([log_loss(LABELS[:, k], probabilities[:, k]) for k in columns])
    assert task.log_losses(LOGITS / 2, LABELS).mean() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_gives_the_highest_f1_that_any_threshold_gives(seed: int) -> None:
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 1, 40).round(1)  # some of them equal
    labels = (draw.random(40) < 0.3).astype(np.int8)
    labels[0] = 1
    precision, recall, _ = precision_recall_curve(labels, logits)
    best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert f1_score(labels, logits >= best_cut(logits, labels)) == pytest.approx(best)


def test_a_cut_is_one_half_where_that_is_as_good_and_where_nothing_is_known() -> None:
    assert best_cut(np.array([-3.0, 2.0]), np.array([0, 1])) == 0.0
    assert best_cut(np.array([-3.0, -2.0]), np.array([0, 0])) == 0.0
    assert best_cut(np.array([3.0, 2.0]), np.array([1, 0])) == 2.5
    assert best_cut(np.array([-3.0, -2.0]), np.array([1, 1])) < -3.0


def test_thresholds_hold_for_scaled_probabilities_and_reach_the_decision() -> None:
    task = MultiLabel().fitted(LOGITS, LABELS, 1.7)
    each = [f1_score(LABELS[:, k], LOGITS[:, k] >= best_cut(LOGITS[:, k], LABELS[:, k])) for k in range(5)]
    assert f1_score(LABELS, task.predict(LOGITS, 1.7), average=None) == pytest.approx(each)
    assert MultiLabel().with_thresholds(task.thresholds) == task
    assert len(set(task.thresholds)) == 5
    assert MultiLabel((0.25, 0.5)).decide(np.array([[0.25, 0.499]])).tolist() == [[1, 0]]  # reaching it is enough


@pytest.mark.parametrize("weights", ["none", "balanced", [0.5, 1.0, 2.0, 3.0, 4.0]])
def test_the_loss_is_bce_with_logits_in_whatever_pieces(tiny_recipe: Any, weights: Any) -> None:
    recipe = tiny_recipe(task="multi-label", training={"class_weights": weights})
    loss = loss_of(recipe, LABELS, 5)
    logits, labels = torch.from_numpy(LOGITS).float().requires_grad_(), torch.from_numpy(LABELS)
    counts = LABELS.sum(axis=0)
    positive = {"none": np.ones(5), "balanced": (300 - counts) / counts}.get(str(weights), np.array(weights))
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.as_tensor(positive, dtype=torch.float32))
    expected = theirs(logits, labels.float())
    pieces = [loss.summed(logits[rows], labels[rows]) for rows in (slice(0, 70), slice(70, 300))]
    found = sum(pieces) / loss.divisor(labels)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    gradients = [torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (found, expected)]
    assert torch.allclose(*gradients, atol=1e-8)
    assert loss.of_all(LOGITS, LABELS) == pytest.approx(
        float(torch.nn.BCEWithLogitsLoss()(torch.from_numpy(LOGITS), labels.double()))
    )


def test_smoothing_moves_targets_towards_one_half(tiny_recipe: Any) -> None:
    loss = loss_of(tiny_recipe(task="multi-label", training={"label_smoothing": 0.2}), LABELS, 5)
    logits, labels = torch.from_numpy(LOGITS).float(), torch.from_numpy(LABELS)
    expected = torch.nn.BCEWithLogitsLoss()(logits, labels * 0.8 + 0.1)
    assert float(loss.summed(logits, labels) / loss.divisor(labels)) == pytest.approx(float(expected), rel=1e-6)


def test_the_score_of_a_step_is_micro_f1_at_one_half(tiny_recipe: Any) -> None:
    loss = loss_of(tiny_recipe(task="multi-label"), LABELS, 5)
    logits, labels = torch.from_numpy(LOGITS), torch.from_numpy(LABELS)
    counts = sum(loss.counts(logits[rows], labels[rows]) for rows in (slice(0, 70), slice(70, 300)))
    assert loss.score(counts.tolist(), 300) == pytest.approx(f1_score(LABELS, LOGITS > 0, average="micro"))
    nothing = torch.zeros(2, 5, dtype=torch.int8)
    assert loss.score(loss.counts(nothing - 1.0, nothing).tolist(), 2) == 1.0


def test_wrong_numbers_of_weights_are_refused(tiny_recipe: Any) -> None:
    for weights, words in (([1.0, 2.0], "2 numbers; the data has 5 labels"), ([0.0] * 5, "above 0")):
        with pytest.raises(UserError, match=words):
            loss_of(tiny_recipe(task="multi-label", training={"class_weights": weights}), LABELS, 5)


def test_the_task_of_a_recipe_is_the_one_that_it_names(tiny_recipe: Any) -> None:
    assert task_of(tiny_recipe()).name == "single-label"
    assert task_of(tiny_recipe(task="multi-label")).name == "multi-label"
