"""`check` finds what a training would refuse, by the training's own code: not the first fault alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from featherweight.data.inspection import inspect_data
from featherweight.data.refusals import refusals
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.recipe import Recipe

pytestmark = pytest.mark.usefixtures("as_options")

Rows = list[dict[str, Any]]
GOOD: Rows = [{"text": f"text {number}", "label": "ab"[number % 2]} for number in range(20)]


@pytest.fixture
def recipe(tmp_path: Path) -> Any:
    def make(train: Rows, shift: Rows | None = None, **more: Any) -> Recipe:
        """Rows become files; whatever else is a key of [data]."""
        data: dict[str, Any] = {}
        for name, given in {"train": train, **more}.items():
            data[name] = given
            if isinstance(given, list):
                data[name] = str(tmp_path / f"{name}.jsonl")
                Path(data[name]).write_text("".join(json.dumps(row) + "\n" for row in given), "utf-8")
        if shift is not None:
            (tmp_path / "shift.jsonl").write_text("".join(json.dumps(row) + "\n" for row in shift), "utf-8")
        return Recipe.parse({"data": data, "evaluation": {"shift": [str(tmp_path / "shift.jsonl")] if shift else []}})

    return make


ALONE = {"text": "alone", "label": "c"}
GAP = {"text": " ", "label": "a"}


@pytest.mark.parametrize(("parts", "words"), [
    ({"train": GOOD}, []),
    ({"train": [*GOOD, ALONE]}, ["class 'c' has 1 row"]),
    ({"train": [*GOOD, GAP, ALONE]}, ["row 21: the text is empty", "class 'c' has 1 row"]),
    ({"train": [*GOOD, GAP, ALONE], "empty": "drop"}, ["class 'c' has 1 row"]),
    ({"train": GOOD[::2]}, ["every training row has the label 'a'"]),
    ({"train": GOOD, "test": [ALONE, GAP]}, ["test.jsonl: row 2: the text is empty", "row 1: unknown label 'c'"]),
    ({"train": GOOD, "test": [{"text": "t", "label": "a"}, {"text": "t"}]}, ["row 2: the label is missing (1 of 2"]),
    ({"train": GOOD, "validation": [ALONE], "test": [ALONE]}, ["test.jsonl: row 1", "validation.jsonl: row 1"]),
    ({"train": GOOD, "shift": [ALONE]}, ["shift.jsonl: row 1: unknown label 'c'"]),
    ({"train": [{**row, "label": [row["label"]] * 2} for row in GOOD]}, ["train.jsonl: row 1"]),
    ({"train": GOOD, "train_rows": 1}, ["data.train_rows = 1"]),
    ({"train": GOOD, "validation_size": 19}, ["cannot give 19 validation rows"]),
])  # fmt: skip
def test_each_part_and_cause_has_its_message(recipe: Any, parts: dict[str, Any], words: list[str]) -> None:
    made = recipe(**parts)
    found = refusals(made)
    assert len(found) == len(words), found
    assert all(any(word in message for message in found) for word in words)
    if not words:
        load_splits(made)
        return
    with pytest.raises(UserError) as refused:
        load_splits(made)
    assert str(refused.value) in found


def test_labels_that_no_training_row_has_are_all_named_with_their_rows(recipe: Any) -> None:
    test = [{"text": str(n), "label": label} for n, label in enumerate(["a", "c", "c", "d", " B"])]
    found = inspect_data(recipe(GOOD, test=test).data)
    assert found.parts["test"].strange == {"c": 2, "d": 1, "B": 1}
    assert found.parts["train"].strange == {}


def test_labels_are_counted_as_the_classes_are_spelled(recipe: Any) -> None:
    train = [{"text": str(n), "label": n % 3 > 0} for n in range(9)]
    found = inspect_data(recipe(train, test=[{"text": "x", "label": "True"}, {"text": "y", "label": "FALSE"}]).data)
    assert found.parts["train"].labels == {"true": 6, "false": 3}
    assert found.parts["test"].strange == {}


@pytest.mark.parametrize("label", ["tags", ["a", "b"]])
def test_each_of_several_labels_is_counted(recipe: Any, label: str | list[str]) -> None:
    rows = [{"tags": ["a", "b"], "a": 1, "b": 1}, {"tags": [], "a": 0, "b": 0}, {"tags": ["b"], "a": 0, "b": 1}]
    data = recipe([{"text": f"t {n}", **row} for n, row in enumerate(rows * 4)], label="tags").data
    made = Recipe.parse({"task": "multi-label", "data": {"train": data.train, "label": label}})
    part = inspect_data(made.data).parts["train"]
    assert (part.labels, part.unlabelled) == ({"b": 8, "a": 4}, 0)
