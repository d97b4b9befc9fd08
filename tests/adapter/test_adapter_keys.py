"""What the keys of [adapter] do to the logits, against transformers' own model whose weights are changed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from support.networks import LABELS, PLAIN, merged_network, network_for
from transformers import AutoModel

from featherweight.adapter.build import build_network
from featherweight.backbone.resolve import resolve_backbone
from featherweight.model.engine import Engine
from featherweight.model.network import Network

LEAN = replace(PLAIN, lean=True)
TEXTS = ([101, 2023, 102], [101, 6207, 2003, 1037, 3231, 2055, 102], [101, 102], [101, 4589, 2044, 2023, 102])
"""Token numbers of texts of unequal length; in one batch, most of it is padding."""
RANK, ALPHA = 4, 6.0
TABLE = {"roles": ["query", "value"], "rank": RANK, "alpha": ALPHA}
WAYS = ("plain", "lean", "merged")


def network_by(way: str, recipe: Any) -> Network:
    """A network with a random adapter, ready to predict by one of the forward passes."""
    if way == "merged":
        return merged_network(recipe, LEAN)
    return network_for(recipe, LEAN if way == "lean" else PLAIN).eval()


def in_one_batch(network: Network) -> torch.Tensor:
    longest = max(map(len, TEXTS))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in TEXTS])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in TEXTS])
    with torch.inference_mode():
        return network(ids, mask)


def encoder_by_hand(recipe: Any, scale: float) -> tuple[Any, dict[str, torch.Tensor]]:
    """transformers' own encoder with W + scale B A (or DoRA's weight) for each adapted W; and all that is trained."""
    trained = {name: tensor.detach() for name, tensor in network_for(recipe, PLAIN).trainable().items()}
    encoder: Any = AutoModel.from_pretrained(recipe.backbone.name, attn_implementation="eager").eval()
    for name, down in trained.items():
        if ".lora_A." not in name:
            continue
        weight = encoder.get_submodule(name.removeprefix("encoder.base_model.model.").partition(".lora_A.")[0]).weight
        weight.data += scale * trained[name.replace(".lora_A.", ".lora_B.")] @ down
        magnitude = trained.get(name.replace(".lora_A.", ".lora_magnitude_vector."))
        if magnitude is not None:
            weight.data *= (magnitude / weight.data.norm(dim=1))[:, None]
    return encoder, trained


def one_by_one(recipe: Any, scale: float, pooling: str = "mean") -> torch.Tensor:
    """Logits of each text alone, without any padding, by transformers' own forward pass."""
    encoder, trained = encoder_by_hand(recipe, scale)
    with torch.inference_mode():
        states = [encoder(torch.tensor([text])).last_hidden_state[0] for text in TEXTS]
    pooled = torch.stack([one[0] if pooling == "first" else one.sum(0) / len(one) for one in states])
    return pooled @ trained["head.out.weight"].T + trained["head.out.bias"]


def assert_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["bert", "mpnet"])
@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_head_sees_the_mean_over_a_texts_own_tokens_or_its_first(
    tiny_recipe: Any, way: str, family: str, pooling: str
) -> None:
    recipe = tiny_recipe(family, adapter={"lora": [TABLE], "pooling": pooling})
    assert_near(in_one_batch(network_by(way, recipe)), one_by_one(recipe, ALPHA / RANK, pooling))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("alpha", "rslora", "scale"), [
    (ALPHA, False, ALPHA / RANK),
    (None, False, 2.0),
    (ALPHA, True, ALPHA / RANK**0.5),
    (None, True, 2.0 * RANK**0.5),
])  # fmt: skip
def test_the_update_is_scaled_by_alpha_and_the_rank(
    tiny_recipe: Any, way: str, alpha: float | None, rslora: bool, scale: float
) -> None:
    table = {key: value for key, value in {**TABLE, "alpha": alpha}.items() if value is not None}
    recipe = tiny_recipe("bert", adapter={"lora": [table], "rslora": rslora})
    assert_near(in_one_batch(network_by(way, recipe)), one_by_one(recipe, scale))


@pytest.mark.parametrize("way", ["plain", "merged"])
def test_dora_gives_each_adapted_row_its_own_length(tiny_recipe: Any, way: str) -> None:
    recipe = tiny_recipe("bert", adapter={"lora": [TABLE], "dora": True})
    assert sum("lora_magnitude_vector" in name for name in network_for(recipe, PLAIN).trainable()) == 4
    assert_near(in_one_batch(network_by(way, recipe)), one_by_one(recipe, ALPHA / RANK))


def test_pissa_starts_from_the_weights_main_directions(tiny_recipe: Any) -> None:
    recipe = tiny_recipe("bert", adapter={"lora": [TABLE], "initialisation": "pissa"})
    network = build_network(recipe, resolve_backbone(recipe.backbone), LABELS).eval()
    untouched: Any = AutoModel.from_pretrained(recipe.backbone.name).eval()
    trained = network.trainable()
    for name in [name for name in trained if ".lora_A." in name]:
        place = name.removeprefix("encoder.base_model.model.").partition(".lora_A.")[0]
        left, strength, right = torch.linalg.svd(untouched.get_submodule(place).weight.detach())
        main = left[:, :RANK] @ strength[:RANK].diag() @ right[:RANK]
        update = ALPHA / RANK * trained[name.replace(".lora_A.", ".lora_B.")] @ trained[name]
        torch.testing.assert_close(update.detach(), main, rtol=1e-3, atol=1e-4)
    with torch.inference_mode():
        states = network.encoder(torch.tensor([TEXTS[1]])).last_hidden_state
        torch.testing.assert_close(states, untouched(torch.tensor([TEXTS[1]])).last_hidden_state, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bias", ["none", "lora", "all"])
def test_the_biases_of_the_recipe_are_trained_and_no_others(tiny_recipe: Any, bias: str) -> None:
    recipe = tiny_recipe("bert", adapter={"bias": bias})
    model: Any = AutoModel.from_pretrained(recipe.backbone.name, add_pooling_layer=False)
    every = {name for name, _ in model.named_parameters() if name.endswith("bias")}
    adapted = {name for name in every if ".self.query." in name or ".self.value." in name}
    trained = network_for(recipe, LEAN).trainable()
    found = {
        name.removeprefix("encoder.base_model.model.").replace(".base_layer.", ".")
        for name in trained
        if name.endswith("bias") and not name.startswith("head.")
    }
    assert found == {"none": set(), "lora": adapted, "all": every}[bias]
    assert len(adapted) == 4 and len(every) == 17


def test_dropout_is_on_the_input_of_a_alone_and_only_while_training(tiny_recipe: Any) -> None:
    """At a rate near 1 next to nothing comes through the adapter: what is left is the backbone without it."""
    recipe = tiny_recipe("bert", adapter={"lora": [TABLE], "dropout": 0.9999999})
    for engine in (PLAIN, Engine("cpu", "fp32", "test")):
        network = network_for(recipe, engine)
        torch.manual_seed(0)
        assert_near(in_one_batch(network.train()), one_by_one(recipe, 0.0))
        assert_near(in_one_batch(network.eval()), one_by_one(recipe, ALPHA / RANK))
