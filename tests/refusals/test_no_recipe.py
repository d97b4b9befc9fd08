"""Public functions that take a recipe and are given something else: one sentence says what to write instead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from support.tables import COLUMNS, DATASET, FRAME, ROWS, SPLITS, STREAM, TABLE, TEXTS, TO_CSV

import featherweight
from featherweight import (
    Recipe,
    UserError,
    recipe_for,
    train,
    weigh,
)

RECIPE = Recipe.load("newsbriefs")

MINILM = {"name": "minilm"}

TAKES_A_RECIPE = ("check", "weigh", "load_splits")

NAMED = "(recipe_for('rows.csv'))"


@pytest.mark.parametrize("name", TAKES_A_RECIPE)
@pytest.mark.parametrize(("given", "what", "remedy"), [
    (FRAME, "a pandas DataFrame", f"save the rows by frame.{TO_CSV}, and write NAME{NAMED}"),
    (TABLE, "an Arrow Table", f"save the rows by table.to_pandas().{TO_CSV}, and write NAME{NAMED}"),
    (DATASET, "a Dataset", "save the rows by dataset.save_to_disk('rows'), and write NAME(recipe_for('rows'))"),
    (STREAM, "an IterableDataset", f"save the rows by dataset.to_csv('rows.csv'), and write NAME{NAMED}"),
    (ROWS, "a list", f"save the rows by pandas.DataFrame(rows).{TO_CSV}, and write NAME{NAMED}"),
    (COLUMNS, "a dict", f"save the rows by pandas.DataFrame(rows).{TO_CSV}, and write NAME{NAMED}"),
    (TEXTS, "a list", f"pandas.DataFrame({{'text': texts, 'label': labels}}).{TO_CSV}, and write NAME{NAMED}"),
    (FRAME["text"], "a pandas Series", f"pandas.DataFrame({{'text': texts, 'label': labels}}).{TO_CSV}"),
    ({"data": {"train": "rows.csv"}}, "a dict", "write NAME(Recipe.parse(values))"),
    (Path("rows.csv"), "the path 'rows.csv'", f"write NAME{NAMED}"),
    ("rows.csv", "the text 'rows.csv'", f"write NAME{NAMED}"),
    ("newsbriefs", "the text 'newsbriefs'", "write NAME(Recipe.load('newsbriefs'))"),
    (Path("job.toml"), "the path 'job.toml'", "write NAME(Recipe.load('job.toml'))"),
    ([RECIPE], "a list", "write run_rounds(recipes, seeds=[0], out='runs/rounds')"),
    (Recipe, "the class Recipe", "write NAME(Recipe.load('newsbriefs'))"),
    (None, "None", "write NAME(Recipe.load('newsbriefs'))"),
    (3, "the number 3", "write NAME(Recipe.load('newsbriefs'))"),
])  # fmt: skip
def test_what_is_no_recipe_is_refused(name: str, given: Any, what: str, remedy: str) -> None:
    with pytest.raises(UserError) as refused:
        getattr(featherweight, name)(given)
    assert str(refused.value).startswith(f"{name} takes a Recipe, not {what}; ")
    assert remedy.replace("NAME", name) in str(refused.value)


@pytest.mark.parametrize(("given", "words"), [
    (TEXTS, "not a list; save the rows by pandas.DataFrame({'text': texts, 'label': labels})"),
    (FRAME["text"], "not a pandas Series; save the rows by"),
    ({"data": {"train": "rows.csv"}}, "not a dict; write train(Recipe.parse(values))"),
    ([RECIPE], "not a list; pass one recipe, or write run_rounds(recipes, seeds=[0], out='runs/rounds')"),
    (Recipe, "not the class Recipe; write train(Recipe.load('newsbriefs'))"),
    (None, "not None; write train(Recipe.load('newsbriefs'))"),
    (3, "not the number 3; write train(Recipe.load('newsbriefs'))"),
])  # fmt: skip
def test_what_is_neither_recipe_nor_data_is_not_trained(given: Any, words: str) -> None:
    with pytest.raises(UserError) as refused:
        train(given)
    assert str(refused.value).startswith("train takes a Recipe, or data such as 'reviews.csv' or a DataFrame, not ")
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["frame", "table", "dataset", "splits", "stream", "rows", "columns"])
def test_the_lines_that_a_refusal_names_do_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"frame": FRAME, "table": pa.table(COLUMNS), "dataset": DATASET, "splits": SPLITS}
    given |= {"stream": STREAM, "rows": ROWS, "columns": COLUMNS}
    with pytest.raises(UserError) as refused:
        featherweight.weigh(given[name])
    found = re.fullmatch(r".*; save the rows by (.*), and write (.*)", str(refused.value))
    assert found is not None
    scope = {"frame": FRAME, "table": given["table"], "rows": given[name], "dataset": given[name]}
    scope |= {
        "pandas": pd,
        "recipe_for": recipe_for,
        "weigh": lambda recipe: weigh(recipe.with_values(backbone=MINILM)),
    }
    exec(found[1], scope)
    assert eval(found[2], scope).components[-1].parameters == 2 * 384 + 2  # a head of two classes


def test_a_file_of_rows_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("rows.csv", index=False)
    with pytest.raises(UserError) as refused:
        Recipe.load("rows.csv")
    first, second = str(refused.value).split("\n")
    assert first == "rows.csv: is a data file, not a recipe"
    assert second.endswith("featherweight new rows.csv -o rows.toml")


def test_a_recipe_built_of_keys_is_the_one_that_is_parsed() -> None:
    data = {"train": "rows.csv", "max_length": 64}
    assert Recipe(seed=3, data=data) == Recipe.parse({"seed": 3, "data": data})
    assert Recipe(data=data).model_fields_set == {"data"}
