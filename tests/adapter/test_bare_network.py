"""A saved adapter without PEFT and transformers: the same bits as with them, and no file is changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.adapters import built, saved
from support.networks import ADAPTERS, ALL_ROLES, LEAN, PLAIN, batch

from featherweight.adapter.bare_network import bare_network
from featherweight.adapter.build import build_network
from featherweight.adapter.merge import merge_adapter
from featherweight.adapter.storage import load_adapter
from featherweight.backbone.families import FAMILIES
from featherweight.backbone.resolve import resolve_backbone
from featherweight.inference.classifier import Classifier
from featherweight.model.engine import move_to_engine
from featherweight.model.lean.forward_only import drop_gradients
from featherweight.model.network import Network
from featherweight.recipe import Recipe

LABELS = ("fruit", "metal", "bird")
OTHERS = [
    {"lora": [{"roles": ALL_ROLES, "rank": 3, "alpha": 7}], "rslora": True, "dropout": 0.3},
    {"lora": [{"roles": ["value"], "rank": 2}], "initialisation": "eva"},
]


def noisy(network: Network) -> Network:
    """With numbers in every trained tensor: a fresh B is zero, and would hide what is done with it."""
    generator = torch.Generator().manual_seed(3)
    for parameter in network.trainable().values():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network


def logits(network: Network, folder: Path, *, merge: bool, types: bool = False) -> torch.Tensor:
    load_adapter(network, folder)
    if merge:
        merge_adapter(network)
    move_to_engine(network, replace(PLAIN, lean=True))
    if merge:
        drop_gradients(network)
    ids, mask, _ = batch(True)
    token_types = torch.zeros_like(ids)
    token_types[:, 3:] = 1
    with torch.inference_mode():
        return network.eval()(ids, mask, token_types=token_types if types else None)


@pytest.mark.parametrize("family", LEAN)
@pytest.mark.parametrize("adapter", ADAPTERS + OTHERS)
def test_logits_are_the_same_bits_as_with_the_libraries(
    tiny_recipe: Any, tmp_path: Path, family: str, adapter: dict[str, Any]
) -> None:
    recipe = tiny_recipe(family, adapter=adapter)
    backbone = resolve_backbone(recipe.backbone)
    folder = saved(noisy(built(recipe)), tmp_path / "a", recipe)
    for merge, types in ((False, False), (True, True)):
        bare = bare_network(recipe, backbone, LABELS)
        assert bare is not None
        whole = build_network(recipe, backbone, LABELS)
        assert bare.trainable_count() == whole.trainable_count()
        expected = logits(whole, folder, merge=merge, types=types)
        assert torch.equal(logits(bare, folder, merge=merge, types=types), expected)


def test_the_weights_may_be_named_by_the_whole_class(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = renamed(tiny_recipe("bert"), tmp_path / "base", lambda name: f"bert.{name}")
    folder = saved(noisy(built(recipe)), tmp_path / "a", recipe)
    backbone = resolve_backbone(recipe.backbone)
    bare = bare_network(recipe, backbone, LABELS)
    assert bare is not None
    assert torch.equal(
        logits(bare, folder, merge=True), logits(build_network(recipe, backbone, LABELS), folder, merge=True)
    )


def renamed(recipe: Recipe, base: Path, rename: Any) -> Recipe:
    """``recipe`` on a copy of its backbone whose tensors have other names."""
    shutil.copytree(recipe.backbone.name, base)
    file = base / "model.safetensors"
    save_file({rename(name): tensor for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    return recipe.with_values(backbone={"name": str(base)})


@pytest.mark.parametrize(("family", "adapter"), [
    ("deberta-v2", {}),
    ("modernbert", {"lora": [{"roles": ["attention_output"], "rank": 2}]}),
    ("bert", {"dora": True}),
    ("bert", {"initialisation": "pissa"}),
])  # fmt: skip
def test_what_needs_the_libraries_is_left_to_them(tiny_recipe: Any, family: str, adapter: dict[str, Any]) -> None:
    recipe = tiny_recipe(family, adapter=adapter)
    assert bare_network(recipe, resolve_backbone(recipe.backbone), LABELS) is None


@pytest.mark.parametrize("change", [
    {"hidden_act": "relu"}, {"vocab_size": 30523}, {"num_attention_heads": 5}, {"layer_norm_eps": "small"},
])  # fmt: skip
def test_settings_that_the_weights_do_not_fit_are_left_to_transformers(
    tiny_recipe: Any, tmp_path: Path, change: dict[str, Any]
) -> None:
    recipe = renamed(tiny_recipe("bert"), tmp_path / "base", str)
    config = tmp_path / "base" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | change), "utf-8")
    assert bare_network(recipe, resolve_backbone(recipe.backbone), LABELS) is None


def test_names_of_old_files_are_left_to_transformers(tiny_recipe: Any, tmp_path: Path) -> None:
    old = lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")  # noqa: E731
    recipe = renamed(tiny_recipe("bert"), tmp_path / "base", old)
    assert bare_network(recipe, resolve_backbone(recipe.backbone), LABELS) is None
    folder = saved(noisy(built(recipe)), tmp_path / "a", recipe)
    assert Classifier.load(folder).predict(["apple"])


@pytest.mark.parametrize("family", sorted(name for name, family in FAMILIES.items() if family.lean))
def test_settings_that_a_config_lacks_are_those_of_transformers(family: str) -> None:
    from transformers import AutoConfig

    from featherweight.model.lean.bare_encoder import _DEFAULTS

    config, known = AutoConfig.for_model(family), FAMILIES[family]
    assert known.lean is not None
    complete = {**_DEFAULTS, **known.defaults}
    assert complete[known.lean.heads] == config.num_attention_heads
    assert complete[known.lean.activation] == getattr(config, known.lean.activation) == "gelu"
    if known.lean.norm_epsilon:
        assert complete[known.lean.norm_epsilon] == config.layer_norm_eps
    if known.position_offset and known.lean.padding:
        assert complete[known.lean.padding] == config.pad_token_id


def test_neither_the_random_numbers_nor_the_weights_of_the_caller_change(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = renamed(tiny_recipe("roberta", adapter=ADAPTERS[1]), tmp_path / "base", str)
    folder, weights = saved(noisy(built(recipe)), tmp_path / "a", recipe), tmp_path / "base" / "model.safetensors"
    before, state = hashlib.sha256(weights.read_bytes()).digest(), torch.get_rng_state()
    Classifier.load(folder, precision="fp32").predict(["apple"])
    assert hashlib.sha256(weights.read_bytes()).digest() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loaded_run_has_the_tokenizer_of_transformers(finished_run: Any) -> None:
    classifier = Classifier.load(finished_run.folder)
    whole = classifier.tokenizer
    assert type(whole).__name__ == "BertTokenizer"
    assert classifier.model.tokenizer.pad_token_id == whole.pad_token_id
    assert list(classifier.model.tokenizer.model_input_names) == whole.model_input_names
    assert sys.modules["transformers"]
