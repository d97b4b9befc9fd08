"""Recipes: the built-in ones as published, loading, overrides, and the way to TOML and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.errors import UserError
from featherweight.hints import on_the_command_line
from featherweight.recipe import (
    AdapterRecipe,
    LoraLayers,
    Recipe,
    built_in_recipes,
    layer_numbers,
    parse_count,
)
from featherweight.recipe.foreign_keys import FOREIGN_KEYS
from featherweight.recipe.reference import recipe_reference

REFERENCE = Path(__file__).parents[2] / "docs" / "recipe-reference.md"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


# The rounds as published: (layers, roles, rank, alpha) of each table, bias, schedule, warm-up.
ROUNDS = {
    "r1": (
        [("lower-half", ("value",), 8, 16), ("upper-half", ("query", "value"), 16, 32)],
        "none",
        "constant",
        0,
    ),
    "r2": ([("all", ("value",), 16, 32)], "none", "cosine", 500),
    "r3": ([("all", ("query", "value"), 8, 16)], "none", "constant", 0),
    "r4": ([("all", ("query", "value"), 8, 16)], "all", "constant", 0),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_rounds_are_as_published(name: str) -> None:
    tables, bias, schedule, warmup = ROUNDS[name]
    recipe = Recipe.load(name)
    assert recipe.name == name
    assert recipe.budget == 1_000_000
    assert recipe.backbone.name == "roberta-base"
    assert recipe.data.train == "fancyzhx/ag_news"
    assert recipe.data.labels == ("World", "Sports", "Business", "Sci/Tech")
    assert [(t.layers, t.roles, t.rank, t.alpha) for t in recipe.adapter.lora if isinstance(t, LoraLayers)] == tables
    assert (recipe.adapter.bias, recipe.adapter.head) == (bias, "native")
    assert (recipe.training.schedule, recipe.training.warmup) == (schedule, warmup)
    assert recipe.training.evaluate_every == 500
    # The published rounds had neither label smoothing nor early stopping.
    assert (recipe.training.label_smoothing, recipe.training.early_stopping) == (0, 0)


def test_newsbriefs_needs_nothing_but_wheels() -> None:
    recipe = Recipe.load("newsbriefs")
    assert (recipe.data.train, recipe.backbone.name, recipe.budget) == ("newsbriefs", "minilm", 1_000_000)


@pytest.mark.parametrize("name", built_in_recipes())
def test_built_in_recipes_run_on_another_backbone_and_say_what_they_are_for(name: str) -> None:
    recipe = Recipe.load(name, ["backbone.name=mpnet"])
    assert recipe.backbone.name == "mpnet"
    assert Recipe.load(name).description
    assert recipe == Recipe.load(name).with_values(backbone={"name": "mpnet"}, description="")


def test_a_description_never_speaks_of_other_data(tmp_path: Path) -> None:
    built_in = Recipe.load("newsbriefs")
    assert Recipe.load("newsbriefs", ["training.epochs=1", "seed=3"]).description == built_in.description
    assert Recipe.load("newsbriefs", ["data.train=newsbriefs"]).description == built_in.description
    assert Recipe.load("newsbriefs", ["data.train=mine.csv"]).description == ""
    assert Recipe.load("newsbriefs", ["data.train=mine.csv", "description=Mine"]).description == "Mine"
    (tmp_path / "job.toml").write_text('description = "Tickets of 2023"\n[data]\ntrain = "2023.csv"\n')
    assert Recipe.load(tmp_path / "job.toml", ["data.train=2024.csv"]).description == ""
    assert built_in.with_values(data={"train": "mine.csv"}).description == ""
    assert built_in.with_values(data={"train": "mine.csv"}, description="Mine").description == "Mine"
    assert built_in.with_values(data={"max_length": 64}).description == built_in.description


def test_file_without_a_name_is_called_after_itself(tmp_path: Path) -> None:
    path = tmp_path / "my first, recipe.v2.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 3\r\n")  # as some editors save it: with a byte order mark
    assert Recipe.load(path).name == "my-first-recipe.v2"
    assert Recipe.load(str(path)).seed == 3
    assert Recipe.load(written(tmp_path, "name = 'given'")).name == "given"


def test_whole_numbers_are_fine_where_a_fraction_may_stand(tmp_path: Path) -> None:
    text = "[data]\nvalidation_size = 5000\n[training]\nepochs = 2\nwarmup = 500\n[adapter.lora]\nalpha = 32"
    recipe = Recipe.load(written(tmp_path, text))
    assert (recipe.data.validation_size, recipe.training.epochs, recipe.training.warmup) == (5000, 2, 500)
    assert recipe.adapter == AdapterRecipe(lora=(LoraLayers(alpha=32.0),))


OVERRIDES = {
    "training.learning_rate=3e-4": lambda r: r.training.learning_rate == 3e-4,
    " training.epochs = 1.5 ": lambda r: r.training.epochs == 1.5,
    "budget=100k": lambda r: r.budget == 100_000,
    "data.train=my=file.csv": lambda r: r.data.train == "my=file.csv",
    "data.revision=1234567": lambda r: r.data.revision == "1234567",
    "data.train=true": lambda r: r.data.train == "true",
    'data.label="class"': lambda r: r.data.label == "class",
    'data.text=["title", "body"]': lambda r: r.data.text == ("title", "body"),
    "data.labels=": lambda r: r.data.labels == (),
    "data.separator=": lambda r: r.data.separator is None,
    "data.test=": lambda r: r.data.test == "",
    "adapter.dora=true": lambda r: r.adapter.dora is True,
    "adapter.lora=auto": lambda r: r.adapter.lora == "auto",
    "adapter.lora=[]": lambda r: r.adapter.lora == (),
    "adapter.lora.rank=4": lambda r: [t.rank for t in r.adapter.lora] == [4, 4],
    "adapter.lora.0.rank=4": lambda r: [t.rank for t in r.adapter.lora] == [4, 16],
    "adapter.lora.1.layers=11": lambda r: [t.layers for t in r.adapter.lora] == ["lower-half", "11"],
    "adapter.lora.alpha=": lambda r: [t.effective_alpha for t in r.adapter.lora] == [16, 32],
    "training.average=swa": lambda r: r.training.average == "swa",
    "training.average=0.99": lambda r: r.training.average == 0.99,
    "training.class_weights=[1, 2, 1, 1]": lambda r: r.training.class_weights == (1, 2, 1, 1),
    "backbone.roles.query=attn.q": lambda r: r.backbone.roles == {"query": "attn.q"},
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_overrides(override: str) -> None:
    assert OVERRIDES[override](Recipe.load("r1", [override]))


@pytest.mark.parametrize("lora", ['"auto"', "[]"])
def test_a_rank_where_there_is_no_table_makes_one(tmp_path: Path, lora: str) -> None:
    path = written(tmp_path, f"[adapter]\nlora = {lora}")
    assert Recipe.load(path, ["adapter.lora.rank=4"]).adapter.lora == (LoraLayers(rank=4),)


def test_the_last_override_of_a_key_holds() -> None:
    assert Recipe.load("r3", ["seed=1", "seed=2"]).seed == 2


COUNTS = {"100k": 100_000, "1M": 1_000_000, "1.5m": 1_500_000, "962.308k": 962_308, "1_000_000": 1_000_000}
COUNTS |= {"1,000,000": 1_000_000, " 12 ": 12, "1e6": 1_000_000, "12345678901234567": 12345678901234567}


@pytest.mark.parametrize("text", COUNTS)
def test_counts(text: str) -> None:
    assert parse_count(text) == COUNTS[text]


@pytest.mark.parametrize("text", ["", "k", "-1", "1,5", "1,00", "1.0001k", "ten", "nan", "inf", "1e99999", "1 000"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="count such as"):
        parse_count(text)


LAYERS = {
    "all": (0, 1, 2, 3, 4, 5),
    "lower-half": (0, 1, 2),
    "upper-half": (3, 4, 5),
    "top-2": (4, 5),
    "bottom-1": (0,),
    "3": (3,),
    "0-2": (0, 1, 2),
    "5, 0,2 - 3,3": (0, 2, 3, 5),
}


@pytest.mark.parametrize("spec", LAYERS)
def test_layers(spec: str) -> None:
    assert layer_numbers(spec, 6) == LAYERS[spec]


@pytest.mark.parametrize("spec", ["6", "0-6", "top-7", "bottom-0", "2-1", "", "-1", "1-", "x", "0-99999999999999", "²"])
def test_layers_that_are_not_there(spec: str) -> None:
    with pytest.raises(ValueError, match=r"layers|must"):
        layer_numbers(spec, 6)


@given(st.integers(1, 48))
def test_halves_cover_each_layer_once(layers: int) -> None:
    assert layer_numbers("lower-half", layers) + layer_numbers("upper-half", layers) == layer_numbers("all", layers)


def test_with_values_keeps_the_rest_and_validates() -> None:
    recipe = Recipe.load("r2").with_values(seed=7, training={"max_steps": 3})
    assert (recipe.seed, recipe.training.max_steps, recipe.training.warmup) == (7, 3, 500)
    assert recipe.with_values(training={"max_steps": None}, seed=0) == Recipe.load("r2")
    with pytest.raises(UserError, match=r"r2: training\.max_steps: must be at least 1"):
        recipe.with_values(training={"max_steps": 0})


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(Exception, match="frozen"):
        Recipe().seed = 3


def test_every_key_has_a_sentence_and_the_reference_is_up_to_date() -> None:
    reference = recipe_reference()
    for line in reference.splitlines():
        if line.startswith("| `") and line.count(" | ") == 3:
            assert line.rstrip("| ").endswith("."), line
    assert REFERENCE.read_text("utf-8") == reference, "run `make docs`"


def test_a_recipe_loads_nothing_heavy() -> None:
    code = (
        "import sys, featherweight; from featherweight import Recipe; Recipe.load('r4'); "
        "print([m for m in ('torch', 'transformers', 'peft', 'datasets', 'numpy', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_single_name_is_a_list_of_one() -> None:
    overrides = ["data.text=body", "adapter.lora.roles=query", "training.trackers=mlflow", "evaluation.shift=new.csv"]
    recipe = Recipe.load("newsbriefs", overrides)
    assert isinstance(recipe.adapter.lora, tuple)
    names = [recipe.data.text, recipe.adapter.lora[0].roles, recipe.training.trackers, recipe.evaluation.shift]
    assert names == [("body",), ("query",), ("mlflow",), ("new.csv",)]
    assert Recipe.parse({"data": {"text": "body"}}).data.text == ("body",)


@pytest.mark.parametrize("key", FOREIGN_KEYS)
def test_what_other_tools_call_a_key_is_no_key_here(key: str) -> None:
    for name in FOREIGN_KEYS[key]:
        with pytest.raises(UserError, match=f"unknown key 'training.{name}'"):
            Recipe.parse({"training": {name: 1}})


ANSWERED = {
    "data.labels=neg,pos": """must be a list; write --set 'data.labels=["neg", "pos"]'""",
    "training.class_weights=1,2": "must be none, balanced or a list; write --set 'training.class_weights=[1, 2]'",
    "data.path=a.csv": "here it is called 'data.train'",
    "backbone.path=minilm": "here it is called 'backbone.name'",
    "output=run": "there is no such key: the run folder is an option",
    "data.train_size=0.8": "there is no such key: data.validation_size is the other part",
    "search.trials=3": "there is no such key: it is a section of a TOML file",
}


@pytest.mark.parametrize("override", ANSWERED)
def test_an_override_is_answered_with_the_one_to_type(override: str) -> None:
    with on_the_command_line(), pytest.raises(UserError) as refused:
        Recipe.parse({}, "mine", [override])
    assert ANSWERED[override] in str(refused.value)


@pytest.mark.parametrize("layers", ["[0, 2]", [0, 2], "[0,2]"])
def test_layers_may_be_a_list_of_numbers(layers: object) -> None:
    assert Recipe.parse({"adapter": {"lora": [{"layers": layers}]}}).adapter.lora[0].layers == "0,2"  # type: ignore[union-attr]
    assert Recipe.parse({}, "mine", [f"adapter.lora.layers={layers}"]).adapter.lora[0].layers == "0,2"  # type: ignore[union-attr]
