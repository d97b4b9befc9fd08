"""Keys of a recipe that are set and have no effect are noted."""

from __future__ import annotations

from typing import Any

import pytest

from featherweight.workflows.prepare import notes_on_unused


@pytest.mark.parametrize(("settings", "notes"), [
    ({}, []),
    ({"schedule": "wsd", "decay": 0.3}, []),
    ({"decay": 0.3}, ["training.decay = 0.3 has no effect without training.schedule = \"wsd\""]),
    ({"teacher_weight": 0.7}, ["training.teacher_weight = 0.7 has no effect without training.teacher"]),
    ({"soup_choice": "greedy"}, ['training.soup_choice = "greedy" has no effect without training.soup']),
])  # fmt: skip
def test_keys_that_have_no_effect_are_noted(tiny_recipe: Any, settings: dict[str, Any], notes: list[str]) -> None:
    assert notes_on_unused(tiny_recipe(training=settings)) == notes


@pytest.mark.parametrize(("settings", "notes"), [
    ({"pooling": "first"}, []),
    ({"pooling": "first", "head": "native"}, [
        'adapter.pooling = "first" has no effect without adapter.head = "linear"',
    ]),
    ({"dropout": 0.1, "dora": True}, []),
    ({"dropout": 0.1, "dora": True, "lora": []}, [
        "adapter.dropout = 0.1 has no effect without adapter.lora",
        "adapter.dora = true has no effect without adapter.lora",
    ]),
])  # fmt: skip
def test_keys_of_the_adapter_that_have_no_effect_are_noted(
    tiny_recipe: Any, settings: dict[str, Any], notes: list[str]
) -> None:
    assert notes_on_unused(tiny_recipe(adapter=settings)) == notes
