"""Public functions that are given another kind of thing than they take: one sentence says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.tables import FRAME, SPLITS, STREAM, TEXTS, TO_CSV

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

RUN = SimpleNamespace(folder=Path("run"))

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
    "train on a backbone": (
        lambda: train("minilm"), 'minilm: is a backbone, not data or a recipe; name it with overrides=["backbone.name='
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


def test_weigh_says_what_to_change_in_the_recipe() -> None:
    recipe = RECIPE.with_values(budget=2_000, adapter={"lora": "auto"})
    with pytest.raises(UserError) as error:
        weigh(recipe)
    assert str(error.value).endswith('recipe.with_values(adapter={"lora": [], "head": "linear"})')
    assert weigh(recipe.with_values(adapter={"lora": [], "head": "linear"})).total == 1_540


def test_a_budget_and_labels_are_whole_numbers() -> None:
    from featherweight.backbone.describe import architecture_of
    from featherweight.backbone.resolve import config_of

    architecture = architecture_of(config_of(RECIPE.backbone))
    assert plan(architecture, np.int64(4), np.int64(100_000)) == plan(architecture, 4, 100_000)
    with pytest.raises(UserError, match="budget takes a whole number such as 1_000_000, not the text '1M'"):
        plan(architecture, 4, "1M")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="labels takes a whole number such as 4, not a list"):
        plan(architecture, ["a", "b"], 100_000)  # type: ignore[arg-type]
