"""Test rows that lack some labels, or whose labels may stand in a column of another name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from support.unlabelled import LEFT_OUT, NEWS, fresh, notes, recipe, write

from featherweight.data.readers import hub
from featherweight.data.splits import load_splits
from featherweight.errors import UserError

pytestmark = pytest.mark.usefixtures("as_options")

MINUS_ONE = "the label is -1, which means no label"
OUT = "Remove these rows, or leave such rows out: --set data.empty=drop, or leave the test out with --set data.test="


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("train.csv", NEWS)


@pytest.mark.parametrize(("column", "naming"), [
    ({"target": [-1, 1, 0, 1]}, f"test.csv: row 1: {MINUS_ONE} (1 of 4 rows has none)\n{OUT}"),
    ({"target": [1, -1, "", -1]}, f"test.csv: row 2: {MINUS_ONE} (3 of 4 rows have none)\n{OUT}"),
    ({"target": [1, 0, "", 1]}, f"test.csv: row 3: the label is missing (1 of 4 rows has none)\n{OUT}"),
    ({"target": [1, "nan", "?", -1]}, "test.csv: row 2: the label is missing (3 of 4 rows have none)"),
    ({"target": "unknown"}, "test.csv: row 1: unknown label 'unknown'"),
    ({"target": -2}, "test.csv: row 1: unknown label '-2'"),
    ({"tarjet": 1}, "test.csv: no column 'target', but 'tarjet' seems to hold the labels; rename it to 'target'"),
    ({"tarjet": "other"}, "'tarjet' seems to hold the labels"),
    ({"Label": "positive"}, "'Label' seems to hold the labels"),
    ({"tarjet": 1}, "If it has no labels, leave the test out with --set data.test="),
    ({"target_class": "x"}, "'target_class' seems to hold the labels"),
    ({"Target": 1, "TARGET": 1}, "'Target' seems to hold the labels"),
])  # fmt: skip
def test_a_test_with_some_labels_is_never_left_out(column: dict[str, Any], naming: str) -> None:
    wanted = recipe(test=write("test.csv", fresh(**column)))
    with pytest.raises(UserError) as caught:
        load_splits(wanted)
    assert naming in str(caught.value)


def test_the_text_column_is_never_offered_as_the_labels() -> None:
    write("train.csv", [{"id": n, "text": "a"} for n in range(9)])
    with pytest.raises(UserError, match="no column 'target'; its columns are: id, text"):
        load_splits(recipe())


def test_a_column_of_the_training_data_is_no_misnamed_label() -> None:
    write("train.csv", [row | {"target_text": str(row["target"])} for row in NEWS])
    splits = load_splits(recipe(test=write("test.csv", fresh(target_text="1", keyword=""))))
    assert splits.test is None and len(notes(splits)) == 1


def test_the_label_column_of_published_ag_news_may_be_misnamed_in_the_test() -> None:
    Path("train.csv").write_text("".join(f'{n % 4 + 1},"Title {n}","Text {n}"\n' for n in range(40)), "utf-8")
    test = write("test.csv", [{"class": 1, "title": "New", "description": "text"}])
    with pytest.raises(UserError, match="no column 'label', but 'class' seems to hold the labels"):
        load_splits(recipe(label="label", test=test))


@pytest.mark.parametrize("values", [[1, 0, "", 1], 0, ["0", "1", "1", -1]])
def test_a_column_of_numbers_that_are_classes_too_is_named_in_the_note(values: Any) -> None:
    splits = load_splits(recipe(test=write("test.csv", fresh(outcome=values))))
    like_labels = "'outcome' contains only names of classes: if these are the labels, rename it to 'target'"
    assert splits.test is None
    assert notes(splits)[0].startswith(f"test.csv has no labels (no column 'target'; {like_labels}): {LEFT_OUT}")


def test_no_other_column_is_named_in_the_note() -> None:
    write("train.csv", [row | {"target": ["no", "yes"][row["id"] % 2]} for row in NEWS])
    for column, named in ((["yes", "no", "no", "no"], True), (["yes", "no", "maybe", "no"], False)):
        splits = load_splits(recipe(test=write("test.csv", fresh(spoilt=column))))
        assert ("'spoilt' contains only names of classes" in notes(splits)[0]) == named


def test_a_column_of_names_that_only_the_classes_have_is_most_likely_the_labels() -> None:
    write("train.csv", [row | {"target": ["bird", "fruit"][row["id"] % 2]} for row in NEWS])
    with pytest.raises(UserError, match="no column 'target', but 'kind' seems to hold the labels; rename it"):
        load_splits(recipe(test=write("test.csv", fresh(kind=["bird", "", "fruit", "bird"]))))


@pytest.mark.parametrize(("column", "told"), [
    ({"labels": [1, 0, 0, 1]}, "news (test): no column 'target', but 'labels' seems to hold the labels"),
    ({"target": [1, -1, 0, -1]}, "news (test): row 2: the label is -1, which means no label (2 of 4 rows have none)"),
])  # fmt: skip
def test_nobody_is_told_to_edit_a_set_on_the_hub(
    monkeypatch: pytest.MonkeyPatch, column: dict[str, list[int]], told: str
) -> None:
    rows = {"text": [f"text {n}" for n in range(20)], "target": [n % 2 for n in range(20)]}
    texts = {"text": [f"new {n}" for n in range(4)]}
    splits = {"train": datasets.Dataset.from_dict(rows), "test": datasets.Dataset.from_dict(texts | column)}
    monkeypatch.setattr(hub, "_load_hub", lambda *_: splits)
    with pytest.raises(UserError) as caught:
        load_splits(recipe(train="news"))
    (first, *rest) = str(caught.value).split("\n")
    assert first == told and "remove" not in rest[0] and rest[0].endswith("eave the test out with --set data.test=")
    assert load_splits(recipe(train="news", test="")).test is None
    splits["test"] = datasets.Dataset.from_dict(texts | {"idiom": [1, 0, 0, 1]})
    note = f"news (test) has no labels (no column 'target'; 'idiom' contains only names of classes): {LEFT_OUT} news"
    assert notes(load_splits(recipe(train="news")))[0].startswith(note)


@pytest.mark.parametrize("shift", [False, True])
def test_no_part_is_taken_with_gaps_in_its_labels(shift: bool) -> None:
    name = write("rows.csv", fresh(target=[0, 1, -1, -1]))
    with pytest.raises(UserError) as caught:
        load_splits(recipe((name,)) if shift else recipe(validation=name))
    told = "rows.csv: row 3: the label is -1, which means no label (2 of 4 rows have none)"
    assert str(caught.value) == f"{told}\nRemove these rows, or leave such rows out: --set data.empty=drop"
