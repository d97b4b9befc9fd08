"""The schedule and the validation rows that are chosen for data of a user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.reviews import write_reviews

from featherweight import recipe_for
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.workflows.check import check
from featherweight.workflows.own_data import draft_recipe
from featherweight.workflows.schedule import epochs_for, schedule_for, validation_size_for


@pytest.mark.parametrize(("rows", "classes", "epochs"), [
    (50, 2, 20), (200, 2, 12), (900, 4, 6), (4_000, 3, 4), (20_000, 4, 3), (100_000, 4, 2),
    (15_000, 150, 4), (770, 77, 6),
])  # fmt: skip
def test_fewer_rows_are_seen_more_often(rows: int, classes: int, epochs: int) -> None:
    assert epochs_for(rows, classes) == epochs


@pytest.mark.parametrize("rows", [6, 100, 999, 5_000, 80_000])
@pytest.mark.parametrize("overrides", [[], ["training.batch_size=64"], ["training.accumulate=3"]])
def test_an_epoch_has_an_evaluation(rows: int, overrides: list[str]) -> None:
    recipe = Recipe.parse({"data": {"validation_size": validation_size_for(rows, 2)}}, "rows", overrides)
    chosen = schedule_for(recipe, rows, 2)
    train = rows - round(recipe.data.validation_size * rows)
    steps = train // (chosen["batch_size"] * recipe.training.accumulate)
    assert 1 <= chosen["evaluate_every"] <= max(1, steps)


@pytest.mark.parametrize(("data", "overrides", "rows", "batch", "every"), [
    ({"validation_size": 0.2}, [], 1_000, 16, 50),
    ({"validation_size": 200}, [], 1_000, 16, 50),
    ({"validation": "dev.csv"}, [], 1_000, 16, 62),
    ({"validation": "dev.csv"}, [], 5_000, 16, 312),
    ({"validation": "dev.csv"}, [], 5_001, 32, 156),
    ({"validation": "dev.csv"}, ["training.accumulate=2"], 5_001, 32, 78),
    ({"validation": "dev.csv", "train_rows": 320}, [], 80_000, 16, 20),
    ({"validation": "dev.csv"}, [], 80_000, 32, 500),
    ({"validation": "dev.csv"}, ["training.batch_size=64"], 5_000, 64, 78),
])  # fmt: skip
def test_batches_and_evaluations_follow_from_the_rows_that_are_trained_on(
    data: dict[str, Any], overrides: list[str], rows: int, batch: int, every: int
) -> None:
    chosen = schedule_for(Recipe.parse({"data": data}, "rows", overrides), rows, 2)
    assert (chosen["batch_size"], chosen["evaluate_every"]) == (batch, every)


def test_a_training_of_few_steps_is_evaluated_before_its_end() -> None:
    recipe = Recipe.parse({"training": {"max_steps": 5}})
    assert schedule_for(recipe, 1_000, 2)["evaluate_every"] == 2


@pytest.mark.parametrize(("budget", "rate"), [("10k", 4e-3), ("20k", 4e-3), ("100k", 5e-4), ("1M", 5e-4)])
def test_a_small_budget_has_a_higher_learning_rate_unless_the_user_sets_one(
    tmp_path: Path, budget: str, rate: float
) -> None:
    file = str(tmp_path / "reviews.csv")
    write_reviews(file)
    draft = draft_recipe(file, [f"budget={budget}"])
    assert draft.recipe.training.learning_rate == rate
    assert (f"learning rate {rate:g}" in draft.notes[1]) == (rate != 5e-4)
    own = draft_recipe(file, [f"budget={budget}", "training.learning_rate=2e-4"])
    assert own.recipe.training.learning_rate == 2e-4 and "learning rate 0.0002" in own.notes[1]


def test_every_class_has_a_validation_row() -> None:
    assert validation_size_for(200, 2) == validation_size_for(999, 2) == 0.2
    assert validation_size_for(1_000, 2) == 0.1
    assert validation_size_for(30, 6) == 0.2 and validation_size_for(30, 7) == 7
    assert validation_size_for(20_000, 4) == 0.1
    assert validation_size_for(300, 77) == 77


def test_with_several_labels_no_part_needs_a_row_of_each(tmp_path: Path, tiny_backbones: dict[str, Path]) -> None:
    names = [f"topic {number}" for number in range(54)]
    rows = [{"text": f"a text, number {n}", "labels": [names[n], names[(n + 14) % 54]]} for n in range(40)]
    path = tmp_path / "topics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    recipe = recipe_for(path, backbone=str(tiny_backbones["bert"]))
    assert recipe.data.validation_size == 0.2 and len(load_splits(recipe).validation) == 8
    assert check(recipe, own_split=True).refusals == ()
    with pytest.raises(UserError, match=r"40 rows cannot give 40 validation rows: .* need at least one row each"):
        load_splits(recipe.with_values(data={"validation_size": 40}))


def test_a_validation_part_that_is_not_used_is_left_out_with_a_note(reviews: str) -> None:
    folder = Path("parts")
    folder.mkdir()
    write_reviews(folder / "train.csv")
    write_reviews(folder / "dev.csv")
    assert recipe_for(folder).data.validation == "parts"
    draft = draft_recipe("parts", ["data.validation_size=0.25"])
    assert draft.notes[2].startswith("parts has a validation part, but data.validation_size is set: it is left out;")
    assert (draft.recipe.data.validation, len(load_splits(draft.recipe).validation)) == (None, 10)
    (folder / "dev.csv").write_text("review\na good film\n", "utf-8")
    draft = draft_recipe("parts")
    assert "has no labels (no column 'sentiment'): it is left out; validation rows are split off" in draft.notes[2]
    assert (draft.recipe.data.validation, len(load_splits(draft.recipe).validation)) == (None, 8)
