"""A step against the same step in PyTorch: its loss, its gradients, and its dropout."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.jobs import job_for, trained
from support.steps import Process, one_step
from torch.nn import functional

from featherweight.data.batches import collate
from featherweight.run.folder import read_history
from featherweight.training.loop import fit


class Watching:
    """A listener that looks at something after each step."""

    def __init__(self, look: Any) -> None:
        self.look, self.seen = look, []

    def started(self, total_steps: int, first_step: int, notes: Any) -> None: ...
    def noted(self, message: str) -> None: ...
    def evaluated(self, record: dict[str, Any], best: bool) -> None: ...
    def stepped(self, record: dict[str, Any]) -> None:
        self.seen.append(self.look())


def test_a_step_learns_the_weighted_mean_over_all_its_rows(tiny_recipe: Any, tmp_path: Path) -> None:
    weights = [1.0, 3.0, 0.5]
    job = job_for(tiny_recipe(training={"class_weights": weights, "clip": 0}), tmp_path / "run")
    batches = [np.arange(5), np.arange(5, 7)]
    record, gradients = one_step(job, batches)
    batch = collate(job.train, np.arange(7), job.pad_id)
    logits = job.network(*batch.inputs("cpu"))
    expected = functional.cross_entropy(logits, batch.labels, weight=torch.tensor(weights))
    assert record["loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert record["accuracy"] == pytest.approx(float((logits.argmax(1) == batch.labels).float().mean()))
    assert (record["rows"], record["tokens"]) == (7, int(job.train.lengths[:7].sum()))
    names, parameters = zip(*job.network.trainable().items(), strict=True)
    for name, wanted in zip(names, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(gradients[name], wanted, rtol=1e-4, atol=1e-6)


def test_step_seed_and_process_draw_their_dropout_apart(tiny_recipe: Any, tmp_path: Path) -> None:
    drawn = []
    for seed in (0, 1):
        job = job_for(tiny_recipe(seed=seed), tmp_path / f"run-{seed}")
        for step, index in itertools.product((0, 1), (0, 1)):
            one_step(job, [np.arange(4)], Process(index, 2), step)
            drawn.append(torch.initial_seed())
    assert len(set(drawn)) == len(drawn)


def test_dropout_is_on_in_every_step_before_and_after_an_evaluation(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(adapter={"dropout": 0.2}, training={"evaluate_every": 2, "max_steps": 5})
    job = job_for(recipe, tmp_path / "run")
    watching = Watching(lambda: {module.training for module in job.network.modules()})
    job.listeners = [watching]
    fit(job)
    assert watching.seen == [{True}] * 5


def test_gradients_are_those_of_the_step_alone(tiny_recipe: Any, tmp_path: Path) -> None:
    """Without a learning rate to speak of, one batch gives the same gradient in each epoch."""
    recipe = tiny_recipe(training={"batch_size": 64, "epochs": 3, "learning_rate": 1e-12, "clip": 0})
    trained(recipe, tmp_path / "run")
    norms = [r["grad_norm"] for r in read_history(tmp_path / "run" / "history.jsonl") if r["kind"] == "step"]
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-4)
