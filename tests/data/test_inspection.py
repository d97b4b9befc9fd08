"""`check` sees what is wrong with a data set before a training does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from featherweight.data.inspection import PartInspection, inspect_data
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe

TRAIN = """text,label
one,a
one,b
two,a
 two ,a
,a
three,
four,b
"""
TEST = "text,label\none,a\nnew,b\nfour,b\n"


@pytest.fixture
def data(tmp_path: Path) -> DataRecipe:
    (tmp_path / "train.csv").write_text(TRAIN)
    (tmp_path / "test.csv").write_text(TEST)
    return DataRecipe(train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"), max_length=8)


def test_faults_are_counted_not_refused(data: DataRecipe) -> None:
    inspection = inspect_data(data)
    train = inspection.parts["train"]
    assert (train.rows, train.columns) == (7, ("text", "label"))
    assert (train.text_columns, train.label_column) == (("text",), "label")
    assert train.labels == {"a": 4, "b": 2}
    assert (train.unlabelled, train.empty) == (1, [5])
    assert (train.repeated, train.contradicting) == (2, 1)
    assert train.tokens is None
    assert inspection.shared == {"test": 2}


def test_the_built_in_set_is_sound() -> None:
    inspection = inspect_data(DataRecipe())
    assert inspection.shared == {"test": 0}
    for part in inspection.parts.values():
        assert len(set(part.labels.values())) == 1 and len(part.labels) == 4
        assert (part.empty, part.repeated, part.contradicting, part.unlabelled) == ([], 0, 0, 0)


def test_numbers_get_the_recipes_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,1\ny,0\nz,1\n")
    data = DataRecipe(train=str(tmp_path / "a.csv"), labels=("no", "yes"))
    assert inspect_data(data).parts["train"].labels == {"yes": 2, "no": 1}


def test_a_file_without_labels_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ID,text\n1,x\n")
    part = inspect_data(DataRecipe(train=str(tmp_path / "a.csv"))).parts["train"]
    assert (part.label_column, part.labels) == (None, {})


def test_a_missing_text_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("body,label\nx,1\n")
    with pytest.raises(UserError, match="no column 'text'"):
        inspect_data(DataRecipe(train=str(tmp_path / "a.csv")))


def test_token_lengths_say_what_a_cut_takes(data: DataRecipe, tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text,label\nnews,a\n" + "news " * 10 + ",b\n")
    tokens = inspect_data(data, tokenizer).parts["test"].tokens
    assert tokens is not None
    assert (tokens.longest, tokens.mean, tokens.max_length) == (12, 7.5, 8)
    assert (tokens.cut_rows, tokens.cut_tokens) == (1, 4)
    assert tokens.cut_share == pytest.approx(4 / 15)


def test_several_labels_are_counted_and_texts_without_any(tmp_path: Path) -> None:
    rows = [{"text": f"t {n}", "tags": tags} for n, tags in enumerate(["a|b", "b", "", "b|c", None])]
    pd.DataFrame(rows).to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    pd.DataFrame({"text": ["x", "y"], "a": [1, 0], "b": [1, 0]}).to_csv(tmp_path / "flags.csv", index=False)

    def train(name: str, **data: Any) -> PartInspection:
        values = {"task": "multi-label", "data": {"train": str(tmp_path / name), **data}}
        return inspect_data(Recipe.parse(values).data).parts["train"]

    part = train("rows.jsonl", label="tags")
    assert (part.labels, part.unlabelled, part.without_any) == ({"b": 3, "a": 1, "c": 1}, 1, 1)
    flags = train("flags.csv", label=["a", "b"])
    assert (flags.labels, flags.without_any, flags.label_column) == ({"a": 1, "b": 1}, 1, "a, b")
    (tmp_path / "test.csv").write_text("text\nx\n")
    recipe = Recipe.parse({"task": "multi-label", "data": {
        "train": str(tmp_path / "flags.csv"), "test": str(tmp_path / "test.csv"), "label": ["a", "b"]
    }})  # fmt: skip
    assert "no labels (no column 'a')" in (inspect_data(recipe.data).parts["test"].without_labels or "")


def test_the_only_labels_of_a_part_may_be_0_and_1(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,tags\nx,0|1\ny,0|2\nz,1|2\n")
    (tmp_path / "test.csv").write_text("text,tags\nv,0\nw,1\n")
    files = {part: str(tmp_path / f"{part}.csv") for part in ("train", "test")}
    data = Recipe.parse({"task": "multi-label", "data": {**files, "label": "tags"}}).data
    assert inspect_data(data).parts["test"].labels == {"0": 1, "1": 1}
