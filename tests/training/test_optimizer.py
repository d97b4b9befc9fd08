"""The optimizer and its learning rate, against references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.jobs import job_for, trained
from support.stops import StopAfter
from torch import nn
from transformers import get_linear_schedule_with_warmup

from featherweight.recipe import TrainingRecipe
from featherweight.run.folder import read_history
from featherweight.training.loop import fit
from featherweight.training.optimizer import build_optimizer, rate_factor, too_long_warmup, warmup_steps


def test_each_step_has_the_rate_of_its_schedule(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(training={"warmup": 4, "learning_rate": 2e-3})
    _, state = trained(recipe, tmp_path / "run")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2e-3)
    schedule = get_linear_schedule_with_warmup(optimizer, 4, state.step)
    expected = []
    for _ in range(state.step):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    records = [record for record in read_history(tmp_path / "run" / "history.jsonl") if record["kind"] == "step"]
    assert [record["learning_rate"] for record in records] == pytest.approx(expected)


def test_a_training_of_one_step_has_the_rate_of_the_recipe(tiny_recipe: Any, tmp_path: Path) -> None:
    trained(tiny_recipe(training={"max_steps": 1, "learning_rate": 2e-3}), tmp_path / "run")
    (record,) = (one for one in read_history(tmp_path / "run" / "history.jsonl") if one["kind"] == "step")
    assert record["learning_rate"] == pytest.approx(2e-3)
    assert [warmup_steps(0.06, steps) for steps in (1, 2, 16, 17)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("warmup", "steps", "noted"), [(4, 5, False), (5, 5, True), (0.9, 5, True), (0.06, 2, False), (9, 1, False)]
)
def test_a_warmup_that_takes_all_steps_is_noted(warmup: float, steps: int, noted: bool) -> None:
    training = TrainingRecipe(warmup=warmup, learning_rate=2e-3)
    highest = max(rate_factor(step, steps, warmup_steps(warmup, steps), training) for step in range(steps))
    assert (highest < 1) == noted
    notes = too_long_warmup(training, steps)
    assert len(notes) == noted
    told = f"training.warmup = {warmup:g} takes all 5 steps: the learning rate does not reach 0.002; for a shorter one,"
    assert all(note.startswith(told) for note in notes)


def test_a_training_notes_a_warmup_that_takes_all_of_its_steps(tiny_recipe: Any, tmp_path: Path) -> None:
    notes: list[str] = []

    class Notes(StopAfter):
        def started(self, total_steps: int, first_step: int, of_start: list[str]) -> None:
            notes.extend(of_start)

    recipe = tiny_recipe(training={"warmup": 100, "max_steps": 2})
    fit(job_for(recipe, tmp_path / "run", listeners=[Notes(0, lambda: None)]))
    assert [note for note in notes if "training.warmup = 100 takes all 2 steps" in note]


def test_decay_shrinks_a_matrix_by_rate_times_decay_and_touches_no_moment() -> None:
    trainable = {"matrix": nn.Parameter(torch.full((2, 2), 3.0)), "bias": nn.Parameter(torch.full((2,), 3.0))}
    optimizer = build_optimizer(trainable, TrainingRecipe(learning_rate=0.01, weight_decay=0.5))
    for parameter in trainable.values():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(trainable["matrix"].data, torch.full((2, 2), 3.0 * (1 - 0.01 * 0.5)))
    torch.testing.assert_close(trainable["bias"].data, torch.full((2,), 3.0))


def test_part_of_a_step_is_a_whole_step_of_warmup_and_one_is_a_number_of_steps() -> None:
    assert (warmup_steps(0.06, 30), warmup_steps(0.5, 5), warmup_steps(1, 200)) == (2, 3, 1)
