"""The seconds of a training over a resume, and when a checkpoint is due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.jobs import job_for

from featherweight.recipe import TrainingRecipe
from featherweight.training.checkpoint import load_checkpoint, save_checkpoint
from featherweight.training.clock import Clock
from featherweight.training.loop import Interrupted, fit
from featherweight.training.optimizer import build_optimizer


def test_a_resumed_run_counts_its_seconds_on(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(training={"max_steps": 4})
    calls = iter(range(1, 100))
    with pytest.raises(Interrupted):
        fit(job_for(recipe, tmp_path / "run", lambda: 15 if next(calls) == 2 else 0))
    newest = tmp_path / "run" / "checkpoint" / "step-2"
    job = job_for(recipe, tmp_path / "run")
    optimizer = build_optimizer(job.network.trainable(), recipe.training)
    state, best, _ = load_checkpoint(newest.parent, job.network.trainable(), optimizer, {})
    save_checkpoint(newest.parent, job.network.trainable(), best, optimizer, {**state, "seconds": 5000.0})
    assert fit(job, resume=True).seconds > 5000


def test_a_checkpoint_is_due_after_so_many_steps_or_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("featherweight.training.clock.time.perf_counter", lambda: now)
    clock, training = Clock(0.0), TrainingRecipe(checkpoint_steps=10, checkpoint_seconds=60)
    assert [clock.checkpoint_due(step, training) for step in (9, 10, 11)] == [False, True, False]
    now = 161.0
    assert clock.checkpoint_due(12, training)
    now = 220.0  # 59 seconds after the last one
    assert not clock.checkpoint_due(13, training)
