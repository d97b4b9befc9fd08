"""The optimizer and its learning rate, against references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.jobs import trained
from torch import nn
from transformers import get_linear_schedule_with_warmup

from featherweight.recipe import TrainingRecipe
from featherweight.run.folder import read_history
from featherweight.training.optimizer import build_optimizer, warmup_steps


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
