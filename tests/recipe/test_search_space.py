"""The section [search] of a recipe file: what it may vary, and how wrong entries are refused."""

from __future__ import annotations

import tomllib

import pytest

from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.recipe.search_space import Choices, Range, SearchSpace

RECIPE = Recipe.parse({"data": {"train": "newsbriefs"}, "backbone": {"name": "minilm"}})


def space_of(text: str) -> SearchSpace:
    return SearchSpace.parse(tomllib.loads(text), "my.toml", RECIPE)


def test_keys_may_be_dotted_or_in_tables_of_their_own() -> None:
    dotted = space_of("training.learning_rate = {low = 1e-4, high = 1e-2, log = true}\nadapter.dropout = [0.0, 0.1]")
    tables = space_of(
        "[training]\nlearning_rate = {low = 1e-4, high = 1e-2, log = true}\n[adapter]\ndropout = [0.0, 0.1]"
    )
    assert dotted == tables
    assert dotted.keys == {
        "training.learning_rate": Range(1e-4, 1e-2, log=True),
        "adapter.dropout": Choices((0.0, 0.1)),
    }


def test_whole_limits_mean_whole_numbers() -> None:
    assert space_of("training.batch_size = {low = 8, high = 64}").keys["training.batch_size"] == Range(
        8, 64, whole=True
    )
    assert space_of("training.epochs = {low = 1.0, high = 4.0}").keys["training.epochs"] == Range(1, 4)


def test_targets_are_names_or_lists_of_roles() -> None:
    space = space_of('adapter.targets = ["all", ["query", "key"], "value"]')
    assert space.keys["adapter.targets"] == Choices(("all", "query+key", "value"))


@pytest.mark.parametrize(("text", "message"), [
    ("", "my.toml: search: must be a table of keys to vary"),
    ("training.learning_rte = [1, 2]", "did you mean training.learning_rate?"),
    ("data.max_lenght = [64, 128]", "did you mean data.max_length?"),
    ("data.max_length = [64, 1]", "data.max_length: must be"),
    ("data.train = ['a.csv', 'b.csv']", "can only vary keys of \\[training\\] and \\[adapter\\], .*, backbone.name;"),
    ("backbone.nam = ['minilm', 'mpnet']", "did you mean backbone.name?"),
    ("backbone.name = {low = 1, high = 2}", "backbone.name: must be a list of at least two names or folders"),
    ("backbone.name = ['minilm']", "backbone.name: must be a list of at least two names or folders"),
    ("backbone.name = [1, 2]", "backbone.name: must be a list of at least two names or folders"),
    ("backbone.name = ['minilm', '']", "backbone.name: must"),
    ("training.trackers = ['wandb', 'mlflow']", "training.trackers: a search cannot vary this key; leave it out"),
    ("training.teacher = ['runs/a', 'runs/b']", "training.teacher: a search cannot vary this key; leave it out"),
    ("adapter.lora = ['auto', 'none']", "cannot vary this key; vary adapter.targets, adapter.layers, adapter.rank"),
    ("training.learning_rate = 3e-4", "must be a list of at least two different values"),
    ("training.learning_rate = [3e-4]", "must be a list of at least two different values"),
    ("training.learning_rate = [3e-4, 3e-4]", "must be a list of at least two different values"),
    ("training.learning_rate = {low = 2e-3, high = 1e-3}", "low must be less than high"),
    ("training.learning_rate = {low = 1e-3}", "high must be a number"),
    ("training.learning_rate = {low = 0.0, high = 1e-3, log = true}", "greater than 0 on a logarithmic scale"),
    ("training.learning_rate = {low = 1e-4, high = 1e-3, step = 2}", "unknown key 'step'"),
    ("training.learning_rate = {low = -1.0, high = 1e-3}", "training.learning_rate: must"),
    ("training.schedule = ['linear', 'cosin']", "^my.toml: search: training.schedule: must be"),
    ("adapter.targets = ['all', 'queries']", "'queries' is no role"),
    ("adapter.rank = [4, 8]", "must be a range"),
    ("adapter.rank = {low = 0, high = 8}", "whole numbers, at least 1"),
    ("adapter.upper_share = {low = 0.5, high = 2.0}", "between 0 and 1"),
])  # fmt: skip
def test_wrong_entries_name_file_and_key(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        space_of(text)
    assert str(error.value).startswith("my.toml: search")


def test_backbones_are_names_of_which_the_recipe_needs_none_of_its_own() -> None:
    space = space_of("backbone.name = ['minilm', 'mpnet']\ntraining.epochs = [1, 2]")
    assert space.backbones == ("minilm", "mpnet") and SearchSpace.default(RECIPE).backbones == ()
    sections = {"adapter": {"start_from": "runs/a"}, "backbone": {"revision": "main", "roles": {"query": "q"}}}
    for key in ("adapter.start_from", "backbone.revision", "backbone.roles"):
        section, _, name = key.partition(".")
        recipe = RECIPE.with_values(**{section: {name: sections[section][name]}})
        message = rf"^my.toml: search.backbone.name: a search cannot vary this key, because {key} in the recipe belongs"
        with pytest.raises(UserError, match=message):
            SearchSpace.parse({"backbone": {"name": ["minilm", "mpnet"]}}, "my.toml", recipe)


def test_a_recipe_with_a_search_section_can_also_be_trained(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "mine.toml"
    file.write_text('data.train = "newsbriefs"\n[search]\nadapter.dropout = [0.0, 0.1]\n', "utf-8")
    assert Recipe.load(file).data.train == "newsbriefs"


def test_the_default_space_is_allowed_for_each_head() -> None:
    for head in ("linear", "native"):
        recipe = RECIPE.with_values(adapter={"head": head})
        keys = SearchSpace.default(recipe).keys
        assert ("adapter.pooling" in keys) == (head == "linear")
        assert keys["training.learning_rate"] == Range(1e-4, 3e-3, log=True)


def test_a_recipe_that_starts_from_a_run_keeps_its_adapter() -> None:
    recipe = RECIPE.with_values(adapter={"start_from": "runs/before"})
    varied = SearchSpace.default(recipe).keys
    assert varied.keys() == SearchSpace.default(RECIPE).keys.keys() - {"adapter.targets", "adapter.pooling"}
    allowed = SearchSpace.parse({"adapter.dropout": [0.0, 0.1], "training.epochs": [1, 2]}, "my.toml", recipe)
    assert allowed.keys.keys() == {"adapter.dropout", "training.epochs"}
    message = (
        r"my.toml: search.adapter.{}: a search cannot vary this key, because of adapter.start_from = runs/before\n"
    )
    for key, values in (("rank", {"low": 1, "high": 8}), ("pooling", ["mean", "first"]), ("rslora", [True, False])):
        with pytest.raises(UserError, match=message.format(key)):
            SearchSpace.parse({"adapter": {key: values}}, "my.toml", recipe)


def test_a_whole_range_contains_whole_numbers_only() -> None:
    assert [value for value in (0, 1, 1.5, 2.0, 3, 4, True, "2") if Range(1, 3, whole=True).contains(value)] == [
        1,
        2,
        3,
    ]
    assert Range(1, 3).contains(1.5)
