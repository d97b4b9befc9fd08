"""Steps that learn from teachers: the loss and its gradients against the same step written down in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.jobs import job_for
from support.steps import one_step
from torch.nn import functional
from training.test_r_drop import assert_step, two_passes, with_weights

from featherweight.training.loop import Job

WEIGHT, TEMPERATURE, ROWS = 0.3, 3.0, np.arange(7)
KEYS = {"teacher_weight": WEIGHT, "teacher_temperature": TEMPERATURE, "clip": 0}


def with_teacher(job: Job, *, several: bool = False) -> Job:
    """``job`` with random probabilities of a teacher."""
    numbers = np.random.default_rng(3).random((len(job.train), 3)).astype(np.float32)
    job.teacher = numbers if several else numbers / numbers.sum(1, keepdims=True)
    return with_weights(job)


def kl_of(job: Job, rows: np.ndarray, logits: torch.Tensor) -> torch.Tensor:
    target = torch.from_numpy(job.teacher[rows])  # type: ignore[index]
    return functional.kl_div(functional.log_softmax(logits / TEMPERATURE, -1), target, reduction="batchmean")


@pytest.mark.parametrize("engine", ["lean", "transformers"])
def test_a_step_learns_labels_and_teachers_in_their_shares(
    tiny_recipe: Any, finished_run: Any, tmp_path: Path, engine: str
) -> None:
    weights = [1.0, 3.0, 0.5]
    training = {**KEYS, "teacher": str(finished_run.folder), "class_weights": weights, "label_smoothing": 0.1}
    job = with_teacher(job_for(tiny_recipe(training=training), tmp_path / "run"))
    if engine == "transformers":
        job.network.lean = None
    record, gradients = one_step(job, [ROWS[:4], ROWS[4:]])
    batch, logits, _ = two_passes(job)
    labels = batch.labels[: len(ROWS)]
    loss = functional.cross_entropy(logits, labels, weight=torch.tensor(weights), label_smoothing=0.1)
    divergence = kl_of(job, batch.rows[: len(ROWS)], logits)
    assert_step(job, record, gradients, (1 - WEIGHT) * loss + WEIGHT * TEMPERATURE**2 * divergence)


def test_with_r_drop_both_passes_learn_from_the_teachers(tiny_recipe: Any, finished_run: Any, tmp_path: Path) -> None:
    training = {**KEYS, "teacher": str(finished_run.folder), "r_drop": 2.0}
    job = with_teacher(job_for(tiny_recipe(adapter={"dropout": 0.4}, training=training), tmp_path / "run"))
    record, gradients = one_step(job, [ROWS])
    batch, first, second = two_passes(job)
    labels, rows = batch.labels[: len(ROWS)], batch.rows[: len(ROWS)]
    losses = [
        (1 - WEIGHT) * functional.cross_entropy(logits, labels) + WEIGHT * TEMPERATURE**2 * kl_of(job, rows, logits)
        for logits in (first, second)
    ]
    logs = [functional.log_softmax(logits, -1) for logits in (first, second)]
    both = [functional.kl_div(*pair, reduction="batchmean", log_target=True) for pair in (logs, logs[::-1])]
    assert_step(job, record, gradients, sum(losses) / 2 + 2.0 * sum(both) / 2)


def test_with_several_labels_each_label_has_a_teachers_probability(
    tiny_recipe: Any, several_run: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe(training={**KEYS, "teacher": str(several_run)}, task="multi-label")
    job = with_teacher(job_for(recipe, tmp_path / "run"), several=True)
    record, gradients = one_step(job, [ROWS])
    batch, logits, _ = two_passes(job)
    loss = functional.binary_cross_entropy_with_logits(logits, batch.labels[: len(ROWS)].float())
    teacher = torch.distributions.Bernoulli(probs=torch.from_numpy(job.teacher[batch.rows[: len(ROWS)]]))
    student = torch.distributions.Bernoulli(logits=logits / TEMPERATURE)
    divergence = torch.distributions.kl_divergence(teacher, student).mean()
    assert_step(job, record, gradients, (1 - WEIGHT) * loss + WEIGHT * TEMPERATURE**2 * divergence)


@pytest.fixture
def several_run(exports: Any, tiny_recipe: Any) -> Path:
    """An export of a classifier with several labels a text."""
    exports.add("several-teacher", tiny_recipe(task="multi-label", adapter={"head": "native"}))
    return exports[("several-teacher", "merged")]
