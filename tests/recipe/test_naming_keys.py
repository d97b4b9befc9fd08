"""What the keys that stand outside the sections, and those of [backbone], do."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from support.backbones import save_tiny_backbone
from support.commands import Cli

from featherweight.adapter.build import build_network
from featherweight.backbone.resolve import resolve_backbone
from featherweight.recipe import Recipe, built_in_recipes
from featherweight.run.lock import choose_folder
from featherweight.workflows.weigh import weigh


def test_a_run_folder_bears_the_name_of_its_recipe(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert choose_folder(Recipe.parse({"name": "plums"}).name, None, resume=False).as_posix() == "runs/plums"


def test_the_list_of_recipes_says_what_each_is_for(cli: Cli) -> None:
    listed = " ".join(cli("recipes").out.split())
    for text in built_in_recipes().values():
        first = " ".join(tomllib.loads(text)["description"].split()[:2])  # the rest may be on another line
        assert first in listed


def test_the_backbone_is_the_one_that_the_recipe_names(tiny_recipe: Any) -> None:
    for family in ("bert", "mpnet"):
        recipe = tiny_recipe(family)
        network = build_network(recipe, resolve_backbone(recipe.backbone), ("a", "b"))
        assert network.plain_encoder().config.model_type == family


def test_the_roles_of_an_unknown_family_are_found_where_the_recipe_says(tiny_recipe: Any, tmp_path: Path) -> None:
    folder = save_tiny_backbone(tmp_path / "other", "roformer")
    roles = {"mlp_up": "intermediate.dense", "mlp_down": "output.dense"}
    adapter = {"lora": [{"roles": ["mlp_up"], "rank": 2}]}
    recipe = tiny_recipe(backbone={"name": str(folder), "roles": roles}, adapter=adapter)
    network = build_network(recipe, resolve_backbone(recipe.backbone), ("a", "b", "c"))
    adapted = {name for name in network.trainable() if ".lora_A." in name}
    place = "encoder.base_model.model.encoder.layer.{}.intermediate.dense.lora_A.default.weight"
    assert adapted == {place.format(layer) for layer in (0, 1)}
    assert weigh(recipe).total == network.trainable_count()
