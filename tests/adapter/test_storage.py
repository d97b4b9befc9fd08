"""What a saved adapter says of itself: temperature, labels, and how PEFT is to load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from featherweight.adapter.build import build_network
from featherweight.adapter.storage import check_adapter, load_adapter, save_adapter
from featherweight.backbone.resolve import resolve_backbone
from featherweight.backbone.tokenizer import load_tokenizer
from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier
from featherweight.recipe import Recipe
from featherweight.workflows.prepare import prepare

LABELS = ("fruit", "metal", "bird")


def saved(recipe: Recipe, folder: Path, **options: Any) -> Path:
    backbone = resolve_backbone(recipe.backbone)
    network = build_network(recipe, backbone, LABELS)
    save_adapter(network, folder, recipe, backbone, load_tokenizer(backbone.folder), **options)
    return folder


def test_the_temperature_comes_back(tiny_recipe: Any, tmp_path: Path) -> None:
    assert Classifier.load(saved(tiny_recipe(), tmp_path / "a", temperature=1.75)).temperature == 1.75


def test_pefts_base_numbers_the_labels_as_the_network_does(tiny_recipe: Any, tmp_path: Path) -> None:
    folder = saved(tiny_recipe(adapter={"head": "native"}), tmp_path / "a")
    config = json.loads((folder / "backbone" / "config.json").read_text())
    assert config["label2id"] == {"fruit": 0, "metal": 1, "bird": 2}
    assert config["id2label"] == {"0": "fruit", "1": "metal", "2": "bird"}


def test_a_loaded_eva_adapter_asks_for_no_data(tiny_recipe: Any, tmp_path: Path) -> None:
    folder = saved(tiny_recipe(adapter={"initialisation": "eva"}), tmp_path / "a")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["init_lora_weights"] is True and config["eva_config"] is None


def test_eva_refuses_texts_with_fewer_tokens_than_the_rank(tiny_recipe: Any, tiny_data: Any, tmp_path: Path) -> None:
    """PEFT would wait for a batch with enough tokens for ever."""
    lora = [{"roles": ["query"], "rank": 12}]
    rows = [{"text": "apple", "label": "fruit"}, {"text": "zinc", "label": "metal"}, {"text": "owl", "label": "bird"}]
    short = tmp_path / "short.jsonl"
    short.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    data = {"train": str(short), "validation": str(tiny_data["test"])}
    recipe = tiny_recipe(adapter={"initialisation": "eva", "lora": lora}, data=data)
    with pytest.raises(UserError, match=r"rank 12 needs 12 tokens in 3 training rows, which have fewer; use a lower"):
        prepare(recipe)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(tiny_recipe: Any, tmp_path: Path, number: float) -> None:
    recipe = tiny_recipe()
    file = saved(recipe, tmp_path / "a") / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors[min(tensors)].view(-1)[0] = number
    save_file(tensors, file, metadata={"format": "pt"})
    network = build_network(recipe, resolve_backbone(recipe.backbone), LABELS)
    with pytest.raises(UserError, match="contains NaN or infinity"):
        load_adapter(network, tmp_path / "a")


@pytest.mark.parametrize(("change", "words"), [
    (lambda tensors: tensors.pop(min(tensors)), "lacks 64 of the"),
    (lambda tensors: tensors.update(more=torch.zeros(5)), "has 5 more than the"),
])  # fmt: skip
def test_more_or_fewer_numbers_than_the_recipe_trains_are_refused(
    tiny_recipe: Any, tmp_path: Path, change: Any, words: str
) -> None:
    recipe = tiny_recipe()
    file = saved(recipe, tmp_path / "a") / "adapter_model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=words):
        check_adapter(tmp_path / "a", recipe, resolve_backbone(recipe.backbone), LABELS)
