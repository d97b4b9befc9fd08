"""Rows without a text or a label: refused with the line to type, or left out and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featherweight.data.class_names import label_names_of
from featherweight.data.sources import read_rows
from featherweight.data.splits import load_part, load_splits
from featherweight.errors import UserError
from featherweight.evaluation.results import evaluate_rows, prediction_columns
from featherweight.recipe import EvaluationRecipe, Recipe

pytestmark = pytest.mark.usefixtures("as_options")

TRAIN = [{"text": f"text {number}", "label": "ab"[number % 2]} for number in range(20)]
GAPS = [{"text": " ", "label": "a"}, {"text": "no label", "label": None}, {"label": "only here"}, {"text": None}]


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def recipe(folder: Path, **data: Any) -> Recipe:
    """A recipe whose training, validation, test and shift rows all have gaps."""
    parts = {
        "train": [*GAPS, *TRAIN],
        "validation": [TRAIN[0], GAPS[1], TRAIN[1]],
        "test": [GAPS[0], TRAIN[2], {"text": "x", "label": "n/a"}, TRAIN[3], {"text": "y", "label": -1}],
    }
    shift = written(folder / "shift.jsonl", [TRAIN[4], GAPS[3]])
    files = {name: written(folder / f"{name}.jsonl", rows) for name, rows in parts.items()}
    return Recipe.parse({"data": {**files, **data}, "evaluation": {"shift": [shift, "perturbed:headline"]}})


def test_rows_with_gaps_are_left_out_of_every_part_and_counted(tmp_path: Path) -> None:
    splits = load_splits(made := recipe(tmp_path, empty="drop"))
    assert list(splits.train.texts) == [row["text"] for row in TRAIN]
    assert splits.train.label_names == ("a", "b") == label_names_of(made.data)
    assert splits.test is not None
    assert [len(splits.validation), len(splits.test), *map(len, splits.shift.values())] == [2, 2, 1, 2]
    assert list(splits.shift["perturbed:headline"].texts) == list(splits.test.texts)
    assert splits.test.labels is not None and splits.test.labels.tolist() == [0, 1]
    told = [line.removeprefix(f"{tmp_path}/") for line in splits.warnings if "left out" in line]
    assert told == [
        "train.jsonl: 4 of 24 rows left out (data.empty): 3 without a text (rows 1, 3, 4), 1 without a label (row 2)",
        "test.jsonl: 3 of 5 rows left out (data.empty): 1 without a text (row 1), 2 without a label (rows 3, 5)",
        "shift.jsonl: 1 of 2 rows left out (data.empty): 1 without a text (row 2)",
        "validation.jsonl: 1 of 3 rows left out (data.empty): 1 without a label (row 2)",
    ]
    for part in ("train", "validation", "test"):
        rows = load_part(made, part, ("a", "b"))
        assert list(rows.texts) == list(getattr(splits, part).texts)


def test_rows_are_known_by_their_place_in_the_data(tmp_path: Path) -> None:
    rows = load_part(recipe(tmp_path, empty="drop"), "test", ("a", "b"))
    logits = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert prediction_columns("test", rows, logits, 1.0)["row"].tolist() == [1, 3]
    mistakes = evaluate_rows(rows, logits, 1.0, EvaluationRecipe())["mistakes"]
    assert [mistake["row"] for mistake in mistakes] == [1, 3]


def test_a_bad_label_is_named_by_its_row_in_the_data(tmp_path: Path) -> None:
    rows = [*TRAIN[:4], GAPS[0], GAPS[1], {"text": "t", "label": "c"}]
    with pytest.raises(UserError, match=r"test\.jsonl: row 7: unknown label 'c'"):
        made = recipe(tmp_path, empty="drop")
        written(tmp_path / "test.jsonl", rows)
        load_splits(made)


@pytest.mark.parametrize(("part", "rows", "words"), [
    ("train", [*TRAIN, GAPS[0], GAPS[0]], ("row 21: the text is empty (and in 1 more rows)", "data.empty=drop")),
    ("train", [*TRAIN, GAPS[1]], ("row 21: the label is missing", "data.empty=drop")),
    ("train", [*TRAIN, {"text": "t", "label": "-"}],
     ("row 21: the label is missing (-)", "data.empty=drop", "--set 'data.labels=[\"-\", ")),
    ("train", [*TRAIN, {"text": "t", "label": "NaN"}], ("row 21: the label is missing (NaN)", "data.empty=drop")),
    ("test", [TRAIN[0], GAPS[1]], ("row 2: the label is missing (1 of 2", "data.empty=drop", "data.test=")),
    ("validation", [TRAIN[0], GAPS[1]], ("row 2: the label is missing (1 of 2", "data.empty=drop")),
])  # fmt: skip
def test_a_gap_is_refused_with_the_key_that_leaves_it_out(
    tmp_path: Path, part: str, rows: list[dict[str, Any]], words: tuple[str, ...]
) -> None:
    files = {"train": written(tmp_path / "all.jsonl", TRAIN), part: written(tmp_path / f"{part}.jsonl", rows)}
    with pytest.raises(UserError) as refused:
        load_splits(Recipe.parse({"data": files}))
    assert all(word in str(refused.value) for word in words) and str(refused.value).count("\n") <= 1


def test_data_of_gaps_alone_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "train.jsonl", GAPS)
    with pytest.raises(UserError, match="no row has both a text and a label"):
        load_splits(Recipe.parse({"data": {"train": path, "empty": "drop"}}))


@pytest.mark.parametrize(("label", "names", "rows"), [
    ("tags", (), [{"tags": ["a"]}, {"tags": None}, {"tags": []}, {"tags": ["b", "a"]}]),
    (["a", "b"], ("a", "b"), [{"a": 1, "b": 0}, {"a": -1, "b": -1}, {"a": 0, "b": 0}, {"a": 1, "b": 1}]),
    (["a", "b"], ("a", "b"), [{"a": 1, "b": 0}, {"a": 1, "b": None}, {"a": 0, "b": 0}, {"a": 1, "b": 1}]),
])  # fmt: skip
def test_of_several_labels_a_text_without_any_is_kept_and_one_of_which_nothing_is_known_is_not(
    tmp_path: Path, label: Any, names: tuple[str, ...], rows: list[dict[str, Any]]
) -> None:
    path = written(tmp_path / "rows.jsonl", [{"text": f"text {n}", **row} for n, row in enumerate(rows * 4)])
    data = {"train": path, "label": label, "empty": "drop", "validation_size": 3}
    made = Recipe.parse({"task": "multi-label", "data": data})
    rest = read_rows(path, made.data, label_names=names or None)
    assert rest.labels is not None and rest.labels.tolist() == [[1, 0], [0, 0], [1, 1]] * 4
    assert rest.left_out is not None and rest.left_out.without_label == (2, 6, 10, 14)
