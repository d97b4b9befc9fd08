"""The rows of the steps: how many steps an epoch has, and which rows in which order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from featherweight.training.batch_order import StepOrder

LENGTHS = np.random.default_rng(0).integers(5, 40, 100)


def order_of(recipe: Any, **training: Any) -> StepOrder:
    return StepOrder(LENGTHS, recipe(training={"batch_size": 8, "epochs": 3, **training}))


@pytest.mark.parametrize(("training", "steps"), [
    ({}, [13, 13, 13]),  # a hundred rows: twelve batches and a rest
    ({"accumulate": 4}, [4, 4, 4]),
    ({"epochs": 1.5}, [13, 6]),
    ({"epochs": 0.001}, [1]),
    ({"max_steps": 20}, [13, 7]),
    ({"max_steps": 13}, [13]),
])  # fmt: skip
def test_epochs_have_so_many_steps(tiny_recipe: Any, training: dict[str, Any], steps: list[int]) -> None:
    assert order_of(tiny_recipe, **training).steps_of_epochs == steps


def test_an_epoch_is_left_as_long_as_one_of_its_steps_is(tiny_recipe: Any) -> None:
    order = order_of(tiny_recipe)
    assert [order.epochs_after(step) for step in (0, 12, 13, 14, 38, 39)] == [3, 3, 2, 2, 1, 0]


def test_every_row_is_taken_once_an_epoch_and_in_another_order_by_seed_and_epoch(tiny_recipe: Any) -> None:
    orders = []
    for seed in (0, 1):
        recipe = tiny_recipe(seed=seed, training={"batch_size": 8, "epochs": 2, "accumulate": 3})
        steps = list(StepOrder(LENGTHS, recipe).from_step(0))
        taken = np.concatenate([rows for _, _, batches in steps for rows in batches])
        orders += [taken[:100].tolist(), taken[100:].tolist()]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_batch_tokens_hold_for_the_steps_of_a_run(tiny_recipe: Any) -> None:
    steps = order_of(tiny_recipe, batch_tokens=80).from_step(0)
    batches = [rows for _, _, taken in steps for rows in taken]
    assert max(len(rows) * LENGTHS[rows].max() for rows in batches) <= 80
