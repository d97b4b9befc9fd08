"""Public functions that are given another kind of thing than they take: one sentence says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.tables import COLUMNS, DATASET, FRAME, ROWS, SPLITS, STREAM, TABLE, TEXTS

import featherweight
from featherweight import (
    Classifier,
    Recipe,
    Run,
    UserError,
    compare_runs,
    plan,
    predict_file,
    recipe_for,
    run_rounds,
    show,
    train,
    weigh,
)
from featherweight.inference.output_files import predict_texts

RECIPE = Recipe.load("newsbriefs")
MINILM = {"name": "minilm"}
RUN = SimpleNamespace(folder=Path("run"))
TAKES_A_RECIPE = ("check", "weigh", "load_splits")
TO_CSV = "to_csv('rows.csv', index=False)"
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


BAD_CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "Recipe": (
        lambda: Recipe(FRAME),
        "Recipe takes its sections by name, such as data={'train': 'rows.csv'}, not a pandas",
    ),
    "Recipe of a recipe": (lambda: Recipe(RECIPE), "not a Recipe; it is already a recipe"),
    "Recipe by a dict": (lambda: Recipe({"seed": 1}), "not a dict; write Recipe.parse(values)"),
    "Recipe with a frame": (
        lambda: Recipe(data=FRAME),
        f"of keys and values (it is a pandas DataFrame; save it by frame.{TO_CSV} and write 'rows.csv')",
    ),
    "Recipe with an unknown key": (
        lambda: Recipe(epochs=3),
        "Recipe: unknown key 'epochs'; did you mean 'training.epochs'?",
    ),
    "parse a frame": (
        lambda: Recipe.parse(FRAME),
        "Recipe.parse takes a dict of sections, not a pandas DataFrame; save the rows by",
    ),
    "parse splits": (lambda: Recipe.parse(SPLITS), "Recipe.parse takes a dict of sections, not a DatasetDict"),
    "parse a name": (lambda: Recipe.parse("r1"), "not the text 'r1'; write Recipe.load('r1')"),
    "parse a frame as data": (
        lambda: Recipe.parse({"data": {"train": FRAME}}),
        'data.train: must be text in quotes, such as "name" (it is a pandas DataFrame; save it by',
    ),
    "parse a path as data": (
        lambda: Recipe.parse({"data": {"train": Path("a.csv")}}),
        "(it is the path 'a.csv'; write 'a.csv')",
    ),
    "parse a series as data": (lambda: Recipe.parse({"data": {"train": FRAME["text"]}}), "(it is a pandas Series)"),
    "load a frame": (
        lambda: Recipe.load(FRAME),
        "Recipe.load takes the name of a built-in recipe or the path of a TOML file, not a pandas DataFrame",
    ),
    "load a dict": (lambda: Recipe.load({"data": {}}), "not a dict; write Recipe.parse(values)"),
    "load with one override": (
        lambda: Recipe.load("r1", "seed=1"),
        "overrides takes a list of texts such as 'training.epochs=2', not the text 'seed=1'; write overrides=[...]",
    ),
    "load with a dict": (
        lambda: Recipe.load("r1", {"seed": 1}),
        "overrides takes a list of texts such as 'training.epochs=2', not a dict",
    ),
    "load with numbers": (
        lambda: Recipe.load("r1", [1]),
        "overrides must be texts such as 'training.epochs=2', not the number 1",
    ),
    "train a stream": (
        lambda: train(STREAM),
        "not an IterableDataset\nSave the rows with dataset.to_csv('rows.csv'), and pass the file: train('rows.csv')",
    ),
    "train by the name of no recipe": (lambda: train("nothing"), "nothing: no such recipe file"),
    "train a file that is not there": (lambda: train("nothing.csv"), "nothing.csv: no such file"),
    "train a recipe with a label": (
        lambda: train(RECIPE, label="stars"),
        "can be given with data, not with a Recipe\nChange the recipe by recipe.with_values(...)",
    ),
    "train a recipe with test rows": (lambda: train(RECIPE, test=FRAME), "can be given with data, not with a Recipe"),
    "train with one override": (
        lambda: train("rows.csv", overrides="seed=1"),
        "overrides takes a list of texts such as 'training.epochs=2', not the text 'seed=1'; write overrides=[...]",
    ),
    "a recipe for a frame": (
        lambda: recipe_for(FRAME),
        "recipe_for takes the path of a file or the name of a data set, not a pandas DataFrame",
    ),
    "train into a frame": (
        lambda: train(RECIPE, FRAME),
        "out takes the path of a new run folder, not a pandas DataFrame",
    ),
    "train with one listener": (
        lambda: train(RECIPE, listeners=RUN),
        "listeners takes a list of listeners, such as [progress], not a SimpleNamespace",
    ),
    "rounds of a recipe": (
        lambda: run_rounds(RECIPE, [0], "out"),
        "run_rounds takes a list of recipes, not a Recipe; write run_rounds([...], seeds, out)",
    ),
    "rounds of a frame": (
        lambda: run_rounds(FRAME, [0], "out"),
        "run_rounds takes a list of recipes, not a pandas DataFrame",
    ),
    "rounds of names": (
        lambda: run_rounds(["r1"], [0], "out"),
        "run_rounds takes a list of recipes, not the text 'r1'; write Recipe.load('r1')",
    ),
    "rounds of nothing": (lambda: run_rounds([None], [0], "out"), "run_rounds takes a list of recipes, not None"),
    "rounds of one seed": (
        lambda: run_rounds([RECIPE], 3, "out"),
        "seeds takes a list of whole numbers, not the number 3; write seeds=[...]",
    ),
    "rounds of texts": (
        lambda: run_rounds([RECIPE], ["0"], "out"),
        "seeds takes a whole number such as 0, not the text '0'",
    ),
    "rounds of halves": (
        lambda: run_rounds([RECIPE], np.array([0.5]), "out"),
        "seeds takes a whole number such as 0, not the number 0.5",
    ),
    "rounds into nothing": (
        lambda: run_rounds([RECIPE], [0], None),
        "out takes the path of a folder for the rounds, not None",
    ),
    "load a classifier of a frame": (
        lambda: Classifier.load(FRAME),
        "Classifier.load takes the path of a run folder, not a pandas DataFrame",
    ),
    "labels as one text": (
        lambda: Classifier.load("run", labels="World"),
        "labels takes a list of names of classes, not the text 'World'; write labels=[...]",
    ),
    "labels as a set": (
        lambda: Classifier.load("run", labels={"World"}),
        "labels takes a list of names of classes, but a set has no order: write labels=sorted(...)",
    ),
    "run of a frame": (lambda: Run(FRAME), "Run takes the path of a run folder, not a pandas DataFrame"),
    "run of bytes": (lambda: Run(b"run"), "Run takes the path of a run folder, not bytes"),
    "compare one folder": (
        lambda: compare_runs("run"),
        "compare_runs takes a list of run folders, not the text 'run'; write compare_runs([...])",
    ),
    "compare a frame": (
        lambda: compare_runs(FRAME),
        "compare_runs takes a list of run folders, not a pandas DataFrame",
    ),
    "plan of a recipe": (
        lambda: plan(RECIPE, 4, 1000),
        "plan takes the architecture of a backbone, not a Recipe; for the parameters of a recipe",
    ),
    "show a frame": (
        lambda: show(FRAME),
        "show takes a run, a comparison, or the result of weigh or check, not a pandas DataFrame",
    ),
    "predict a frame's file": (
        lambda: predict_file("run", FRAME, "out.csv"),
        'not a pandas DataFrame; for texts in memory write Classifier.load(run).predict(frame["text"])',
    ),
    "predict a list's file": (
        lambda: predict_file("run", TEXTS, "out.csv"),
        "not a list; for texts in memory write Classifier.load(run).predict(texts)",
    ),
    "predict into nothing": (
        lambda: predict_file("run", "rows.csv", None),
        "out takes the path of the file to write, not None",
    ),
    "predict by a frame": (
        lambda: predict_file(FRAME, "rows.csv", "out.csv"),
        "run takes the path of a run folder, not a pandas DataFrame",
    ),
    "predict texts by a frame": (
        lambda: predict_texts(FRAME, TEXTS),
        "run takes the path of a run folder, not a pandas DataFrame",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "words"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls(call: Callable[[], Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        call()
    assert words in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_rows_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("rows.csv", index=False)
    with pytest.raises(UserError) as refused:
        Recipe.load("rows.csv")
    first, second = str(refused.value).split("\n")
    assert first == "rows.csv: is a data file, not a recipe"
    assert second.endswith("featherweight new rows.csv -o rows.toml")


def test_a_run_is_named_by_its_folder(finished_run: Run) -> None:
    of_file, of_list = lambda run: predict_file(run, "a.csv", "b.csv"), lambda run: compare_runs([run])
    for call in (Run, Classifier.load, of_file, of_list):
        with pytest.raises(UserError, match=r"not a Run; write run\.folder"):
            call(finished_run)
    with pytest.raises(UserError, match=re.escape("write compare_runs([...])")):
        compare_runs(finished_run)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=re.escape("write train(run.recipe)")):
        train(finished_run)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="each name of a plot as an argument"):
        show(finished_run, ["curves"])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="precision takes one of auto, fp32, bf16, fp16, not the text 'int8'"):
        Classifier.load(finished_run.folder, precision="int8")


def test_a_budget_and_labels_are_whole_numbers() -> None:
    from featherweight.backbone.describe import architecture_of
    from featherweight.backbone.resolve import config_of

    architecture = architecture_of(config_of(RECIPE.backbone))
    assert plan(architecture, np.int64(4), np.int64(100_000)) == plan(architecture, 4, 100_000)
    with pytest.raises(UserError, match="budget takes a whole number such as 1_000_000, not the text '1M'"):
        plan(architecture, 4, "1M")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="labels takes a whole number such as 4, not a list"):
        plan(architecture, ["a", "b"], 100_000)  # type: ignore[arg-type]


def test_a_recipe_built_of_keys_is_the_one_that_is_parsed() -> None:
    data = {"train": "rows.csv", "max_length": 64}
    assert Recipe(seed=3, data=data) == Recipe.parse({"seed": 3, "data": data})
    assert Recipe(data=data).model_fields_set == {"data"}
