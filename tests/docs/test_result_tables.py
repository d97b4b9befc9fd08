"""The tables of results say what the committed result files say."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from accuracy import publish  # noqa: E402

from featherweight.budget.plan import resolve_auto  # noqa: E402
from featherweight.errors import UserError  # noqa: E402
from featherweight.recipe import Recipe  # noqa: E402
from featherweight.workflows.resolve import backbone_architecture  # noqa: E402

FILES = publish.run_files()


def test_the_table_is_made_from_the_files() -> None:
    page = publish.PAGE.read_text("utf-8")
    assert page == publish.with_table(page)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_says_how_it_was_made_and_holds_no_text(path: Path) -> None:
    values = json.loads(path.read_text("utf-8"))
    assert {"processor", "cores", "torch", "seed", "started", "threads"} <= values["environment"].keys()
    assert values["environment"]["data"]["train"]["rows"] > 0
    assert values["verification"]["identical"]
    judged = values["evaluation"]
    assert not any(
        "mistakes" in figures for figures in [judged["validation"], judged["test"], *judged["shift"].values()]
    )
    assert values["weight"]["total"] <= values["weight"]["budget"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_command_of_a_result_gives_its_recipe(path: Path) -> None:
    values = json.loads(path.read_text("utf-8"))
    program, verb, name, *settings = shlex.split(values["command"])
    assert [program, verb, *settings[::2]] == ["featherweight", "train", *["--set"] * len(settings[::2])]
    again, made = (
        # Data go by other names here, and the description of a built-in recipe ends where other data are set.
        recipe.model_dump(exclude={"data": {"train", "test"}, "evaluation": {"shift"}, "description": True})
        for recipe in (without_auto(Recipe.load(name, settings[1::2])), Recipe.model_validate(values["recipe"]))
    )
    assert again == made


def without_auto(recipe: Recipe) -> Recipe:
    return resolve_auto(recipe, backbone_architecture(recipe.backbone), len(recipe.data.labels))


def test_lora_that_auto_chooses_is_not_set_and_any_other_is_refused() -> None:
    made = without_auto(Recipe.load("best-100k", ["backbone.name=minilm", "budget=200k"]))
    assert publish.command(made) == "featherweight train best-100k --set budget=200000 --set backbone.name=minilm"
    with pytest.raises(UserError, match=r"best-100k has adapter\.lora = auto, and the run has other tables"):
        publish.command(Recipe.load("best-100k", ['adapter.lora=[{roles=["value"], rank=1}]']))


def test_a_recipe_of_another_name_is_made_from_the_built_in_one_that_is_named() -> None:
    tables = 'adapter.lora=[{roles=["value"], layers="top-4", rank=1}]'
    made = Recipe.load("best-10k", ["name=value-alone", "backbone.name=minilm", tables])
    said = publish.command(made, "best-10k")
    assert said.startswith("featherweight train best-10k --set name=value-alone --set backbone.name=minilm")
    assert Recipe.load("best-10k", shlex.split(said)[4::2]) == made
    assert publish.command(made) == "featherweight train value-alone.toml (the recipe above)"


def test_a_command_says_what_was_set_and_taken_away(tmp_path: Path) -> None:
    recipe = Recipe.load("r3", ["adapter.lora.0.rank=4", "budget=900000", f"data.train={tmp_path / 'my file.csv'}"])
    said = publish.command(recipe)
    assert said.startswith("featherweight train r3 --set ") and str(tmp_path) not in said
    assert Recipe.load("r3", shlex.split(said)[4::2]).adapter == recipe.adapter
    assert "'data.train=my file.csv'" in said and "budget=900000" in said and said.count("--set") == 3


def test_the_progress_in_the_guide_is_that_of_the_built_in_recipe() -> None:
    page = (ROOT / "docs" / "guide" / "train.md").read_text("utf-8")
    published = json.loads((ROOT / "docs" / "results" / "newsbriefs.json").read_text("utf-8"))
    training, rows = Recipe.load("newsbriefs").training, published["environment"]["data"]["train"]["rows"]
    steps = int(training.epochs * rows / training.batch_size)
    curve = {one["step"]: one for one in published["validation_curve"]}
    shown = re.search(r"step +(\d+)  validation accuracy ([\d.]+%) .* loss ([\d.]+)  best so far\n", page)
    moving = re.search(r"step +\d+/(\d+) .* best validation ([\d.]+%)  (\d+) s left\n", page)
    assert shown and moving and max(curve) == int(moving[1]) == steps
    first = curve[int(shown[1])]
    accuracy = f"{first['accuracy']:.2%}"
    assert (shown[2], shown[3], moving[2]) == (accuracy, f"{first['loss']:.4f}", accuracy)
    assert int(moving[3]) < published["environment"]["training_seconds"]


def test_no_path_is_published_whatever_its_folders_are_called() -> None:
    folder = "/home/Smith, John/my data"
    recipe = Recipe.load("newsbriefs").with_values(
        data={"train": f"{folder}/a.csv"}, adapter={"start_from": f"{folder}/runs/a run"}
    )
    warning = f"{folder}/lists, old/b.csv: 3 of 4 rows, see {folder}/a.csv"
    values = {
        "started_from": {"run": recipe.adapter.start_from},
        "warnings": [warning],
        "remedies": {warning: f"featherweight train '{folder}/c.csv' --out '{folder}/new'"},
    }
    shown = "b.csv: 3 of 4 rows, see rows"
    assert publish.without_paths(values, [recipe], {"a.csv": "rows"}) == {
        "started_from": {"run": "a run"},
        "warnings": [shown],
        "remedies": {shown: "featherweight train 'c.csv' --out 'new'"},
    }
